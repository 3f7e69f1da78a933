"""What `twistd` learns of morphnet; module names are strings, so listing them loads nothing of ours."""

from twisted.application.service import ServiceMaker

server = ServiceMaker(
    "morph-server",
    "morphnet.tap.server",
    "The gateway: takes clients in and carries their packets to the world.",
    "morph-server",
)

relay = ServiceMaker(
    "morph-relay",
    "morphnet.tap.relay",
    "A public host where the machines of a network meet, until they reach each other directly.",
    "morph-relay",
)

client = ServiceMaker(
    "morph-client",
    "morphnet.tap.client",
    "A machine with several uplinks: one tunnel to a morph-server over all of them.",
    "morph-client",
)

upload = ServiceMaker(
    "morph-upload",
    "morphnet.tap.upload",
    "An upload server for XMPP (XEP-0363), whose uploads go on from the same byte.",
    "morph-upload",
)

coordinator = ServiceMaker(
    "morph-coordinator",
    "morphnet.tap.coordinator",
    "A public host that introduces browsers to homes, and is out.",
    "morph-coordinator",
)

home = ServiceMaker(
    "morph-home",
    "morphnet.tap.home",
    "Files and terminals at home for a browser anywhere, directly.",
    "morph-home",
)

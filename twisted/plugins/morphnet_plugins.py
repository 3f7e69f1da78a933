"""What `twistd` learns of morphnet; module names are strings, so listing them loads nothing of ours."""

from twisted.application.service import ServiceMaker

server = ServiceMaker(
    "morph-server",
    "morphnet.tap.server",
    "The gateway: takes clients in and carries their packets to the world.",
    "morph-server",
)

client = ServiceMaker(
    "morph-client",
    "morphnet.tap.client",
    "A machine with several uplinks: one tunnel to a morph-server over all of them.",
    "morph-client",
)

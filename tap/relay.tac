# morph-relay as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/relay.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/relay.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.relay import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/relay.toml")])

application = Application("morph-relay")
makeService(options).setServiceParent(application)

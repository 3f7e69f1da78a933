# morph-server as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/server.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/server.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.server import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/server.toml")])

application = Application("morph-server")
makeService(options).setServiceParent(application)

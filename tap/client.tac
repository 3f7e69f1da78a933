# morph-client as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/client.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/client.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.client import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/client.toml")])

application = Application("morph-client")
makeService(options).setServiceParent(application)

# morph-home as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/home.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/home.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.home import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/home.toml")])

application = Application("morph-home")
makeService(options).setServiceParent(application)

# morph-coordinator as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/coordinator.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/coordinator.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.coordinator import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/coordinator.toml")])

application = Application("morph-coordinator")
makeService(options).setServiceParent(application)

# morph-upload as a .tac file, for those who compose services: twistd --nodaemon --pidfile= --python tap/upload.tac
# The settings are read from $MORPHNET_CONFIG, /etc/morphnet/upload.toml when it is not set.

import os

from twisted.application.service import Application

from morphnet.tap.upload import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("MORPHNET_CONFIG", "/etc/morphnet/upload.toml")])

application = Application("morph-upload")
makeService(options).setServiceParent(application)

"""Every parser, fed with what nobody would send in earnest; see tests/fuzz/__main__.py."""

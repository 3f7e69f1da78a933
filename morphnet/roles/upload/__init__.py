"""The upload server: slots of XMPP servers, uploads that go on from the same byte, and the files."""

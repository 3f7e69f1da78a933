"""A network in a box: namespaces, wires and NATs, for the demo, the doctor and the tests."""

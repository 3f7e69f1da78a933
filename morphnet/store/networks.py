"""What a client has found out about networks it was on: which shape gets through, see docs/shapes, "auto"."""

from __future__ import annotations

from pathlib import Path

from morphnet.store.smallfile import SmallFile

FILE = "networks.json"
MOST = 64  # networks that are remembered; the one that was used longest ago makes room
LONGEST = 256  # characters of a name


class Networks:
    """
    A small file that is written anew when something else is true. What cannot be read in it was never known.

    :param path: of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._file = SmallFile(path, MOST * (2 * LONGEST + 16))
        self._shapes = _shapes(self._file.read())

    def recall(self, network: str) -> str:
        """The shape that worked there last; "" where that is not known."""
        return self._shapes.get(network, "")

    def keep(self, network: str, shape: str) -> None:
        """That one works there."""
        if self._shapes.get(network) == shape or max(len(network), len(shape)) > LONGEST:
            return
        self._shapes.pop(network, None)
        self._shapes[network] = shape
        while len(self._shapes) > MOST:
            del self._shapes[next(iter(self._shapes))]
        self._file.write(self._shapes)


def _shapes(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {
        network: shape
        for network, shape in list(found.items())[-MOST:]
        if isinstance(shape, str) and max(len(network), len(shape)) <= LONGEST
    }

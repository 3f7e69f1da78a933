"""
A window on an X server, so that a desktop of the lab has something to show, and tells what it was told.

    python -m morphnet.lab.xwindow HOST:DISPLAY

Prints a line for each key ("key a") and each press of a mouse's button ("button 1 at 20 30").

Source: X Window System Protocol, X Consortium Standard, version 11: sections 8 to 11 and appendix B.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

WORDS = ("A desktop at home", "Whatever is typed here is shown below:")
_CREATE_WINDOW, _MAP_WINDOW, _OPEN_FONT, _CREATE_GC, _CLEAR, _FILL, _TEXT, _KEYBOARD = 1, 8, 45, 55, 61, 70, 76, 101
_KEY, _BUTTON, _EXPOSE = 2, 4, 12  # events
_MASK = 0x1 | 0x4 | 0x8000  # which of them we want: keys, buttons, exposures
_BACK, _FRONT, _BAR = 0x2E8B57, 0xFFFFFF, 0x14532D
_AT, _SIZE = (40, 40), (560, 320)
_GRACE = 20.0  # seconds for the server to be there


class Window:
    """
    One window.

    :param server: a connection to an X server that lets us in.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.typed = ""
        server.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        answer = self._take(8)
        told = self._take(4 * struct.unpack_from("<H", answer, 6)[0])
        if answer[0] != 1:
            raise ConnectionError("the X server lets nobody in")
        base, vendor, formats = *struct.unpack_from("<I", told, 4), struct.unpack_from("<H", told, 16)[0], told[21]
        self._first, self._last = told[26], told[27]  # keys
        (root,) = struct.unpack_from("<I", told, 32 + -(-vendor // 4) * 4 + 8 * formats)
        self._window, self._text, self._bar, self._font = base, base + 1, base + 2, base + 3
        self._keys = self._keyboard()
        place = struct.pack("<IIhhHHHHII", self._window, root, *_AT, *_SIZE, 0, 0, 0, 0x2 | 0x800)
        self._ask(_CREATE_WINDOW, 0, place + struct.pack("<II", _BACK, _MASK))
        self._ask(_OPEN_FONT, 0, struct.pack("<IHxx", self._font, 5) + b"fixed")
        for gc, color in ((self._text, _FRONT), (self._bar, _BAR)):
            colors = struct.pack("<IIIIII", gc, self._window, 0x4 | 0x8 | 0x4000, color, _BACK, self._font)
            self._ask(_CREATE_GC, 0, colors)
        self._ask(_MAP_WINDOW, 0, struct.pack("<I", self._window))

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._server.recv(size - len(data))
            if not more:
                raise ConnectionError("the X server is gone")
            data += more
        return data

    def _ask(self, opcode: int, detail: int, body: bytes) -> None:
        body += bytes(-len(body) % 4)
        self._server.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def _keyboard(self) -> list[tuple[int, ...]]:
        """Which letters each key has."""
        count = self._last - self._first + 1
        self._ask(_KEYBOARD, 0, struct.pack("<BBxx", self._first, count))
        head = self._take(32)
        each, size = head[1], struct.unpack_from("<I", head, 4)[0]
        symbols = struct.unpack(f"<{size}I", self._take(4 * size))
        return [symbols[at * each : (at + 1) * each] for at in range(count)]

    def _draw(self) -> None:
        self._ask(_CLEAR, 0, struct.pack("<IhhHH", self._window, 0, 0, 0, 0))
        self._ask(_FILL, 0, struct.pack("<IIhhHH", self._window, self._bar, 0, 0, _SIZE[0], 28))
        for at, line in enumerate((*WORDS, self.typed[-80:])):
            words = line.encode("latin-1", "replace")
            place = struct.pack("<IIhh", self._window, self._text, 16, 19 + 30 * at)
            self._ask(_TEXT, len(words), place + words)

    def turn(self) -> str:
        """The next thing that happens; what that is, or ""."""
        event = self._take(32)
        kind, detail = event[0] & 0x7F, event[1]
        x, y, state = struct.unpack_from("<hhH", event, 24)
        if kind == _BUTTON:
            return f"button {detail} at {x} {y}"
        if kind == _KEY:
            symbols = self._keys[detail - self._first]
            symbol = symbols[state & 1] or symbols[0]
            if not 32 <= symbol < 256:
                return f"key {symbol:#x}"
            self.typed += chr(symbol)
            self._draw()
            return f"key {chr(symbol)}"
        if kind == _EXPOSE:
            self._draw()
            return "drawn"
        return ""


def main(arguments: list[str]) -> int:
    """Show it until the server is gone."""
    host, _, display = arguments[0].rpartition(":")
    until = time.monotonic() + _GRACE
    while True:
        try:
            server = socket.create_connection((host, 6000 + int(display)))
            break
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    window = Window(server)
    while True:
        try:
            if told := window.turn():
                print(told, flush=True)
        except ConnectionError:
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

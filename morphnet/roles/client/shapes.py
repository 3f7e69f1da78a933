"""What the client's paths to its server wear: as the operator wishes, or the network allows, and the server knows."""

from __future__ import annotations

from collections.abc import Callable, Collection

from morphnet.config.shapes import AUTO, SHAPES
from morphnet.config.web import WEB
from morphnet.net.pump import Pump
from morphnet.roles.client.ladders import Ladders
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.wire.formats import COMPACT
from morphnet.wire.shapes.shape import PLAIN, Shape

_OTHERS = PLAIN, AUTO, WEB  # which are no shape of datagrams
Maker = Callable[[str], Shape | None]  # a shape by its name; None where it cannot be made


class Shapes:
    """
    The server answers each path in what the client sends there, so that only the client chooses.

    :param wished: as in the settings.
    :param tell: (kind, sentence) for the node's history.
    :param ladders: find out what gets through; None where there are none.
    """

    def __init__(
        self, wished: str, pump: Pump, tell: Callable[[str, str], None], make: Maker, ladders: Ladders | None = None
    ) -> None:
        self._ladders = ladders
        self._wished, self._pump, self._tell, self._make = wished, pump, tell, make
        self._known: frozenset[str] = frozenset()  # to the server
        self._session: Session | None = None
        self._lacking = ""  # why it is not as it was wished

    def welcomed(self, session: Session, known: Collection[str], effects: Effects) -> None:
        """The server undresses these shapes; paths of `session` are dressed from now on, the first datagram too."""
        self._session, self._known = session, frozenset(known)
        self._wear(session, effects)

    def wish(self, name: str) -> str:
        """The operator wants that shape from now on; answers with what is to be known about that."""
        self._wished, session, effects = name, self._session, Effects()
        if session is None or self._pump.tunnel.sessions.get(session.peer) is not session:
            return "when the server is reached"
        self._wear(session, effects)
        self._pump.carry_out(effects)
        self._pump.tunnel.poke(session, self._pump.now())
        return self._lacking

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return (self._lacking,) if self._lacking else ()

    def _made(self, session: Session, name: str) -> Shape | None:
        """That shape, where both ends have it."""
        return self._make(name) if name in self._known and session.format is COMPACT else None

    def _climb(self, session: Session) -> None:
        if self._ladders is not None:
            found = {name: self._made(session, name) for name in SHAPES} if self._wished == AUTO else {}
            self._ladders.climb({name: shape for name, shape in found.items() if name == PLAIN or shape is not None})
            self._ladders.close(self._wished == WEB)

    def _wear(self, session: Session, effects: Effects) -> None:
        self._lacking, shape = "", None
        self._climb(session)
        if self._wished == WEB:
            return  # its paths are closed soon, and wear until then what they wore
        if self._wished not in _OTHERS:
            shape = self._made(session, self._wished)
        if shape is None and self._wished not in _OTHERS:
            self._lacking = f"the server does not know the shape {self._wished!r}: what goes to it is plain"
        if shape is not session.table.shape:
            self._tell("shape", f"what goes to the server is {shape.name if shape is not None else PLAIN}")
        elif self._lacking:
            self._tell("shape", self._lacking)
        session.wear(shape, self._pump.now(), effects)

"""What the client's paths to its server wear: as the operator wishes, where the server knows it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from morphnet.net.pump import Pump
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.wire.formats import COMPACT
from morphnet.wire.shapes.shape import PLAIN, Shape

Maker = Callable[[str], Shape | None]  # a shape by its name; None where it cannot be made


class Shapes:
    """
    The server answers each path in what the client sends there, so that only the client chooses.

    :param wished: as in the settings.
    :param tell: (kind, sentence) for the node's history.
    """

    def __init__(self, wished: str, pump: Pump, tell: Callable[[str, str], None], make: Maker) -> None:
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

    def _wear(self, session: Session, effects: Effects) -> None:
        self._lacking, shape = "", None
        if self._wished != PLAIN:
            shape = self._make(self._wished) if self._wished in self._known and session.format is COMPACT else None
        if shape is None and self._wished != PLAIN:
            self._lacking = f"the server does not know the shape {self._wished!r}: what goes to it is plain"
        if shape is not session.table.shape:
            self._tell("shape", f"what goes to the server is {shape.name if shape is not None else PLAIN}")
        elif self._lacking:
            self._tell("shape", self._lacking)
        session.wear(shape, self._pump.now(), effects)

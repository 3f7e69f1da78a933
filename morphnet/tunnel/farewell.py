"""
The last thing that a process does with its sessions, so that the next one need not guess what was delivered.

What is held back is delivered, for nobody will send it again; and all that has come is acknowledged. What comes after
that is not looked at: it is not acknowledged either, and goes to the next process. Each acknowledgement is told on
every path, twice: one that is lost makes the peer send again what was delivered already.

Source: docs/protocol section 9.
"""

from __future__ import annotations

from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import ControlPacket
from morphnet.tunnel.session import Session
from morphnet.wire.frames import Ack

_TIMES = 2


def take_leave(session: Session, now: float, effects: Effects) -> None:
    """Deliver and acknowledge all that this end has."""
    session.inbound.flush(now, effects.delivers)
    session.inbound.reorder.expire(float("inf"), effects)
    heard = [path.received for path in session.paths.values() if path.received.seen.highest >= 0]
    acks: list[Ack] = [received.make_ack(now) for received in heard]
    for _ in range(_TIMES):
        for path in session.paths.values():
            if path.life.usable:
                for ack in acks:
                    session.outbound.send_frames(path, ControlPacket([ack]), now, effects)

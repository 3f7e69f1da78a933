"""What the headline of `status` says."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.headline import headline, with_headline
from morphnet.status import NodeStatus, PathStatus, RelayStatus, SessionStatus, UplinkStatus

PATH = PathStatus(
    0, "wan0", "192.168.1.2:4000", "", "203.0.113.1:8000", "active", 0.0, None, None, 0.0, 0.0, 1200, 1.0, 5, 500, 5,
    500, 0,
)  # fmt: skip
SESSION = SessionStatus("gw.example", "aa" * 16, 0.0, ("10.73.0.2",), "bond", 0, "up", "X25519MLKEM768", (PATH,))
CLIENT = NodeStatus("client", "laptop", "1", 1, 0.0, "pure", (), (), "connected", (SESSION,), traffic="tunnel")


def client(*paths: PathStatus, state: str = "connected", traffic: str = "tunnel") -> NodeStatus:
    """One whose session has these paths."""
    return replace(CLIENT, state=state, traffic=traffic, sessions=(replace(SESSION, paths=paths),))


class HeadlineTests(SynchronousTestCase):
    def says(self, node: NodeStatus, text: str, *, well: bool) -> None:
        """Exactly this."""
        found = headline(node)
        self.assertEqual((found.text, found.well), (text, well))

    def test_well(self) -> None:
        """By which uplinks it is connected, and what is not as it should be though it works."""
        self.says(CLIENT, "connected by wan0", well=True)
        lte = replace(PATH, uplink="lte", state="silent")
        waits = "reconnecting in 3 s: connection refused"
        self.says(client(PATH, lte), "connected by wan0; nothing comes back on lte", well=True)
        self.says(client(PATH, state=waits), f"connected by wan0; control link: {waits}", well=True)

    def test_reserve(self) -> None:
        """What works and waits for others to fail is told apart, also when it is a stream."""
        paths = [replace(PATH, uplink=name) for name in ("wan0", "tcp lte", "lte", "eth0")]
        uplinks = [UplinkStatus(name, "up", 0.0, "") for name in ("wan0", "lte", "eth0")]
        self.says(replace(client(*paths), uplinks=tuple(uplinks)), "connected by wan0, tcp lte, lte, eth0", well=True)
        uplinks[1] = replace(uplinks[1], use="backup")
        node = replace(client(*paths), uplinks=tuple(uplinks))
        self.says(node, "connected by wan0, eth0 (tcp lte, lte in reserve)", well=True)
        uplinks[0] = replace(uplinks[0], priority=5)
        node = replace(client(*paths), uplinks=tuple(uplinks))
        self.says(node, "connected by wan0 (tcp lte, lte, eth0 in reserve)", well=True)
        node = replace(client(*paths[1:3]), uplinks=tuple(uplinks))
        self.says(node, "connected by tcp lte, lte", well=True)
        uplinks[2] = replace(uplinks[2], use="backup", metered=True, priority=0)
        node = replace(client(*paths[2:]), uplinks=tuple(uplinks))
        self.says(node, "connected by lte (eth0 in reserve)", well=True)

    def test_no_uplink(self) -> None:
        """Where none is up, each is named, with what has become of it."""
        uplinks = tuple(UplinkStatus(name, state, 0.0, "") for name, state in (("wan0", "never"), ("lte", "lost")))
        node = replace(client(state="connecting", traffic="outside"), uplinks=uplinks)
        why = "no uplink to go by (wan0 is never used, lte is lost); connecting"
        self.says(node, f"not connected: {why}; traffic goes past the tunnel", well=False)

    def test_no_path(self) -> None:
        """UDP that does not get through is told from a path that fell silent; and where traffic goes meanwhile."""
        mute = [replace(PATH, uplink=name, state="probing", received_packets=0) for name in ("wan0", "wan1")]
        blocked = "no data path: UDP 8000 does not get through on wan0, wan1"
        self.says(client(*mute, traffic="outside"), f"{blocked}; traffic goes past the tunnel", well=False)
        self.says(client(*mute, traffic="held"), f"{blocked}; nothing leaves this machine (strict)", well=False)
        stream = replace(mute[0], uplink="tcp wan0", remote="203.0.113.1:443")
        both = "UDP 8000 does not get through on wan0; TCP 443 does not get through on tcp wan0"
        self.says(client(mute[0], stream), f"no data path: {both}", well=False)
        silent = replace(PATH, state="silent")
        self.says(client(silent), "no data path: nothing comes back on wan0", well=False)
        self.says(client(), "no data path: there is no uplink", well=False)

    def test_not_connected(self) -> None:
        """Without a session the control link's own words."""
        node = replace(CLIENT, sessions=(), state="refused, asking again in 60 s: revoked", traffic="outside")
        told = "not connected: refused, asking again in 60 s: revoked; traffic goes past the tunnel"
        self.says(node, told, well=False)

    def test_among_peers(self) -> None:
        """Without a server it is well when a relay, or a peer, is reached."""
        relay = RelayStatus("relay.example", "", "reconnecting in 3 s: no answer in 5 s", "", 0, 0, 0)
        node = replace(CLIENT, sessions=(), state="among peers", relays=(relay,), traffic="")
        self.says(node, "no relay is reached: reconnecting in 3 s: no answer in 5 s", well=False)
        self.says(replace(node, relays=(replace(relay, state="connected"),)), "among peers: 0 of 0 are met", well=True)

    def test_others(self) -> None:
        """A gateway or a relay is well while it serves."""
        self.says(replace(CLIENT, role="server", state="serving"), "serving", well=True)
        self.says(
            replace(CLIENT, role="relay", state="serving, alone: no Redis"), "serving, alone: no Redis", well=True
        )
        self.says(replace(CLIENT, role="server", state="closed"), "closed", well=False)

    def test_in_the_picture(self) -> None:
        """It is part of the picture that programs get."""
        node = with_headline(client())
        self.assertEqual((node.headline, node.well), ("no data path: there is no uplink", False))

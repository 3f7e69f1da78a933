"""A relay that lies, beside one that does not: figure D17."""

from __future__ import annotations

from morphnet.lab.homes import Home
from tests.lab.case import rest
from tests.lab.village import Place, VillageCase

VICTIM = "203.0.113.99"  # somebody at the isp who has nothing to do with anybody
MOST_TO_ANYBODY = 10  # packets, figure D17
SAY = (
    "[g.line.tell(__import__('morphnet.wire.messages.relay', fromlist=['x']).{message}) "
    "for g in node.registry.members if g.name == 'anna' for o in node.registry.members if o.name == 'bert'] and None"
)


class HostileTests(VillageCase):
    """Three machines that are at both relays."""

    rootless = False
    place = Place((Home("one2one"), Home("one2one"), Home("one2one")), relays=2)

    def say(self, message: str, times: int = 1) -> None:
        """The second relay tells anna something, with `o` for what it knows of bert."""
        evil = self.meeting.others[0]
        words = f"[{SAY.format(message=message)} for turn in range({times})] and None"
        evil.morphnet("console", "--dir", str(evil.etc), words)

    def strays(self) -> int:
        """Datagrams that the victim got."""
        lines = self.box.node("isp").run(["cat", "/proc/net/snmp"]).stdout.splitlines()
        names, values = (line.split() for line in lines if line.startswith("Udp:"))
        return int(values[names.index("NoPorts")])

    def sessions(self) -> dict[str, str]:
        """Anna's."""
        return {each["name"]: each["session"] for each in self.machines["anna"].status()["sessions"]}

    def test_lies(self) -> None:
        """It ends no session, loses no packet, and has nobody send more than a few packets to a third one."""
        self.be_direct()
        self.box.node("isp").run(["ip", "addr", "add", f"{VICTIM}/32", "dev", "lo"], check=True)
        before, strays, ping = self.sessions(), self.strays(), self.ping()
        for turn in range(3):
            places = f"('observed {VICTIM} {2000 + turn}', 'varying {VICTIM} 1', 'local {VICTIM} {3000 + turn}')"
            self.say(f"Present(o.number, o.name, __import__('os').urandom(8).hex(), {places})", 20)
            self.say("Absent(o.number, o.name)")
            self.say("Present(o.number, o.name, o.instance, ())")
            rest(1.5)
        self.none_lost(ping.end())
        self.assertEqual(self.sessions(), before)
        self.assertLessEqual(self.strays() - strays, MOST_TO_ANYBODY)
        self.assertEqual(self.meeting.ways("anna", "bert"), "direct")

    def test_silence(self) -> None:
        """It tells of names without end and hands on nothing: who comes anew is met through the other one."""
        self.be_direct()
        self.machines["carl"].stop()
        evil = self.meeting.others[0]
        silent = "setattr(node.registry, 'forward', lambda line, envelope: None)"
        evil.morphnet("console", "--dir", str(evil.etc), silent)
        self.say("Present(7000 + turn, 'zz-%d' % turn, '%016x' % turn, ())", 300)
        self.machines["carl"].start()
        met = ("relay", "direct")
        self.until("carl is met", lambda: self.meeting.ways("anna", "carl") in met)
        self.until("and meets", lambda: self.meeting.ways("carl", "anna") in met)
        self.assertEqual(self.ping("--count", "20", of="carl").wait()["lost"], 0)

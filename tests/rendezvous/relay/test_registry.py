"""Who is at a relay, and who hears of whom."""

from __future__ import annotations

from morphnet.errors import Refused
from morphnet.rendezvous.relay.cluster import Alone
from morphnet.rendezvous.relay.registry import PROVE_WITHIN, Registry, Terms
from morphnet.rendezvous.rivals import CLONED, FIRST
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Absent,
    Drain,
    Notice,
    Present,
    Register,
    Registered,
)
from morphnet.wire.messages.revocations import NO_LIST
from tests.rendezvous.relay.case import TERMS, FakeLine, RegistryTestCase


class ComingTests(RegistryTestCase):
    def test_registered(self) -> None:
        """A node is told its number, where it comes from, and how to use the echo."""
        line = self.register(FakeLine("laptop"))
        ((answer),) = line.news()
        assert isinstance(answer, Registered)
        member = self.member(line)
        self.assertEqual((answer.number, answer.observed), (member.number, ("line 203.0.113.9 50000",)))
        self.assertEqual((answer.echo_port, answer.second_port), (3478, 3479))
        self.assertEqual((answer.echo_id, answer.echo_key), (member.echo_id.hex(), member.echo_key.hex()))
        self.assertNotIn(answer.echo_key, repr(member))

    def test_without_echo(self) -> None:
        """A relay without an echo gives no key for it."""
        self.registry = self.make(Terms())
        (answer,) = self.register(FakeLine("laptop")).news()
        self.assertEqual(answer, Registered(answer.number, ("line 203.0.113.9 50000",), revocations=0))  # type: ignore[union-attr]

    def test_watch(self) -> None:
        """Who watches a name hears when it comes and goes; who is there already is told of at once; others hear nil."""
        phone, tv = self.come("phone", "laptop"), self.come("tv", "phone")
        tv.told.clear()
        laptop = self.register(FakeLine("laptop"), "phone")
        self.assertEqual(laptop.news()[1:], [Present(self.number(phone), "phone", f"{1:08x}{1:08x}",
                                                     ("line 203.0.113.9 50000",))])  # fmt: skip
        number = self.number(laptop)
        self.assertEqual(phone.news(), [Present(number, "laptop", f"{1:08x}{1:08x}", ("line 203.0.113.9 50000",))])
        self.registry.gone(laptop)
        self.assertEqual((phone.news(), tv.news()), ([Absent(number, "laptop")], []))
        self.registry.gone(laptop)
        self.assertEqual(phone.news(), [])

    def test_everybody(self) -> None:
        """Who watches everybody hears of each other node once, and never of itself."""
        server = self.come("server", EVERYBODY, "laptop")
        laptop = self.come("laptop")
        self.come("phone", EVERYBODY)
        self.assertEqual([each.name for each in server.news() if isinstance(each, Present)], ["laptop", "phone"])
        self.assertEqual(laptop.news(), [])
        late = self.register(FakeLine("late"), EVERYBODY)
        self.assertEqual({each.name for each in late.news() if isinstance(each, Present)},
                         {"server", "laptop", "phone"})  # fmt: skip

    def test_watch_others(self) -> None:
        """A node that watches others from now on is told of those who are new to it, and not of the old ones again."""
        laptop, phone = self.come("laptop", "phone"), self.come("phone")
        tv = self.come("tv")
        laptop.told.clear()
        self.registry.watch(laptop, ["tv", "phone"])
        self.assertEqual([each.name for each in laptop.news() if isinstance(each, Present)], ["tv"])
        self.registry.watch(laptop, [EVERYBODY])
        self.assertEqual(laptop.news(), [])
        self.registry.watch(laptop, [])
        self.registry.gone(phone)
        self.registry.gone(tv)
        self.assertEqual(laptop.news(), [])

    def test_watch_again(self) -> None:
        """Who asks for everybody over and over has nobody looked through that it does not pay for."""
        looks: list[str] = []

        class Looked(Alone):
            """Tells when all are looked at."""

            def everybody(self, network: str) -> tuple[()]:
                looks.append(network)
                return ()

        self.registry = Registry(self.clock, self.random.randbytes, TERMS, Looked())
        for name in ("laptop", "phone", "tv"):
            self.come(name)
        server = self.come("server", "tv")
        for names in ([EVERYBODY], [EVERYBODY, "tv"], [EVERYBODY], [EVERYBODY, "x"], ["tv"]):
            self.registry.watch(server, names)
        self.assertEqual((len(server.news()), looks), (2, ["home"]))

    def test_other_name(self) -> None:
        """A node has the name in its certificate, and no other."""
        line = FakeLine("laptop")
        self.assertRaises(Refused, self.registry.register, line, Register("phone", "0" * 16))
        self.assertEqual((self.registry.members, line.told), ([], []))

    def test_same_name(self) -> None:
        """Another process with the name of one that is here is refused, and that one must show that it lives."""
        watcher = self.come("phone", "laptop")
        old = self.come("laptop")
        watcher.told.clear()
        other = FakeLine("laptop")
        with self.assertRaises(Refused) as caught:
            self.register(other, instance=2)
        self.assertEqual(caught.exception.reason, FIRST)
        self.assertEqual((old.proofs, old.ended, other.told, watcher.told), ([PROVE_WITHIN], "", [], []))
        self.assertEqual([each.line for each in self.registry.members if each.name == "laptop"], [old])
        self.registry.gone(old)  # it did not
        self.register(other, instance=2)
        self.assertEqual([type(each) for each in watcher.news()], [Absent, Present])

    def test_started_anew(self) -> None:
        """The next process of the same machine takes over at once, and whoever watches knows that it is another one."""
        watcher = self.come("phone", "laptop")
        old, other = self.come("laptop"), FakeLine("laptop")
        watcher.told.clear()
        self.registry.register(other, Register("laptop", "0" * 7 + "1" + "5" * 8))
        self.assertEqual((old.ended, old.proofs), ("it has come by another line", []))
        told = [each.instance for each in watcher.news() if isinstance(each, Present)]
        self.assertEqual(told, ["00000001" + "5" * 8])
        self.assertRaises(Refused, self.register, FakeLine("laptop"), instance=1)

    def test_clone(self) -> None:
        """One that keeps coming is told that it is a clone, and so is the operator; until it is let in."""
        old, other = self.come("laptop"), FakeLine("laptop")
        for reason in (FIRST, CLONED, CLONED):
            with self.assertRaises(Refused) as caught:
                self.register(other, instance=2)
            self.assertEqual(caught.exception.reason, reason)
        self.assertEqual(len(self.registry.rivals.warnings(self.clock.seconds())), 1)
        self.assertEqual(old.told, [])  # a node of before would not know what that is
        self.registry.gone(old)
        self.register(other, instance=2)
        self.assertEqual(self.registry.rivals.warnings(self.clock.seconds()), ())

    def test_clone_elsewhere(self) -> None:
        """What machines of another network do with a name is no matter of the one that has it in this."""
        here = FakeLine("laptop")
        self.registry.register(here, Register("laptop", "1" * 16, notices=True))
        self.come("laptop", network="other")
        here.told.clear()
        for _ in range(3):
            self.assertRaises(Refused, self.register, FakeLine("laptop", "other"), instance=2)
        with self.assertRaises(Refused) as caught:
            self.register(FakeLine("laptop"), instance=2)
        self.assertEqual((caught.exception.reason, here.told), (FIRST, []))

    def test_clone_told(self) -> None:
        """The one that is there hears of it, if it knows what a notice is; from the second time on, not every time."""
        old, other = FakeLine("laptop"), FakeLine("laptop")
        self.registry.register(old, Register("laptop", "1" * 16, notices=True))
        old.told.clear()
        for _ in range(5):
            self.assertRaises(Refused, self.register, other, instance=2)
        self.assertEqual(old.told, [Notice(CLONED)])

    def test_same_process(self) -> None:
        """The same process by another line takes its place and counts on; the old line's end is no news then."""
        watcher = self.come("phone", "laptop")
        old = self.come("laptop")
        watcher.told.clear()
        number = self.number(old)
        next(each for each in self.registry.members if each.name == "laptop").sent = 7
        new = self.register(FakeLine("laptop", host="198.51.100.4"), "phone")
        self.assertEqual([each.sent for each in self.registry.members if each.name == "laptop"], [7])
        self.assertEqual((old.ended, old.proofs), ("it has come by another line", []))
        self.assertEqual([type(each) for each in watcher.news()], [Absent, Present])
        self.assertNotEqual(self.number(new), number)
        self.registry.gone(old)
        self.assertEqual(watcher.news(), [])
        self.send(watcher, number)
        self.assertEqual((old.handed, new.handed), ([], []))

    def test_full(self) -> None:
        """There is room for so many; the next is refused until one goes, but one who comes again is not."""
        self.registry = self.make(Terms(nodes=2))
        one = self.come("one")
        two = self.come("two")
        with self.assertRaises(Refused) as caught:
            self.register(FakeLine("three"))
        self.assertEqual(caught.exception.reason, "the relay is full")
        self.come("two")
        self.assertEqual((two.ended, self.registry.counts["refused_full"]), ("it has come by another line", 1))
        self.registry.gone(one)
        self.register(FakeLine("three"))

    def test_numbers(self) -> None:
        """No two have one number, and nobody has 0, whatever chance gives."""
        chances = iter([bytes(4), b"\0\0\0\5", b"\0\0\0\5", bytes(4), b"\0\0\0\6"])
        registry = Registry(self.clock, lambda size: next(chances) if size == 4 else self.random.randbytes(size), TERMS)
        for name in ("one", "two"):
            registry.register(FakeLine(name), Register(name, "0" * 16))
        self.assertEqual(sorted(member.number for member in registry.members), [5, 6])

    def test_nothing_is_kept(self) -> None:
        """When all have gone, nothing is left of them but what they used."""
        lines = [self.come(name, EVERYBODY, "one", "nobody") for name in ("one", "two", "three")]
        self.registry.watch(lines[0], ["other"])
        for line in lines:
            self.registry.gone(line)
        kept = (self.registry._members, self.registry._by_line, self.registry._networks, self.registry.echo._members,
                dict(self.registry._watchers))  # fmt: skip
        self.assertEqual(kept, ({}, {}, {}, {}, {}))


class OperatorTests(RegistryTestCase):
    def test_drain(self) -> None:
        """Everybody is asked to use another relay; nobody is hung up on."""
        lines = [self.come("laptop"), self.come("phone", network="other")]
        self.registry.drain(5.0, "update")
        for line in lines:
            self.assertEqual((line.news(), line.ended), ([Drain(5.0, "update")], ""))

    def test_emptied(self) -> None:
        """Who comes to a relay that is being emptied is refused."""
        self.registry.drain(5.0, "update")
        with self.assertRaises(Refused) as caught:
            self.register(FakeLine("laptop"))
        self.assertEqual((caught.exception.reason, self.registry.members), ("the relay is being emptied", []))

    def test_revoke(self) -> None:
        """Who shows a revoked certificate is hung up on, and its watchers hear that it is gone."""
        laptop, phone = self.come("laptop"), self.come("phone", "laptop")
        phone.told.clear()
        number = self.number(laptop)
        self.assertEqual(self.registry.revoke("home", ["laptop", "else"], 3), 1)
        self.assertEqual((laptop.ended, laptop.told), ("certificate revoked", []))
        self.assertEqual(phone.news(), [Absent(number, "laptop")])
        self.assertEqual([member.line for member in self.registry.members], [phone])

    def test_number_for_the_next(self) -> None:
        """Who comes is told which list of its network the relay has."""
        for number in (3, 7):
            self.registry.revoke("home", [], number)
        numbers = []
        for network in ("home", "other"):
            (answer,) = self.register(FakeLine("laptop", network)).told
            assert isinstance(answer, Registered)
            numbers.append(answer.revocations)
        self.assertEqual(numbers, [7, NO_LIST])

    def test_revoked_before_it_registers(self) -> None:
        """Whose certificate is revoked between its handshake and its first message is not let in."""
        self.registry.revoke("home", ["07"], 3)
        line = FakeLine("laptop", serial="07")
        with self.assertRaises(Refused) as caught:
            self.register(line)
        self.assertEqual((caught.exception.reason, line.told), ("certificate revoked", []))
        self.registry.revoke("home", [], 4)
        self.register(line)

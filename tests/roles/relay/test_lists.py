"""What a relay knows of revoked certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import Description, network_of
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.relay.lists import RelayLists
from morphnet.wire.messages.revocations import Listing, Revocations
from tests.fakes_pki import NOW, an_authority
from tests.pki.test_revocations import many


class FakeLine:
    """A node's."""

    def __init__(self, network: str) -> None:
        self.network = network

    def tell(self, message: Listing) -> None:
        """Nothing: no test looks at it."""


class RelayListsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A relay of two networks."""
        self.authorities = [an_authority(1), an_authority(2)]
        self.networks = [network_of(each.certificate) for each in self.authorities]
        self.dir, self.changed = Path(self.mktemp()), list[tuple[str, frozenset[str]]]()
        self.lists = self.fresh()

    def fresh(self) -> RelayLists:
        """The relay after a restart."""
        cas = dict(zip(self.networks, ([each.certificate] for each in self.authorities), strict=True))
        return RelayLists(lambda: cas, self.dir, Clock(), self.change)

    def change(self, network: str, exchange: RevocationExchange) -> None:
        """Remembered."""
        self.changed.append((network, exchange.revoked.serials))

    def line(self, network: str) -> Any:
        """A node's, in words."""
        return FakeLine(network)

    def shows(self, network: str, serial: str) -> bool:
        """Whether a node of that network is refused with that certificate."""
        return self.lists.is_revoked(Description("laptop", "client", serial, 0.0, 9e9, issuer=network))

    def test_each_for_itself(self) -> None:
        """What is revoked in one network is not in another, whatever serial the list of that one names."""
        ours, theirs = self.networks
        line = self.line(theirs)
        self.lists.joined(line, 0)
        self.lists.heard(line, Revocations(self.authorities[1].revocations({"1f"}, now=NOW).pem))
        self.assertEqual((self.shows(theirs, "1f"), self.shows(ours, "1f"), self.shows("", "1f")), (True, False, False))
        self.lists.heard(line, Revocations(self.authorities[0].revocations({"2e"}, now=NOW).pem))
        self.assertEqual((self.shows(ours, "2e"), self.shows(theirs, "2e")), (False, False))
        self.assertEqual(self.changed, [(theirs, {"1f"})])

    def test_restart(self) -> None:
        """After a restart everything is known before anybody is let in."""
        for network, authority in zip(self.networks, self.authorities, strict=True):
            self.lists.of(network).publish(authority.revocations(many(3000), now=NOW))
        self.lists, self.changed = self.fresh(), []
        self.lists.read()
        self.assertEqual([len(serials) for _, serials in self.changed], [3000, 3000])
        self.assertTrue(all(self.shows(network, serial) for network in self.networks for serial in many(3)))

    def test_other_relays(self) -> None:
        """Lists and parts that other relays tell are taken like those of nodes; of foreign networks, nothing."""
        ours, signed = self.networks[0], self.authorities[0].revocations(many(3000), now=NOW)
        self.lists.told_afar(ours, signed.pem)
        for text in signed.parts.values():
            self.lists.part_afar(ours, text)
        self.lists.told_afar(ours, "nonsense")
        self.lists.told_afar("elsewhere", signed.pem)
        self.lists.part_afar("elsewhere", "1f 1\n")
        self.assertEqual(self.lists.of(ours).revoked.whole, signed)

    def test_strangers(self) -> None:
        """A line of no network of ours is nobody's."""
        line = cast(Any, self.line("elsewhere"))
        self.lists.joined(line, 0)
        self.lists.heard(line, Revocations("CRL"))
        self.lists.left(line)
        self.assertEqual(self.changed, [])

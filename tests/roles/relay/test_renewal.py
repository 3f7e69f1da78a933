"""What a relay does when a guest wants its next certificate."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.net.tls import Peer
from morphnet.pki.authority import as_pem, describe
from morphnet.roles.relay.lines import RelayLine
from morphnet.roles.relay.renewal import REST, Nobody, RelayRenewal
from morphnet.wire.messages.control import Renewed as Signed
from morphnet.wire.messages.relay import Renew, Renewed
from tests.fakes_pki import NOW, a_client, a_key, an_authority


class _Signatory:
    """Says yes, unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refuse = False

    async def renew(self, present: Peer, csr: str) -> Signed:
        self.asked.append((present.name, csr))
        if self.refuse:
            raise Refused("not now")
        return Signed("NEXT", "CAS")


class _Line:
    """A guest on its line."""

    name = "laptop"

    def __init__(self) -> None:
        self.told: list[object] = []

    def tell(self, message: object) -> None:
        self.told.append(message)


class RelayRenewalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.signatory, self.line = Clock(), _Signatory(), _Line()
        self.renewal = RelayRenewal(self.signatory, self.clock)
        self.authority = an_authority()
        self.present = describe(a_client(self.authority)).pem

    def _ask(self, certificate: str) -> None:
        self.renewal.asked(cast(RelayLine, self.line), Renew("CSR", certificate))

    def test_guest(self) -> None:
        """A guest gets the answer of who signs."""
        self._ask(self.present)
        self.assertEqual(self.signatory.asked, [("laptop", "CSR")])
        self.assertEqual(self.line.told, [Renewed("NEXT", "CAS")])

    def test_of_another(self) -> None:
        """A guest has only its own client certificate renewed."""
        other = describe(a_client(self.authority, "bert")).pem
        server = as_pem(self.authority.server(a_key(7).public_key(), ["laptop"], now=NOW)).decode()
        for certificate in (other, server, "rubbish"):
            self._ask(certificate)
            self.clock.advance(REST)
        self.assertEqual((self.signatory.asked, self.line.told), ([], []))

    def test_too_often(self) -> None:
        """Who asks again and again is heard now and then, the last question in any case."""
        for _ in range(100):
            self._ask(self.present)
        self.assertEqual(len(self.signatory.asked), 1)
        self.clock.advance(REST)
        self.assertEqual(len(self.signatory.asked), 2)
        self.clock.advance(10 * REST)
        self.assertEqual(len(self.signatory.asked), 2)
        self._ask(self.present)
        self.assertEqual(len(self.signatory.asked), 3)

    def test_refused(self) -> None:
        """A refusal is no answer."""
        self.signatory.refuse = True
        self._ask(self.present)
        self.assertEqual((len(self.signatory.asked), self.line.told), (1, []))

    def test_nobody_to_ask(self) -> None:
        """A relay that does not know the CA's host says what to set."""
        asked = Deferred.fromCoroutine(Nobody().renew(describe(a_client(self.authority)), "CSR"))
        self.assertIn("renew_at", str(self.failureResultOf(asked, ConfigError).value))

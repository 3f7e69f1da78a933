"""The doctor's looks at a proxy that is written down."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import uploaddoctor
from morphnet.cli.probing import Heard
from morphnet.cli.uploaddoctor import REMEDIES, Finding, UploadDoctor

CORS = ("access-control-allow-origin", "*")
TUS = ("tus-version", "1.0.0")
SIZE = ("tus-max-size", "5000000")


class Proxy:
    """Answers each request as a good one would, unless it is told otherwise."""

    ended = False

    def __init__(self) -> None:
        self.instead: dict[str, Heard] = {}  # by verb
        self.begun = 0  # uploads that were left behind
        self._said, self._later, self.end = list[Heard](), list[Heard](), 201

    def __call__(self, verb: str, target: str, headers: Mapping[str, str], body: bytes = b"", /) -> Proxy:
        self.begun += (verb == "PUT" and len(body) < int(headers.get("Content-Length", "0"))) - (verb == "DELETE")
        good = {
            "OPTIONS": Heard(204, (("server", "nginx"), TUS, CORS, SIZE), b""),
            "HEAD": Heard(200, (("upload-offset", "300000"),), b""),
            "POST": Heard(201, (), b""),
            "PATCH": Heard(204, (), b""),
            "DELETE": Heard(204, (), b""),
            "GET": Heard(206, (), b"x" * 10),
        }
        whole = int(headers.get("Content-Length", "0")) == len(body)
        put = [Heard(104, (), b"")] if "Upload-Complete" in headers else []
        said = [good[verb]] if verb in good else [*put, *([Heard(201, (), b"")] if whole else [])]
        self._later = [Heard(self.end, (), b"")] if self.end else []
        self._said = [self.instead[verb]] if verb in self.instead else said
        return self

    def send(self, data: bytes) -> None:
        """The rest of a body."""
        self._said = [*self._said, *self._later]

    def hear(self, seconds: float) -> list[Heard]:
        """See Line."""
        return self._said

    def close(self) -> None:
        """See Line."""


class DoctorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.proxy = Proxy()

    def faults(self) -> list[Finding]:
        doctor = UploadDoctor(self.proxy, "/up/", "", b"secret", 0.0)
        doctor.pause = lambda seconds: None
        return [each for each in doctor.findings() if each.fault]

    def test_well(self) -> None:
        """Nothing is found where nothing is."""
        self.assertEqual((self.faults(), self.proxy.begun), ([], 0))

    def test_faults(self) -> None:
        """Each leads to the line that is to be changed."""
        for verb, answer, remedies in (
            ("OPTIONS", Heard(502, (), b""), ["pass"]),
            ("OPTIONS", Heard(405, (), b""), ["cors"]),
            ("OPTIONS", Heard(204, (TUS, SIZE), b""), ["cors"]),
            ("OPTIONS", Heard(204, (TUS, SIZE, CORS, CORS), b""), ["cors"]),
            ("PUT", Heard(413, (), b""), ["size", "pass"]),
            ("PUT", Heard(404, (), b""), ["pass"]),
            ("GET", Heard(200, (), b"x"), ["pass"]),
            ("HEAD", Heard(404, (), b""), ["buffer"]),
            ("PATCH", Heard(405, (), b""), ["verbs"]),
        ):
            self.proxy.instead = {verb: answer}
            self.patch(uploaddoctor, "_WITHIN", 0.0)
            self.assertEqual([each.remedy for each in self.faults()], remedies, (verb, answer))

    def test_phones(self) -> None:
        """An upload that gets 104 and no end is a fault."""
        self.proxy.end = 0
        self.assertEqual([each.remedy for each in self.faults()], ["interim"])

    def test_our_secret(self) -> None:
        """A slot that the server refuses is no fault of the proxy."""
        self.proxy.instead = {"PUT": Heard(401, (CORS,), b"")}
        (found,) = self.faults()
        self.assertEqual((found.remedy, "is this its secret" in found.fault), ("", True))

    def test_our_limit(self) -> None:
        """A size that the server itself refuses is not the proxy's fault; its sentence is shown, as text."""
        self.proxy.instead = {"PUT": Heard(413, (CORS,), b"your files take \x1b[2J9 bytes\n")}
        found = self.faults()[0]
        self.assertEqual((found.remedy, "proxy" in found.fault), ("", False))
        self.assertIn("your files take ?[2J9 bytes", found.fault)

    def test_no_size(self) -> None:
        """A largest size that is no number is a finding, not a traceback."""
        for size in ("abc", "", "9" * 5000, "²"):
            self.proxy.instead = {"OPTIONS": Heard(204, (TUS, CORS, ("tus-max-size", size)), b"")}
            self.assertEqual(["Tus-Max-Size" in each.fault for each in self.faults()], [True], size)

    def test_remedies(self) -> None:
        """Each has its line for every proxy, which can be filled in."""
        for known in REMEDIES.values():
            self.assertEqual(sorted(known), ["Apache", "Caddy", "nginx"])
            for text in known.values():
                self.assertNotIn("{{", text.format(base="/up/", port=1))

"""How looks are made, and what comes of what cannot be told or mended."""

from __future__ import annotations

from collections.abc import Iterable

from morphnet.cli.doctoring.checks import Check, Fault, Patient, examine
from morphnet.errors import HostError
from tests.cli.doctoring.patients import PatientCase


class ExamineTests(PatientCase):
    def found(self, *checks: Check, mend: bool = False) -> list[tuple[str, str, str]]:
        return [(each.name, each.state, each.cure) for each in examine(self.patient(), "x", checks, mend=mend)]

    def test_states(self) -> None:
        """All well, a fault, a note, and what nobody may know: each in its line."""

        def refused(patient: Patient) -> Iterable[Fault]:
            raise HostError("not for you")

        def gone(patient: Patient) -> Iterable[Fault]:
            raise OSError(2, "No such file", "/x")

        looks = (Check("a", lambda _: ()), Check("b", lambda _: [Fault("t", "c"), Fault("u", "d", grave=False)]))
        more = (Check("c", refused), Check("d", gone))
        expected = [("a", "ok", ""), ("b", "bad", "c"), ("b", "note", "d"), ("c", "unknown", ""), ("d", "unknown", "")]
        self.assertEqual(self.found(*looks, *more), expected)

    def test_mended(self) -> None:
        """Only when that is asked for; what cannot be mended stays, and says why."""
        done: list[str] = []

        def fails() -> None:
            raise OSError(1, "Operation not permitted", "/x")

        look = Check("a", lambda _: [Fault("t", "c", mend=lambda: done.append("it")), Fault("u", "d", mend=fails)])
        self.assertEqual(self.found(look), [("a", "bad", "c"), ("a", "bad", "d")])
        self.assertEqual(done, [])
        tried = "d (tried: /x: Operation not permitted)"
        self.assertEqual(self.found(look, mend=True), [("a", "mended", "c"), ("a", "bad", tried)])
        self.assertEqual(done, ["it"])

    def test_roles(self) -> None:
        """A look is made where it has something to look at."""
        looks = [Check("client", lambda _: (), ("client",)), Check("relay", lambda _: (), ("relay",))]
        self.assertEqual([name for name, _, _ in self.found(*looks)], ["relay"])
        for each in self.place.root.glob("*.toml"):
            each.unlink()
        looks.append(Check("first", lambda _: (), ("client",), before=True))
        self.assertEqual([name for name, _, _ in self.found(*looks)], ["first"])

    def test_mistaken(self) -> None:
        """A configuration with a mistake is a role all the same, of which nothing else is asked."""
        self.place.server_toml.write_text("no_such = 1\n")
        patient = self.patient()
        self.assertEqual((list(patient.mistaken), [each.name for each in patient.roles]), (["server"], ["relay"]))
        self.assertEqual([name for name, _, _ in self.found(Check("a", lambda _: (), ("server",)))], ["a"])

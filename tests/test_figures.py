"""docs/figures says the truth about which tests there are, and its program changes nothing else."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import curves, figures, plots
from tests.bench.measured import Measured, read_lines
from tests.house import ROOT

SVG = "{http://www.w3.org/2000/svg}"
OWED = (
    *(f"A{number}" for number in range(1, 13)),
    *(f"B{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8)),
    *(f"C{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    *(f"D{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9, 11, 17, 18)),
    *(f"E{number}" for number in (1, 2, 3, 4, 5, 6, 8)),
    *(f"F{number}" for number in range(1, 13)),
    *(f"G{number}" for number in range(1, 6)),
    "H6",
    "item 11",
)
PAGE = """before
| B1 | what | how | - |
| B2 | what | how | old |
<!-- begin item 8 -->
old
<!-- end item 8 -->
after"""


class PageTests(SynchronousTestCase):
    """The page as it is."""

    def test_every_figure(self) -> None:
        """Each figure that was promised has its row."""
        rows = {found["figure"] for line in figures.PAGE.read_text().splitlines() if (found := figures.ROW.match(line))}
        self.assertEqual(rows, set(OWED))

    def test_names(self) -> None:
        """Each test and each benchmark that a row names is there, and its figure is one that it speaks of."""
        for line in figures.PAGE.read_text().splitlines():
            if found := figures.ROW.match(line):
                named = re.findall(r"`((?:\w+\.)*(?:test|bench)_\w+)( \w+)?`", found["middle"])
                self.assertTrue(named, line)
                for name, asked in named:
                    folder = "bench/" if name.startswith("bench_") else ""
                    file = ROOT / f"tests/{folder}{name.replace('.', '/')}.py"
                    self.assertTrue(file.exists(), name)
                    if asked:
                        self.assertIn(asked.strip().lower(), file.read_text().lower(), line)
                for path in re.findall(r"test: ([\w.]+)", found["measured"]):
                    module, _, case = path.partition(".test_")
                    name, _, case = case.partition(".")
                    text = (ROOT / f"tests/{module.replace('.', '/')}/test_{name}.py").read_text()
                    self.assertIn(f"class {case}", text, path)


class RewriteTests(SynchronousTestCase):
    """Values that were measured get into the page."""

    def lines(self, *measured: Measured) -> list[dict[str, object]]:
        return list(read_lines("\n".join(["noise", *(each.line() for each in measured), '{"other": 1}'])))

    def test_row(self) -> None:
        """A row gets its values, in their order, with what they had to reach; other rows stay."""
        kept = Measured("B1", "UDP down", 99.5, "%", 95.0, rival="MPTCP", rival_value=98.0)
        page = figures.rewritten(PAGE, self.lines(kept, Measured("B1", "1 TCP", 61.0, "%", 85.0)))
        self.assertIn(
            "| B1 | what | how | UDP down 99.5 % (MPTCP 98); 1 TCP 61 % **short** of ≥ 85 |\n| B2 | what | how | old |",
            page,
        )
        self.assertIn("begin item 8 -->\nold\n", page)

    def test_latest(self) -> None:
        """A case that was measured twice tells the later value."""
        page = figures.rewritten(PAGE, self.lines(Measured("B2", "x", 1.0, "ms"), Measured("B2", "x", 12345.0, "ms")))
        self.assertIn("| B2 | what | how | x 12 345 ms |", page)

    def test_block(self) -> None:
        """A figure with many cases has a table of its own between markers."""
        page = figures.rewritten(PAGE, self.lines(Measured("item 8", "zstd", 0.5, "us")))
        self.assertIn(
            "begin item 8 -->\n| case | measured |\n|---|---|\n| zstd | 0.5 us |\n<!-- end item 8 -->\nafter", page
        )

    def test_machine(self) -> None:
        """Where it was measured is told of a page that got a value, and of no other."""
        page = f"<!-- begin machine -->\nelsewhere\n<!-- end machine -->\n{PAGE}"
        self.assertEqual(figures.rewritten(page, self.lines(Measured("jitter", "x", 1.0, "%"))), page)
        rewritten = figures.rewritten(page, self.lines(Measured("B2", "x", 1.0, "ms")))
        self.assertTrue(rewritten.startswith(f"<!-- begin machine -->\n{figures.machine()}\n<!-- end machine -->\n"))

    def test_rivals(self) -> None:
        """Each rival has a column; what is short of anything that was promised says so once."""
        page = figures.rewritten(
            PAGE,
            self.lines(
                Measured("item 8", "TCP", 6.0, "Gbit/s", 8.0, rival="a", rival_value=2.0),
                Measured("item 8", "TCP", 6.0, "Gbit/s", 5.0, rival="b", rival_value=4.0),
                Measured("item 8", "alone", 1.0, "s"),
            ),
        )
        self.assertIn(
            "| case | measured | a | b |\n|---|---|---|---|\n"
            "| TCP | 6 Gbit/s **short** of ≥ 8 | 2 (3 x) | 4 (1.5 x) |\n| alone | 1 s |  |  |\n",
            page,
        )

    def test_pictures(self) -> None:
        """A picture has a bar for each of ours and each rival, once, the longest being the most."""
        lines = self.lines(
            Measured("rivals", "morphnet: TCP down", 8.0, "Gbit/s", rival="slow", rival_value=1.0),
            Measured("rivals", "morphnet: TCP down", 8.0, "Gbit/s", rival="<fast>", rival_value=16.0),
            Measured("rivals", "morphnet, pure: TCP down", 4.0, "Gbit/s", rival="slow", rival_value=1.0),
        )
        found = plots.bars(plots.PICTURES[0], lines)
        self.assertEqual(
            [(bar.label, bar.value) for bar in found],
            [("morphnet", 8.0), ("morphnet, pure Python", 4.0), ("slow", 1.0), ("<fast>", 16.0)],
        )
        picture = ElementTree.fromstring(plots.drawn("title", found))
        widths = [float(each.get("width", "")) for each in picture.iter(f"{SVG}rect")][1:]
        self.assertEqual(widths[3], 2 * widths[0])

    def test_curves(self) -> None:
        """A picture of rates has a panel for each, with a line for it and one for the others; the latest counts."""
        case = curves.PICTURES["beside-100.svg"][0]
        told = [
            {"curves": case, "who": who, "every": 0.25, "ours": [share] * 120, "theirs": [1 - share] * 120}
            for who, share in (("morphnet", 0.1), ("bare cable", 0.5), ("morphnet", 0.4))
        ]
        text = "\n".join(["noise", *map(json.dumps, [*told, {"curves": "another", "who": "x"}])])
        shown = curves.panels(case, list(curves.read_curves(text)))
        self.assertEqual([(panel.who, panel.ours[0]) for panel in shown], [("morphnet", 0.4), ("bare cable", 0.5)])
        picture = ElementTree.fromstring(curves.drawn("a < b", shown))
        lines = [each.get("points", "").split() for each in picture.iter(f"{SVG}polyline")]
        self.assertEqual([len(line) for line in lines], [120] * 4)
        texts = [each.text for each in picture.iter(f"{SVG}text")]
        self.assertIn("plain TCP", texts)

    def test_smoothed(self) -> None:
        """A point is the mean of itself and those before it, as many as there are."""
        self.assertEqual(curves.smoothed([4.0, 0.0, 0.0, 0.0, 0.0]), [4.0, 2.0, 4 / 3, 1.0, 0.0])

    def test_line(self) -> None:
        """A line says itself whether the promise is kept, and the ratio."""
        line = json.loads(Measured("B5", "queue", 120.0, "ms", 100.0, "less", "x", 60.0).line())
        self.assertEqual((line["kept"], line["ratio"]), (False, 2.0))
        self.assertIsNone(Measured("B5", "queue", 120.0, "ms").kept)

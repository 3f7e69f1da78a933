"""Which coordinator the page calls its home by."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase

# Coordinators by their origin, "" is where the page is from: what each does to a call.
WORLD = """
import { ask, Introduction } from './introduction.js';
let does = {}, asked = [];
const said = (status, told) => ({ ok: status === 200, status, json: async () => told });
globalThis.fetch = async (url) => {
  const others = [{ page: 'https://b.example/page' }, { page: 'https://c.example' }];
  if (url === '/api/coordinator') return said(200, { stun: 1, others });
  const base = url.slice(0, -'/api/call'.length);
  asked.push(base);
  const what = does[base] ?? 200;
  if (what === 'gone') throw new TypeError('no network');
  if (what === 'silent') throw new DOMException('late', 'TimeoutError');
  if (what === 'html') return { ok: false, status: 502, json: async () => JSON.parse('<') };
  return said(what, { body: base, error: `${what}` });
};
const call = async () => {
  asked = [];
  try { return (await ask('{}')).body; } catch (trouble) { return trouble.message; }
};
await new Introduction('home').stun;
const told = [];
"""


class IntroductionTests(ScriptCase):
    def calls(self, *worlds: str) -> object:
        """For each world in turn: what came of a call, and who was asked."""
        turns = "".join(f"does = {world}; told.push([await call(), asked]);" for world in worlds)
        return self.script(WORLD + turns + "console.log(JSON.stringify(told))")

    def test_gone(self) -> None:
        """When the coordinator is gone its fallbacks are asked, and who has answered is asked first from then on."""
        b, c = "https://b.example", "https://c.example"
        gone = "{'': 'gone', 'https://b.example': 'html'}"
        self.assertEqual(
            self.calls("{}", gone, gone, "{'https://c.example': 404}"),
            [["", [""]], [c, ["", b, c]], [c, [c]], ["", [c, ""]]],
        )

    def test_silent(self) -> None:
        """One that says nothing may have told the home: nobody else does at once, but the next try is another's."""
        b = "https://b.example"
        self.assertEqual(self.calls("{'': 'silent'}", "{'': 'silent'}"), [["late", [""]], [b, [b]]])

    def test_refused(self) -> None:
        """Who asks too often is not sent on to ask elsewhere; a home that is nowhere is told as such."""
        self.assertEqual(self.calls("{'': 429}")[0], ["429", [""]])  # type: ignore[index]
        everywhere = "{'': 404, 'https://b.example': 404, 'https://c.example': 'gone'}"
        found, asked = self.calls(everywhere)[0]  # type: ignore[index]
        self.assertEqual((found, len(asked)), ("404", 3))

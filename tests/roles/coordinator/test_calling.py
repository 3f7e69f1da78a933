"""The page's introduction, by itself: which coordinator it calls its home by, and a home that is quick."""

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

# A home whose channel is open, and has said something, before the browser knows that its answer was taken.
HOME = """
const { Introduction } = await import('./introduction.js');
const { Session } = await import('./streams.js');
const { text, toText, utf8 } = await import('./bytes.js');
const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt', 'decrypt']);
const said = [];
const channel = Object.assign(new EventTarget(), { readyState: 'connecting', send: (frame) => said.push(frame[0]) });
const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, key,
  utf8(JSON.stringify({ sdp: 'answer', turn: [] }))));
globalThis.location = { hostname: 'c' };
globalThis.fetch = async (path) => ({ ok: true, json: async () => (path === '/api/coordinator' ? {}
  : { body: toText(utf8(JSON.stringify({ number: 0, sealed: toText(sealed) }))) }) });
globalThis.RTCPeerConnection = class extends EventTarget {
  iceGatheringState = 'complete';
  localDescription = { sdp: 'offer' };
  createDataChannel() { return channel; }
  async createOffer() { return this.localDescription; }
  async setLocalDescription() {}
  async setRemoteDescription() {
    channel.readyState = 'open';
    channel.dispatchEvent(new Event('open'));
    channel.onmessage({ data: Uint8Array.of(1, ...Array(8).fill(0)).buffer });
  }
  close() {}
};
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

    def test_fast_home(self) -> None:
        """A channel that opens at once is taken, and what the home has said meanwhile is heard."""
        text = """
        const introduction = new Introduction('home'), session = new Session();
        introduction.keys = { name: 'session', offer: key, answer: key };
        session.open({});
        const { channel: opened } = await introduction.connect();
        session.attach(opened);
        console.log(JSON.stringify([opened === channel, session.resumed, said]));
        process.exit();
        """
        self.assertEqual(self.script(HOME + text), [True, True, [1, 3]])

    def test_way(self) -> None:
        """A channel that is open before the browser has chosen its way is not told of as one that it may not be."""
        text = """
        const { way } = await import('./introduction.js');
        globalThis.setTimeout = (what) => what();
        const ends = [['a', { candidateType: 'relay', relayProtocol: 'tcp' }], ['b', { candidateType: 'srflx' }]];
        const pair = { type: 'candidate-pair', localCandidateId: 'a', remoteCandidateId: 'b' };
        const told = [];
        for (const last of [
          [...ends, ['t', { type: 'transport', selectedCandidatePairId: 'p' }], ['p', pair]],
          [...ends, ['p', { ...pair, nominated: true, state: 'succeeded' }]],
          [['a', { candidateType: 'host' }], ['b', { candidateType: 'host' }], ['t', { type: 'transport',
            selectedCandidatePairId: 'p' }], ['p', pair]],
          [],
        ]) {
          let looks = 0;
          told.push(await way({ getStats: async () => new Map((looks += 1) < 4 ? ends : last) }));
        }
        console.log(JSON.stringify(told));
        process.exit();
        """
        relay = "Connected by a relay (TURN, TCP)"
        self.assertEqual(self.script(text), [relay, relay, "Connected in one network", "Connected"])

"""The page's introduction, by itself; with a home it is in the lab."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase

# A home whose channel is open, and has said something, before the browser knows that its answer was taken.
WORLD = """
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
        self.assertEqual(self.script(WORLD + text), [True, True, [1, 3]])

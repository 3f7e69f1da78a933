"""The page's end of a link through the coordinator."""

from __future__ import annotations

import json

from morphnet.roles.home.relayed import Seal
from tests.roles.coordinator.scripts import ScriptCase

UP, DOWN, NONCES = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))

# A coordinator that says "go" once it was told the call, and gives down what was put into `down`.
WORLD = """
const { webcrypto } = await import('node:crypto');
if (!globalThis.crypto) Object.defineProperty(globalThis, 'crypto', { value: webcrypto });
let socket = null;
const up = [];
globalThis.WebSocket = class {
  static OPEN = 1;
  constructor(url, protocol) {
    Object.assign(this, { where: [url, protocol], readyState: 1 });
    socket = this;
    setImmediate(() => this.onopen());
  }
  send(data) {
    if (data === 'the call') this.onmessage({ data: 'go' });
    else up.push(Buffer.from(data).toString('hex'));
  }
  close() { if (this.readyState === 1) { this.readyState = 3; this.onclose(); } }
};
const { relayed } = await import('./relayed.js');
const of = (first) => Uint8Array.from({ length: 32 }, (_, at) => first + at);
const { peer, channel } = await relayed('https://c.example', { up: of(0), down: of(32) }, of(64), 'the call', null);
const heard = [];
let over = 0;
channel.onmessage = ({ data }) => heard.push(Buffer.from(data).toString());
channel.onclose = () => { over++; };
const rest = () => new Promise((done) => setImmediate(() => setImmediate(() => setImmediate(done))));
const patience = async (holds) => { for (let turn = 0; turn < 2000 && !holds(); turn++) await rest(); };
const hex = (text) => Uint8Array.from(Buffer.from(text, 'hex')).buffer;
"""


class LinkTests(ScriptCase):
    def test_sealed(self) -> None:
        """Both ways it is what the home's end reads and writes, in order; a message that is not ends it."""
        home = Seal(DOWN, NONCES)
        down = [home.seal(text).hex() for text in (b"one", b"two", b"three")]
        text = f"""
        channel.send(new TextEncoder().encode('first'));
        channel.send(new TextEncoder().encode('second'));
        for (const each of {json.dumps(down[:2])}) socket.onmessage({{ data: hex(each) }});
        await patience(() => heard.length === 2 && up.length === 2);
        socket.onmessage({{ data: hex({json.dumps(down[0])}) }});
        await patience(() => over);
        console.log(JSON.stringify([socket.where, up, heard, over, channel.readyState, peer.relayed]));
        """
        where, up, heard, over, state, relayed = self.script(WORLD + text)
        self.assertEqual(where, ["wss://c.example/api/relay", "morphnet.home.1"])
        browser = Seal(UP, NONCES)
        self.assertEqual([browser.open(bytes.fromhex(each)) for each in up], [b"first", b"second"])
        self.assertEqual((heard, over, state, relayed), (["one", "two"], 1, "closed", True))

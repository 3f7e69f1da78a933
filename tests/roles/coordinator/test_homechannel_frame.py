"""The frame in which the original's browser client asks a coordinator."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase

WORLD = """
const asked = [], told = [];
let hear;
globalThis.addEventListener = (kind, what) => { hear = what; };
globalThis.parent = { postMessage: (message, to) => told.push([message, to]) };
globalThis.window = globalThis;
let servers = [], status = 200;
globalThis.fetch = async (path, { body }) => {
  asked.push([path, JSON.parse(body)]);
  const answer = path === '/api/servers' ? { servers } : status === 200 ? { success: true } : { error: 'no' };
  return { ok: status === 200, status, json: async () => answer };
};
await import('./homechannel/iframe.js');
const request = (method, params, from = parent, origin = 'https://page.example') =>
  hear({ data: { type: 'request', requestId: 7, method, params }, source: from, origin });
"""
END = "; console.log(JSON.stringify([asked, told.slice(1)]))"


class FrameTests(ScriptCase):
    def test_ready(self) -> None:
        """The page around it is told that it may ask; what is no request, or not the page's, is passed over."""
        text = "hear({data: {type: 'other'}, source: parent}); request('poll', {}, {}); await settle();"
        text += "console.log(JSON.stringify([asked, told]))"
        self.assertEqual(self.script(WORLD + text), [[], [[{"type": "ready"}, "*"]]])

    def test_server(self) -> None:
        """A server that is not here yet is asked for three times, three seconds apart."""
        text = "request('getServerInfo', {serverPublicKey: 'K'}); await pass(3100);"
        found = "servers = [{name: 'n'}]; await pass(3100)"
        asked, told = self.script(WORLD + text + found + END)
        self.assertEqual(asked, [["/api/servers", {"serverPublicKeys": ["K"]}]] * 3)
        self.assertEqual(told, [[{"type": "response", "requestId": 7, "data": {"name": "n"}}, "https://page.example"]])
        asked, told = self.script(WORLD + text + "await pass(9000)" + END)
        self.assertEqual((len(asked), told[0][0]["error"]), (3, "Server not found"))

    def test_offer(self) -> None:
        """Offers have the time; a page from a file is answered as well; a refusal is told in words."""
        offer = "{serverPublicKey: 'K', challengeAnswer: 'a', payload: {p: 1}, more: 1}"
        text = f"await request('connect', {offer});"
        text += "await request('poll', {sessionId: 's', lastUpdate: 1}, parent, 'null');"
        text += "status = 403; await request('poll', {}); await request('toString', {})"
        asked, told = self.script(WORLD + text + END)
        self.assertEqual(sorted(asked[0][1]), ["challengeAnswer", "payload", "serverPublicKey", "timestamp"])
        self.assertEqual(asked[1], ["/api/poll", {"sessionId": "s", "lastUpdate": 1}])
        self.assertEqual([to for _, to in told], ["https://page.example", "*"] + ["https://page.example"] * 2)
        self.assertEqual([message.get("error") for message, _ in told], [None, None, "no", "Unknown method: toString"])

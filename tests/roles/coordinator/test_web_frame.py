"""Pages of machines at home: what their frame may have asked, and of whom."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase

# The page's end, with a frame that says what it likes; `opened` is what home is asked for.
PAGE = """
const opened = [], frame = { contentWindow: { postMessage() {} } };
let hear;
globalThis.addEventListener = (kind, what) => { hear = what; };
document.createElement = () => frame;
const session = { open: (asked) => {
  opened.push(JSON.parse(JSON.stringify(asked)));
  return { end() {}, reset() {}, write: ({ length }) => length };
} };
const { Web } = await import('./web.js');
new Web(session, { replaceChildren() {} });
const say = (data) => hear({ source: frame.contentWindow, data });
"""

# The frame, with two machines; `asked` is what it has asked for, `answer` answers one of that.
FRAME = """
const asked = [], made = new Map(), heard = new Map();
const listens = (name) => (kind, what) => heard.set(`${name} ${kind}`, what);
const root = { addEventListener: listens('root'), replaceChildren() {}, getElementById: () => null };
const thing = (name) => ({ addEventListener: listens(name), replaceChildren() {}, attachShadow: () => root });
document.getElementById = (name) => made.get(name) ?? made.set(name, thing(name)).get(name);
document.createElement = () => ({});
globalThis.Option = class {};
globalThis.addEventListener = listens('window');
globalThis.parent = { postMessage: (words) => { if (words.ask) asked.push([words.ask, words.name, words.path]); } };
const say = async (data) => { heard.get('window message')({ source: parent, data }); await settle(); };
const answer = (ask, status, more) => say({ ask, status, type: 'text/plain', cookies: [], asks: '',
  bytes: new Uint8Array(), ...more });
const choose = async (name) => {
  document.getElementById('pages').value = name;
  heard.get('pages change')();
  await settle();
};
const link = (href) => ({ target: { closest: () => ({ getAttribute: () => href }) }, preventDefault() {} });
await import('./app/web.js');
document.getElementById('pages').value = 'a';
await say({ pages: { a: 'http://a.lan/', b: 'http://b.lan/admin/' } });
"""
END = "; console.log(JSON.stringify(asked))"


class WebFrameTests(ScriptCase):
    def test_one_service(self) -> None:
        """Whatever the frame says, it is a request to a page: no other service, and no other word of this one."""
        text = """
        say({ ask: 1, name: 'a', method: 'GET', path: '/', service: 'terminal', do: 'list', rows: 24, cookie: 's=1' });
        say({ ask: 2, name: 'a', method: 'POST', path: '/', sent: 'x', type: 't', authorization: 'Basic x' });
        console.log(JSON.stringify(opened));
        """
        first, second = self.script(PAGE + text)
        self.assertEqual(first, {"service": "web", "name": "a", "method": "GET", "path": "/", "cookie": "s=1"})
        self.assertEqual((second["service"], second["type"], second["authorization"]), ("web", "t", "Basic x"))

    def test_leads_on_meanwhile(self) -> None:
        """An answer of one machine that leads to the one that was chosen meanwhile has nothing asked of that."""
        text = "await choose('b'); await answer(1, 302, { location: 'http://b.lan/reboot' })"
        self.assertEqual(self.script(FRAME + text + END), [[1, "a", "/"], [2, "b", "/admin/"]])

    def test_leads_on(self) -> None:
        """Within one machine it is followed, with the same name."""
        text = "await choose('b'); await answer(1, 302, { location: 'http://a.lan/x' })"
        self.assertEqual(self.script(FRAME + text + END)[2:], [[3, "a", "/x"]])

    def test_link_meanwhile(self) -> None:
        """A link of what is still seen is one of the machine that it is from, whichever was chosen by now."""
        text = """
        await answer(1, 200);
        await choose('b');
        heard.get('root click')(link('reboot'));
        heard.get('root click')(link('http://b.lan/reboot'));
        """
        self.assertEqual(self.script(FRAME + text + END), [[1, "a", "/"], [2, "b", "/admin/"], [3, "a", "/reboot"]])

"""What is served at home besides files and terminals, in a real Chromium, at a desk and on a phone; passkeys."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from morphnet.lab.browsing import PUBLIC
from morphnet.lab.desktop import PORT, XVNC, Desktop
from morphnet.lab.vpn import wait_for
from tests.lab.test_home import MISSING, HomeCase

SITE, ELSEWHERE = "home.example", "https://203.0.113.99/"  # the latter is what the pages of tests/lab/machines ask for
AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
PHONE, DESK = (390, 844), (1000, 700)
AT_FIRST = 200_000  # bytes before an app is opened
VNC, WEB, TERMINAL = (f"/app/{name}.html" for name in ("desktop", "web", "terminal"))
PAGE = "document.getElementById('page').shadowRoot"
ROWS = "document.querySelector('.xterm-rows').textContent"
FIND = "var find = (id) => document.getElementById(id);"

# How many pixels of a picture have about this color.
COUNT = """(async () => {
  const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob('PNG'), (c) => c.charCodeAt(0))]));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height), color = COLOR;
  let found = 0;
  for (let at = 0; at < data.length; at += 4) found += color.every((each, i) => Math.abs(data[at + i] - each) < 8);
  return found;
})()"""


class AppsCase(HomeCase):
    """A browser that comes by a name, as passkeys need it."""

    skip = MISSING or (None if XVNC else "no Xtigervnc here (Debian package tigervnc-standalone-server)")
    rootless = False

    def setUp(self) -> None:
        self.addCleanup(self.nothing_is_left)  # the last of all
        super().setUp()
        self.tmp = Path(self.box.node("m1").dir) / "profile/tmp"
        # Chromium ends the names of STUN servers with a dot before it looks them up.
        self.box.node("m1").hosts({SITE: PUBLIC, f"{SITE}.": PUBLIC})
        self.all.link = self.all.link.replace(PUBLIC, SITE)
        self.home.settings |= {
            "page": f"https://{SITE}",
            "vnc-server": f"127.0.0.1:{PORT}",
            "web-services": "router=http://127.0.0.1:8001/panel/",
            "tcp-services": "console=127.0.0.1:8002",
            "passkeys": True,
        }

    def start(self) -> None:
        self.all.start()
        self.browser = self.all.browser
        self.assertNotEqual(list(self.tmp.glob("org.chromium.*")), [])

    def nothing_is_left(self) -> None:
        """What the browser has put into the directory for temporary files has gone with its node."""
        self.assertFalse(self.tmp.exists())

    def permit(self, setting: str) -> None:
        """Whether the page may speak to the network that the browser is in."""
        for name in ("local-network-access", "local-network", "loopback-network"):
            self.browser.permit(name, setting, f"https://{SITE}")

    def complaints(self) -> list[str]:
        """What page and frames complain of, besides a change of network, and what is kept from pages of machines."""
        kept = "violates the following Content Security Policy"
        return [
            each
            for each in self.browser.console
            if "net::" not in each and not (kept in each and (f"{SITE}/app/web." in each or ELSEWHERE in each))
        ]

    def hosts(self) -> set[str]:
        """Whom the browser has asked for anything."""
        return {each.split("/")[2] for each in self.browser.requests if "//" in each and not each.startswith("blob:")}


class AppTests(AppsCase):
    def setUp(self) -> None:
        super().setUp()
        node = self.home.node
        self.desktop = Desktop(node, "kitchen")
        self.addCleanup(self.desktop.stop)
        machines = node.popen([sys.executable, "-m", "tests.lab.machines"])
        self.addCleanup(machines.wait)
        self.addCleanup(machines.terminate)
        self.start()

    def green(self) -> int:
        """Pixels of the window on the desktop that the browser shows."""
        shown = self.browser.ask("Page.captureScreenshot")["data"]
        return int(self.browser.run(COUNT.replace("PNG", shown).replace("COLOR", "[0x2e, 0x8b, 0x57]")))

    def axe(self, frame: str = "") -> list[Any]:
        """What axe-core finds in the page or in a frame, each as rule and place."""
        if self.browser.run("typeof axe", frame=frame) == "undefined":
            self.browser.run(AXE + "; 0", frame=frame)
        found = self.browser.run(
            "axe.run(document, { iframes: false, preload: false }).then(({ violations }) =>"
            " violations.map(({ id, nodes }) => [id, ...nodes.map((each) => [each.target, each.any[0]?.message])]))",
            60.0,
            frame,
        )
        return list(found)

    def look_at(self, what: str, frame: str = "") -> None:
        """At a desk by day and on a phone by night: nothing is found, and nothing is wider than the screen."""
        frames = ("", frame) if frame else ("",)
        for phone in (False, True):
            self.browser.window(*(PHONE if phone else DESK), phone=phone, dark=phone)
            for each in frames:
                self.assertEqual(self.axe(each), [], f"{what} {each}, phone: {phone}")
        for each in frames:
            width = self.browser.run("document.documentElement.scrollWidth", frame=each)
            self.assertLessEqual(width, PHONE[0], f"{what} {each}")
        self.browser.window(*DESK)

    def enter_desktop(self, password: str) -> None:
        self.browser.until("!document.getElementById('ask').hidden", frame=VNC)
        self.browser.run(f"{FIND} find('password').value = {json.dumps(password)}; find('connect').click()", frame=VNC)

    def test_desktop(self) -> None:
        """
        The password of the VNC server is asked for by the frame; what is drawn is shown, clicks and keys arrive,
        each once, those too that are typed while there is no network. The page may speak to its local network.
        """
        self.permit("granted")
        self.all.log_in()
        self.browser.click("#open-vnc")
        self.enter_desktop("wrong")
        self.browser.until("!document.getElementById('over').hidden", frame=VNC)
        why = self.browser.run("document.getElementById('why').textContent", frame=VNC)
        self.assertEqual(why, "The VNC server says: Authentication failure.")
        self.browser.run("document.getElementById('again').click()", frame=VNC)
        self.enter_desktop("kitchen")
        self.browser.until("inside.apps.vnc.shown")
        self.assertEqual(self.browser.run("inside.apps.vnc.shown"), {"width": 640, "height": 400})
        wait_for("the window is drawn", lambda: self.green() > 50_000)
        self.browser.point("#vnc iframe")
        wait_for("the desktop has heard a key", self.key_heard, 30.0)
        self.browser.key("a")
        self.all.other_network()
        self.browser.key("b")
        self.browser.until("inside.presence.again >= 1", 60.0)
        self.browser.key("c")
        wait_for("the desktop has heard it", lambda: "key c" in self.desktop.told())
        told = [each.split(" at ")[0] for each in self.desktop.told() if each not in ("drawn", "key z")]
        self.assertEqual(told, ["button 1", "key a", "key b", "key c"])
        self.assertEqual((self.complaints(), self.hosts()), ([], {SITE}))
        told = self.home.morphnet("events", "--dir", str(self.home.etc)).splitlines()
        self.assertEqual(sum(line.endswith(f"opens vnc at 127.0.0.1:{PORT}") for line in told), 2)

    def test_web(self) -> None:
        """
        A page of a machine: its style and pictures, its forms with a cookie, and nothing that runs or asks anybody
        else; a console, line by line. The page may not speak to its local network.
        """
        self.permit("denied")
        self.all.log_in()
        self.browser.click("#open-web")
        self.shows("Router – /panel/")
        self.assertIn("by scripts does not run", self.in_page("document.getElementById('note').textContent"))
        self.browser.until(f"getComputedStyle({PAGE}.querySelector('h1')).color === 'rgb(1, 100, 50)'", frame=WEB)
        self.browser.until(f"{PAGE}.querySelector('img').naturalWidth === 100", frame=WEB)
        self.in_page("page.querySelectorAll('a')[1].click()")
        self.assertIn("leads elsewhere", self.in_page("document.getElementById('note').textContent"))
        self.in_page("[page.querySelectorAll('a')[2].click(), page.querySelector('h1').click()]")
        self.in_page("page.querySelector('button').click()")
        self.shows("Status – /panel/status")
        self.assertEqual(self.in_page("page.getElementById('cookie').textContent"), "saved=name=attic+%26+roof")
        self.browser.click("#open-tcp")
        self.browser.until("inside.apps.tcp.stream?.open === true")
        self.browser.until(f"{ROWS}.includes('console ready')", frame=TERMINAL)  # before that nobody takes keys
        wait_for("the console has heard a line", self.line_one, 30.0)
        self.assertEqual((self.complaints(), self.hosts()), ([], {SITE}))
        self.assertEqual(self.browser.run("document.title", frame=WEB), "Web")

    def key_heard(self) -> bool:
        """Press one that does not count, see `line_one`."""
        self.browser.key("z")
        time.sleep(0.5)
        return "key z" in self.desktop.told()

    def line_one(self) -> bool:
        """Type it. Chromium's protocol loses keys that come before a frame in a process of its own has the keyboard."""
        self.browser.point("#tcp iframe")
        self.browser.type("line one\n")
        time.sleep(0.5)
        return bool(self.browser.run(f"{ROWS}.includes('LINE ONE')", frame=TERMINAL))

    def in_page(self, script: str) -> Any:
        return self.browser.run(f"(() => {{ const page = {PAGE}; return {script}; }})()", frame=WEB)

    def shows(self, where: str) -> None:
        """Wait until the frame shows this page."""
        self.browser.until(f"document.getElementById('where').textContent === {json.dumps(where)}", frame=WEB)

    def test_screens(self) -> None:
        """
        The page is small before an app is opened; axe-core finds nothing in login, files, terminal, desktop, web and
        passkeys, at a desk by day and on a phone by night; nothing is wider than a phone.
        """
        self.assertLess(self.browser.received, AT_FIRST)
        self.look_at("login")
        for name in ("Documents", "A very long name of a letter to the landlord about the heating.odt"):
            (self.share / name).mkdir()
        self.all.log_in()
        self.browser.until("document.querySelectorAll('#files tbody tr').length === 2")
        self.look_at("files")
        for app, frame in (("terminal", TERMINAL), ("vnc", VNC), ("web", WEB), ("passkeys", "")):
            self.browser.click(f"#open-{app}")
            if frame:
                self.browser.until("true", frame=frame)
            if app == "vnc":
                self.browser.until("!document.getElementById('ask').hidden", frame=VNC)
                self.look_at("the question of the desktop", VNC)
                self.enter_desktop("kitchen")
                self.browser.until("inside.apps.vnc.shown")
            self.look_at(app, frame)
        self.assertEqual(self.complaints(), [])


class PasskeyTests(AppsCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()

    def test_passkey(self) -> None:
        """
        Added by who is logged in, it logs in without a password, after a restart of the home too; the session is one
        like any other, and survives a change of network; removed, it logs in no more.
        """
        browser = self.browser
        browser.ask("WebAuthn.enable")
        how = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        how |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        device = browser.ask("WebAuthn.addVirtualAuthenticator", options=how)["authenticatorId"]
        self.all.log_in()
        browser.click("#open-passkeys")
        browser.run("window.prompt = () => 'my phone'; window.confirm = () => true; 0")
        browser.click("#add-passkey")
        browser.until(
            "document.querySelector('#passkeys [role=status]').textContent === 'my phone can log in from now on.'"
        )
        kept = self.home.etc / "home/passkeys"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(browser.ask("WebAuthn.getCredentials", authenticatorId=device)["credentials"]), 1)
        self.reload()
        self.home.stop()
        self.home.start()
        self.all.wait_registered()
        self.assertEqual(self.by_passkey(), "")
        self.all.look()
        self.all.other_network()
        browser.until("inside.presence.again >= 1")
        browser.run("keys('echo still-$((6*7))\\n')")
        browser.until("seen.includes('still-42')")
        self.assertEqual((self.home.count("logins"), self.home.count("logins_wrong")), (1, 0))
        browser.click("#open-passkeys")
        browser.run("window.confirm = () => true; 0")
        browser.click("#passkeys li button")
        browser.until("document.querySelector('#passkeys [role=status]').textContent === 'my phone logs in no more.'")
        self.reload()
        self.assertEqual(self.by_passkey(), "this passkey is not known here")
        self.assertEqual((self.home.count("logins_wrong"), self.complaints()), (1, []))

    def reload(self) -> None:
        self.browser.ask("Page.reload")
        self.browser.until("document.readyState === 'complete' && !window.inside")

    def by_passkey(self) -> str:
        """Log in by it; what the page complains of."""
        self.browser.run("document.addEventListener('entered', (e) => { window.inside = e.detail; })")
        self.browser.run(f"{FIND} find('trouble').textContent = ''; find('passkey').click()")
        self.browser.until("window.inside || document.getElementById('trouble').textContent", 60.0)
        return str(self.browser.run("document.getElementById('trouble').textContent"))

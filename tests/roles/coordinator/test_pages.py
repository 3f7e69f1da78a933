"""The page, as it is given out."""

from __future__ import annotations

import hashlib
import json
import re

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.coordinator.pages import WEB, origin_of, own_pages, read_pages
from tests.house import ROOT

AT_FIRST = 200_000  # bytes, before an app is opened


class PageTests(SynchronousTestCase):
    def test_policy(self) -> None:
        """Every file has a strict policy: nothing inline runs, nothing comes from elsewhere."""
        pages = read_pages()
        self.assertIn("/", pages)
        for path, page in pages.items():
            policy = page.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'; script-src 'self';", policy)
            self.assertNotIn("unsafe-eval", policy)
            if path not in ("/app/terminal.html", "/app/web.html"):
                self.assertNotIn("unsafe", policy)
            self.assertNotRegex(policy, "script-src [^;]*unsafe")
            self.assertEqual(page.headers["X-Content-Type-Options"], "nosniff")
            shared = page.headers.get("Access-Control-Allow-Origin")
            self.assertEqual(shared, "*" if path.startswith(("/app/", "/vendor/")) else None)

    def test_apps(self) -> None:
        """Each app has a policy of its own, and no origin."""
        apps = {path: page for path, page in read_pages().items() if path.startswith("/app/") and ".html" in path}
        self.assertGreaterEqual(len(apps), 2)
        for page in apps.values():
            self.assertRegex(page.headers["Content-Security-Policy"], "; sandbox allow-scripts( allow-forms)?$")

    def test_others(self) -> None:
        """The page may call the fallbacks, and nobody else; an app nobody at all."""
        origins = [origin_of(each) for each in ("https://B.example/x/y", "http://192.0.2.1:8080")]
        before, pages = read_pages(), {path: page.calling(origins) for path, page in read_pages().items()}
        policy = pages["/"].headers["Content-Security-Policy"]
        self.assertNotEqual(before["/"].mark, pages["/"].mark)
        self.assertEqual(before["/"].calling(()), before["/"])
        self.assertIn(
            "; connect-src 'self' http://192.0.2.1:8080 https://b.example ws://192.0.2.1:8080 wss://b.example;", policy
        )
        self.assertNotIn("b.example", pages["/app/terminal.html"].headers["Content-Security-Policy"])

    def test_own(self) -> None:
        """A page of one's own names its coordinators, may call them, and is else the same."""
        theirs, ours = read_pages(), own_pages(["https://B.example/x", "https://b.example", 'http://192.0.2.1:80"80'])
        self.assertIn(
            b'<meta name="coordinators" content="https://b.example http://192.0.2.1:80&quot;80">', ours["/"].body
        )
        self.assertIn("connect-src 'self' http://192.0.2.1", ours["/"].headers["Content-Security-Policy"])
        self.assertNotEqual(ours["/"].mark, theirs["/"].mark)
        changed = [path for path, page in theirs.items() if ours[path].body != page.body]
        self.assertEqual(changed, ["/"])

    def test_only_tls(self) -> None:
        """Where we serve HTTPS no browser comes without it again; where a proxy does, that is for the proxy to say."""
        for tls, policy in ((True, "max-age=31536000"), (False, None)):
            said = {page.headers.get("Strict-Transport-Security") for page in read_pages(tls=tls).values()}
            self.assertEqual(said, {policy})

    def test_nothing_inline(self) -> None:
        """No page has a script, a style or a call of its own in it, which the policy would refuse."""
        for file in WEB.rglob("*.html"):
            text = file.read_text()
            self.assertNotRegex(text, r"<style|\sstyle=|\son\w+=|javascript:|https?://")
            self.assertEqual(re.findall(r"<script[^>]*>(?!</script>)", text), [])

    def test_no_secret_is_kept(self) -> None:
        """Our scripts keep nothing in the browser, and build no page out of text."""
        for file in (*WEB.glob("*.js"), *WEB.glob("app/*.js")):
            self.assertNotRegex(
                file.read_text(), r"localStorage|sessionStorage|indexedDB|document.cookie|innerHTML|\beval\b"
            )

    def test_small(self) -> None:
        """What is loaded before an app is opened is small."""
        first = [*WEB.glob("*.*"), WEB / "vendor/noble-ed25519.js"]
        self.assertLess(sum(file.stat().st_size for file in first), AT_FIRST)

    def test_vendored(self) -> None:
        """What others wrote is as it came: its hash, package and licence are written down; what tests bring as well."""
        for vendor in (WEB / "vendor", ROOT / "tests/lab/vendor"):
            sources = json.loads((vendor / "SOURCES.json").read_text())
            files = {file.relative_to(vendor).as_posix() for end in ("js", "css") for file in vendor.rglob(f"*.{end}")}
            self.assertEqual(files, set(sources))
            for name, source in sources.items():
                self.assertEqual(hashlib.sha256((vendor / name).read_bytes()).hexdigest(), source["sha256"])
                self.assertTrue(source["npm_integrity"].startswith("sha512-"))
                licences = {file.stem for file in vendor.glob("*.LICENSE")}
                self.assertIn(name.partition("/")[0].partition(".")[0], licences)

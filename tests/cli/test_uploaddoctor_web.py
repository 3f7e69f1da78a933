"""The doctor of uploads, with a real Caddy and a real Apache that do each of their faults."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.probing import caller
from morphnet.cli.uploaddoctor import REMEDIES, Finding, UploadDoctor
from tests.upload_nodes import SECRET, UploadNode
from tests.web_proxies import Apache, Caddy, WebProxy

SILENCE = 3.0  # seconds
_CADDY = "handle /upload/* {{\n reverse_proxy 127.0.0.1:{port} {{\n{more}\n}}\n}}"
_APACHE = "ProxyPass /upload/ http://127.0.0.1:{port}/upload/"
_HERE = "ProxyPass /upload/ http://127.0.0.1:{{port}}/upload/\n<Location /upload/>\n{more}\n</Location>"

# What is wrong -> its settings, and with them those of the whole server -> what the doctor says, and its remedy.
OF_CADDY: Mapping[str, tuple[str, str, str, str]] = {
    "nothing": (_CADDY, "", "", ""),
    "path": (_CADDY.replace("handle /", "handle_path /"), "", "another one when it comes", "pass"),
    "nobody": (_CADDY.replace("{port}", "1"), "", "502", "pass"),
    "size": (f"request_body {{{{\n max_size 2MB\n}}}}\n{_CADDY}", "", "its own limit", "size"),
    "buffer": (_CADDY.replace("{more}", "buffer_requests\nmax_buffer_size 100MB"), "", "keeps a body", "buffer"),
    "time": (_CADDY, "servers {\n timeouts {\n read_body 2s\n }\n }", "the proxy ends it", "time"),
    "verbs": (
        f"@some method PATCH\nhandle @some {{{{\n respond 405\n}}}}\n{_CADDY}",
        "",
        "PATCH with 405",
        "verbs",
    ),
    "cors": (f"header +Access-Control-Allow-Origin *\n{_CADDY}", "", "comes twice", "cors"),
}
OF_APACHE: Mapping[str, tuple[str, str, str, str]] = {
    "nothing": (_APACHE, "", "", ""),
    "path": (_APACHE.replace("}/upload/", "}/"), "", "another one when it comes", "pass"),
    "nobody": (_APACHE.replace("{port}", "1"), "", "503", "pass"),
    "buffer": (_HERE.format(more="SetInputFilter BUFFER\nBufferSize 20000000"), "", "keeps a body", "buffer"),
    "time": (f"{_APACHE}\nRequestReadTimeout body=2", "", "the proxy ends it", "time"),
    "verbs": (
        _HERE.format(more="<LimitExcept GET PUT OPTIONS POST>\nRequire all denied\n</LimitExcept>"),
        "",
        "PATCH with 403",
        "verbs",
    ),
    "cors": (f"{_APACHE}\nHeader add Access-Control-Allow-Origin *", "", "comes twice", "cors"),
}


class WebDoctorTests(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        self.node = UploadNode("max_size = 50000000")
        self.addCleanup(self.node.end)

    def diagnosis(self, proxy: WebProxy) -> tuple[str, list[Finding]]:
        """What it calls itself, and what is found."""
        try:
            proxy.start()
            url = urlsplit(f"http://localhost:{proxy.port}/upload/")
            doctor = UploadDoctor(caller(url), "/upload/", "", SECRET.encode(), SILENCE)
            found = list(doctor.findings())
            return doctor.proxy, found
        finally:
            proxy.end()

    def look(self, kind: type[WebProxy], faults: Mapping[str, tuple[str, str, str, str]]) -> None:
        """Each fault is found, with its remedy, and nothing else is blamed."""
        self.node.start()
        made = [kind(site.format(port=self.node.port, more=""), servers) for site, servers, _, _ in faults.values()]
        with ThreadPoolExecutor(len(made)) as pool:
            told = list(pool.map(self.diagnosis, made))
        for (name, (_, _, said, remedy)), (proxy, findings) in zip(faults.items(), told, strict=True):
            bad = [each for each in findings if each.fault and (each.remedy or not said)]
            if not said:
                self.assertEqual([each for each in bad if each.remedy], [], name)
                continue
            self.assertEqual([each.remedy for each in bad], [remedy], (name, findings))
            self.assertIn(said, bad[0].fault, (name, findings))
            self.assertTrue(any(each.lower() in proxy.lower() for each in REMEDIES[remedy]), (name, proxy))

    def test_caddy(self) -> None:
        """Caddy."""
        self.look(Caddy, OF_CADDY)

    def test_apache(self) -> None:
        """Apache."""
        self.look(Apache, OF_APACHE)

    if not Caddy.is_here():
        test_caddy.skip = "no caddy here"  # type: ignore[attr-defined]
    if not Apache.is_here():
        test_apache.skip = "no apache2 here"  # type: ignore[attr-defined]

"""The doctor of uploads, with a real nginx that does each of its faults."""

from __future__ import annotations

from tests.lab.nginx import NGINX, Nginx
from tests.lab.test_upload_here import URL, HereCase

PASS = "proxy_pass http://127.0.0.1:8050;"
CORS = "proxy_pass http://127.0.0.1:8050; add_header Access-Control-Allow-Origin '*' always;"
FAULTS = {  # what stands in the place of a line that was printed -> what the doctor says of it
    ("client_max_body_size 0;", ""): ("its own limit", "nginx: client_max_body_size 0;"),
    ("proxy_request_buffering off;", ""): ("keeps a body", "nginx: proxy_request_buffering off;"),
    (PASS, "proxy_pass http://127.0.0.1:8050/;"): ("another one when it comes", f"nginx: {PASS}"),
    (PASS, "proxy_pass http://127.0.0.1:8059;"): ("502", f"nginx: {PASS}"),
    (PASS, "return 200 'hello';"): ("somebody else", f"nginx: {PASS}"),
    (PASS, CORS): ("comes twice", "nginx: # remove `add_header`"),
    (PASS, f"{PASS} proxy_hide_header Access-Control-Allow-Origin;"): ("allows no origin", "nginx: # remove"),
    (PASS, f"{PASS} client_body_timeout 1s;"): ("the proxy ends it", "nginx: client_body_timeout 150s;"),
    (PASS, f"{PASS} limit_except GET PUT OPTIONS {{ deny all; }}"): (
        "PATCH with 403",
        "nginx: # remove `limit_except`",
    ),
}


class DoctorTests(HereCase):
    skip = HereCase.skip or (None if NGINX else "no nginx here")
    timeout = 180

    def setUp(self) -> None:
        super().setUp()
        self.says(0, "up")
        self.port = 8080

    def diagnosis(self, server: str) -> tuple[int, str]:
        """Exit code and text, of an nginx with this block."""
        self.port += 1
        nginx = Nginx(self.node, self.port, server)
        nginx.start()
        try:
            url = URL.replace(":8080", f":{self.port}")
            code, lines = self.run_here("doctor", "upload", url, "--silence", "2.5")
        finally:
            nginx.stop()
        return code, "\n".join(lines)

    def test_well(self) -> None:
        """What `init` prints has no fault; one of another secret, and one where nobody is, have."""
        code, text = self.diagnosis(self.printed("location /upload/ {"))
        self.assertEqual((code, text.count("BAD"), "Traceback" in text), (0, 0, False), text)
        (self.etc / "upload.secret").write_text("another secret of it\n")
        code, text = self.diagnosis(self.printed("location /upload/ {"))
        self.assertIn("is this its secret", text)
        self.assertEqual(code, 1)
        code, lines = self.run_here("doctor", "upload", "http://localhost:9999/upload/")
        self.assertEqual(code, 1, lines)
        self.assertIn("Connection refused", lines[0])

    def test_faults(self) -> None:
        """Each is found, and the line for nginx printed; nothing else is blamed."""
        for (line, instead), (said, remedy) in FAULTS.items():
            good = self.printed("location /upload/ {")
            self.assertIn(line, good)
            code, text = self.diagnosis(good.replace(line, instead))
            self.assertEqual((code, text.count("BAD")), (1, 1), f"{instead}: {text}")
            self.assertIn(said, text, instead)
            self.assertIn(remedy, text, instead)

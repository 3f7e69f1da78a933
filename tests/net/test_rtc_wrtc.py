"""Chrome's own engine."""

from __future__ import annotations

from tests.net import rtc_case


class WrtcTests(rtc_case.MakeCase):
    make = "wrtc"


class WrtcBrowserTests(rtc_case.BrowserCase):
    make = "wrtc"

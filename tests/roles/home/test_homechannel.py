"""A home of ours for browsers of the original; the whole of it is in `test_homechannel_live`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.home import HomeConfig
from morphnet.config.homechannel import HomeChannelServerConfig, OldBrowsersConfig
from morphnet.errors import ConfigError
from morphnet.roles.home.homechannel import HomeChannelHome, candidates, whole_offer

SDP = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:data\r\n"
ONE = "candidate:1 1 udp 1 192.0.2.1 9 typ host"


class OfferTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """Candidates that come beside an offer are put into it, once; what is no offer is none."""
        beside = [{"candidate": ONE}, {"candidate": "x"}, 7, {"candidate": f"{ONE}\r\na=evil"}]
        offer = whole_offer({"sdp": {"sdp": SDP}, "candidates": beside})
        self.assertEqual(offer, f"{SDP}a={ONE}\r\n")
        self.assertEqual(whole_offer({"sdp": {"sdp": offer}, "candidates": beside}), offer)
        for wrong in ({}, {"sdp": SDP}, {"sdp": {"sdp": 7}}):
            self.assertEqual(whole_offer(wrong), "")

    def test_candidates(self) -> None:
        """Those of an answer, each once, with the name of its section."""
        answer = f"{SDP}a={ONE}\r\na={ONE}\r\n"
        self.assertEqual(candidates(answer), [{"candidate": ONE, "sdpMLineIndex": 0, "sdpMid": "data"}])


class SettingsTests(SynchronousTestCase):
    def test_missing(self) -> None:
        """What is missing is told before anything is opened."""
        full = {"coordinator": "c:1", "coordinator_key": "A" * 60, "password_file": "/nowhere", "app": str(Path())}
        for name in (*full, ""):
            old = HomeChannelServerConfig(enabled=True, **{**full, name: ""} if name else full)
            config = HomeConfig(legacy=OldBrowsersConfig(old))
            nothing: Any = None
            told = self.assertRaises(
                ConfigError,
                HomeChannelHome,
                Clock(),
                config,
                Ed25519PrivateKey.generate(),
                nothing,
                nothing,
                nothing,
            )
            self.assertIn("are needed" if name else "/nowhere", str(told))

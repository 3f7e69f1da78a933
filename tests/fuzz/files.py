"""Files, certificates, and what the kernel says."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from morphnet.config import policy
from morphnet.config.file import loads
from morphnet.config.lines import key_lines
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.errors import ConfigError, HostError, MalformedFrame, Refused
from morphnet.host import dns, facts, hosts, netlink
from morphnet.host.host import KINDS
from morphnet.host.journal import decode_journal, encode_change
from morphnet.host.routes import Address
from morphnet.pki import authority, invitation, revocations
from morphnet.pki import policy as signed_policy
from morphnet.pki.rotation import Authorities
from morphnet.pki.signer import answer
from morphnet.pki.signing import Signer
from morphnet.roles.certificates.proxied import CERTIFICATE, Proxied
from morphnet.wire import wireguard
from tests import fakes_pki
from tests.fuzz.target import Target, of_text


def _read_certificate(data: bytes) -> object:
    header = data.decode("latin-1").replace("\n", "%0A")
    return Proxied(lambda: {"": [_NETWORK.certificate]}, lambda _: False, lambda: fakes_pki.NOW).peer(
        {CERTIFICATE: header}
    )


def _read_config(data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    key_lines(text)
    for role in (ServerConfig, ClientConfig, RelayConfig):
        with contextlib.suppress(ConfigError):
            loads(role, text, Path("/etc/morphnet/some.toml"))
    return text


def _read_netlink(data: bytes) -> object:
    found: list[object] = []
    for kind, _, payload in netlink.messages(data):
        found += [facts.link_fact(payload), facts.address_fact(payload), *facts.route_facts(payload)]
        found += [facts.concerns_uplinks(kind, payload), facts.loses_routes(kind, payload)]
    return found


def _read_journal(data: bytes) -> object:
    return decode_journal(data, KINDS)


_JOURNAL = b'{"world": "w"}\n' + b"".join(encode_change(n, Address("t0", f"10.0.0.{n}/32")) for n in (1, 2))


def _hosts(data: bytes) -> str:
    block = hosts.with_block(data.decode("utf-8", "replace"), ["10.73.0.2 bert"])
    assert hosts.with_block(block, ["10.73.0.2 bert"]) == block
    return block


_NETWORK = fakes_pki.an_authority()
_REQUEST = authority.make_request(fakes_pki.a_key(9), "laptop").encode()
_LISTED = _NETWORK.revocations(["ab12"], now=fakes_pki.NOW)


def _ask_signer(data: bytes) -> object:
    """Whatever is asked, there is an answer, and the process does not end."""
    made = Signer(Authorities(_NETWORK), [_NETWORK.certificate], fakes_pki.LooseBook(), lambda: fakes_pki.NOW)
    return json.dumps(answer(data, lambda: made))


_INVITED = authority.as_pem(fakes_pki.an_invitation(_NETWORK).certificate).decode()
_JOIN = {"ask": "join", "shown": _INVITED, "csr": _REQUEST.decode(), "addresses": ["10.73.0.9"]}
_REVOKE = {"ask": "revocations", "number": 7, "at": fakes_pki.NOW, "recent": {"ab12": 7}, "parts": {}}
_POLICY = """
[groups]
admins = ["laptop"]
[[allow]]
from = ["@admins", "10.0.0.0/8", "fd00::/8"]
to = ["home", "world", "gateway"]
ports = ["22/tcp", "443", "1-9/udp", "icmp"]
"""


def _read_policy(data: bytes) -> object:
    """What was read is signed as it was read, and judges whoever comes."""
    found = policy.from_toml(data.decode("utf-8", "surrogateescape"))
    assert policy.from_text(found.as_text()) == found
    ends = policy.Who(("laptop",), bytes((10, 0, 0, 1))), policy.Who((), bytes(16))
    return [found.allows(one, other, protocol, 22) for one in ends for other in ends for protocol in (1, 6, 17)]


SIGNED = (
    Target("signer", _ask_signer, (), tuple(json.dumps(each).encode() for each in (_JOIN, _REVOKE))),
    Target(
        "invitations",
        of_text(invitation.decode),
        (ConfigError,),
        (invitation.encode(fakes_pki.an_invitation(_NETWORK)).encode(),),
    ),
    Target(
        "revocations",
        of_text(lambda text: revocations.read_revocations(text, _NETWORK.certificate)),
        (Refused,),
        (_LISTED.pem.encode(),),
    ),
    Target(
        "revocations_kept",
        of_text(lambda text: revocations.from_text(text, _NETWORK.certificate)),
        (Refused,),
        (revocations.as_text(_LISTED).encode(),),
    ),
    Target(
        "policy_signed",
        signed_policy.unpack,
        (Refused,),
        (signed_policy.pack(signed_policy.Published(7, policy.from_toml(_POLICY))),),
    ),
    Target("csr", of_text(authority.requested_key), (Refused,), (_REQUEST,), ()),
    Target(
        "certificates",
        _read_certificate,
        (Refused,),
        (authority.as_pem(fakes_pki.a_client(_NETWORK)),),
    ),
)

_ANSWER = (
    b"private_key=" + b"1" * 64 + b"\nlisten_port=51820\npublic_key=" + b"2" * 64 + b"\npreshared_key=" + b"3" * 64
) + b"\nendpoint=198.51.100.6:40123\nlast_handshake_time_sec=1800000000\nallowed_ip=10.73.0.5/32\nerrno=0\n\n"


def _read_wireguard(data: bytes) -> object:
    told = wireguard.decode_told(data)
    wireguard.decode_done(data)
    return told, [wireguard.key_bytes(each.peer.public_key) for each in told.peers]


FILES = (
    Target(
        "wireguard",
        _read_wireguard,
        (MalformedFrame, HostError),
        (_ANSWER, b"errno=0\n\n"),
        ("wire.wireguard.decode_told", "wire.wireguard.decode_done"),
    ),
    Target(
        "wireguard_key",
        of_text(wireguard.key_bytes),
        (MalformedFrame,),
        (b"A" * 43 + b"=",),
        ("wire.wireguard.key_bytes",),
    ),
    Target("config", _read_config, (), (b'[mesh]\npeers = ["*"]\n', b'name = "x"\n[manhole]\nenabled = true'), ()),
    Target("policy", _read_policy, (ConfigError,), (_POLICY.encode(), b"allow = []"), ()),
    Target("journal", _read_journal, (), (_JOURNAL, _JOURNAL + b'{"undone": [1]}\n'), ()),
    Target(
        "resolv_conf",
        lambda data: dns.nameservers(data.decode("utf-8", "replace")),
        (),
        (b"search lan\nnameserver 192.0.2.1\noptions edns0\n",),
    ),
    Target("hosts", _hosts, (), (b"127.0.0.1 localhost\n# morphnet begin\n# morphnet end\n",), ()),
    Target(
        "netlink",
        _read_netlink,
        (),
        (
            netlink.message(16, 0, 1, bytes(16) + netlink.attribute(3, b"eth0\0")),
            netlink.message(20, 0, 1, bytes((2, 24, 0, 0, 0, 0, 0, 2)) + netlink.attribute(2, bytes(4))),
            netlink.message(24, 0, 1, bytes((2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0)) + netlink.attribute(5, bytes(4))),
        ),
    ),
)

"""Configuration from TOML and the command line, and back."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import Setting, load, loads, option_name, render, settings
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.errors import ConfigError

FILE = Path("/etc/morphnet/x.toml")
KEYS = [setting.key for cls in (ServerConfig, ClientConfig) for setting in settings(cls)]

_values = st.sampled_from(
    ["1", "-1", "0", "1.5", "nan", "inf", '"x"', '""', "true", "[]", '["a"]', "[1]", "{}", "{ mtu = 1 }", "1979-05-27",
     '"10.0.0.0/8"', '"bond"', "99999999999999999999999", '"\\u0000"', '"::1"', '["10.0.0.0/8", "default"]']
)  # fmt: skip
_pairs = st.builds(
    lambda key, value: f"{key} = {value}\n", st.sampled_from([*KEYS, "tuning", "manhole", "nam"]), _values
)
_odd = st.sampled_from(
    ["[tuning]\n", "[manhole]\n", "[[tuning]]\n", "# c\n", "\n", '"""', "'", "[", "{", "=", "x", "é", "\r"]
)
toml_like = st.lists(_pairs | _odd, max_size=8).map("".join)


class AnyTextTests(SynchronousTestCase):
    def _try(self, cls: type[Any], text: str) -> None:
        try:
            loads(cls, text, FILE)
        except ConfigError as error:
            self.assertTrue(str(error).startswith(str(FILE)), str(error))
            self.assertNotIn("\n", str(error))

    @given(st.text() | toml_like)
    def test_text(self, text: str) -> None:
        """Any text is a configuration, or refused with one sentence that names the file."""
        self._try(ServerConfig, text)
        self._try(ClientConfig, text)

    @given(
        st.sampled_from(KEYS), st.text() | st.sampled_from(["1", "0", "-3", "yes", "nan", "10.0.0.0/8", "a,b", "::1"])
    )
    def test_typed(self, key: str, typed: str) -> None:
        """Likewise anything typed for any option."""
        for cls in (ServerConfig, ClientConfig):
            try:
                loads(cls, 'name = "a"\n' if cls is ServerConfig else 'server = "a"\n', FILE, {key: typed})
            except ConfigError as error:
                self.assertNotIn("\n", str(error))


# What stands in a server's file, and what is said about it.
REFUSALS = (
    (
        'name = "x"\nlisten = ["a"]',
        "line 2: 'listen' must hold IP addresses, not 'a'",
    ),
    (
        'nam = "x"',
        "line 1: there is no setting 'nam'; did you mean 'name'?",
    ),
    (
        'name = "x"\nscheduler = "bond"',
        "line 2: there is no setting 'scheduler' here; 'scheduler' belongs below [tuning]",
    ),
    (
        'name = "x"\n\n[tuning]\n# why\nscheduler = "bund"',
        "line 5: 'scheduler' must be one of bond, flow, redundant, best; did you mean 'bond'?",
    ),
    (
        'name = "x"\ntuning.nat = true',
        "line 2: there is no setting 'tuning.nat'; 'nat' belongs to the top, before the first [table]",
    ),
    (
        'name = "x"\ncontrol_port = "8443"',
        "line 2: 'control_port' must be a whole number",
    ),
    (
        'name = "x"\nnat = 1',
        "line 2: 'nat' must be true or false",
    ),
    (
        'name = "x"\nmax_sessions = true',
        "line 2: 'max_sessions' must be a whole number",
    ),
    (
        'name = "x"\nmax_sessions = 0',
        "line 2: 'max_sessions' must be greater than 0",
    ),
    (
        'name = "x"\ndata_port = 65536',
        "line 2: 'data_port' must be a port, 1 to 65535",
    ),
    (
        'name = "x"\ntuning.reorder_ms = inf',
        "line 2: 'reorder_ms' must be a finite number",
    ),
    (
        'name = "x"\ntuning = 3',
        "line 2: 'tuning' is a table: write [tuning] and its settings below",
    ),
    (
        'name = "x"\npool4 = "10.0.0.1/24"',
        "line 2: 'pool4' has bits set after the prefix: write 10.0.0.0/24",
    ),
    (
        'name = "x"\npool4 = "fd00::/64"',
        "line 2: 'pool4' must be an IPv4 prefix like 10.73.0.0/24, or '' for none",
    ),
    (
        'name = "x"\npool4 = "127.0.0.0/8"',
        "line 2: 'pool4' has no address that a machine can have: take a private network like 10.73.0.0/24",
    ),
    (
        'name = "x"\npool4 = "10.0.0.0/31"',
        "line 2: 'pool4' is too small: /30 is the smallest pool",
    ),
    (
        'name = "x"\npool4 = ""\npool6 = ""',
        "line 2: 'pool4' and 'pool6' are both empty: clients need an address of one kind",
    ),
    (
        'name = "x"\n[tuning]\nmtu = 1279',
        "line 3: 'mtu' must be at least 1280 with IPv6 inside (or set pool6 = '')",
    ),
    (
        'name = "x"\n[tuning]\nmtu = 500',
        "line 3: 'mtu' must be 576 to 65535 bytes",
    ),
    (
        'name = "x"\ntuning.rekey_packets = 8388609',
        "line 2: 'rekey_packets' must be at most 8388608 (2^23)",
    ),
    (
        'name = "x"\nmanhole = { listen = "0.0.0.0:22" }',
        "line 2: 'listen' would open the manhole to every network: write 127.0.0.1:22, or one address",
    ),
    (
        'name = "x"\n\nname = "y"',
        "line 3: cannot overwrite a value",
    ),
    (
        'name = "x"\ntun = "a/b"',
        "line 2: 'tun' must be the name of an interface (up to 15 letters), not 'a/b'",
    ),
    (
        'name = "x"\n[tuning]\nmtu = ',
        "line 3: invalid value",
    ),
    (
        'name = ""',
        "line 1: 'name' is missing (this server's name, as in its certificate and as clients ask "
        "for it); write it into the configuration file, or give --name",
    ),
)


class SentenceTests(SynchronousTestCase):
    def _refusal(self, cls: type[Any], text: str, **typed: str) -> str:
        overrides = {key.replace("__", "."): value for key, value in typed.items()}
        return str(self.assertRaises(ConfigError, loads, cls, text, FILE, overrides)).removeprefix(f"{FILE}, ")

    def test_file(self) -> None:
        """What is wrong in the file is said with its line."""
        for text, sentence in REFUSALS:
            self.assertEqual(self._refusal(ServerConfig, text), sentence)

    def test_typed(self) -> None:
        """What is wrong on the command line is said with its option."""
        for typed, sentence in (
            ({"tuning__mtu": "12x"}, "option --mtu must be a whole number, not '12x'"),
            ({"server": "a:b"}, "option --server must be HOST or HOST:PORT, not 'a:b'"),
            ({"dns": "maybe"}, "option --dns must be yes or no, not 'maybe'"),
            (
                {"manhole__listen": "here"},
                "option --manhole-listen must be ADDRESS:PORT like 127.0.0.1:2222, or '' for a unix socket",
            ),
            (
                {"routes": "10.0.0.1/8"},
                "option --routes holds '10.0.0.1/8' with bits set after the prefix: write 10.0.0.0/8",
            ),
        ):
            self.assertEqual(self._refusal(ClientConfig, 'server = "x"', **typed), sentence)

    def test_no_file(self) -> None:
        """A file that was named must be there."""
        absent = Path("/nowhere/client.toml")
        error = self.assertRaises(ConfigError, load, ClientConfig, absent, {"server": "x"})
        self.assertEqual(str(error), f"{absent}: no such file or directory")

    def test_extremes(self) -> None:
        """Depth and length without end are refused, not a crash."""
        self.assertIn("nested too deeply", self._refusal(ServerConfig, "a = " + "[" * 100_000))
        self.assertIn("4300 digits", self._refusal(ServerConfig, "a = " + "1" * 5000))


class LoadTests(SynchronousTestCase):
    def test_layers(self) -> None:
        """The command line overrides the file, the file the defaults."""
        text = 'server = "file"\nuplinks = ["eth0"]\n[tuning]\nscheduler = "flow"\nreorder_ms = 20\n'
        config = loads(
            ClientConfig, text, FILE, {"server": "typed:1", "tuning.scheduler": "best", "exclude": "a, b", "dns": "no"}
        )
        self.assertEqual((config.server, config.uplinks, config.exclude), ("typed:1", ("eth0",), ("a", "b")))
        self.assertEqual((config.tuning.scheduler, config.tuning.reorder_ms, config.tun), ("best", 20.0, "morph0"))
        self.assertFalse(config.dns)

    def test_zero(self) -> None:
        """0 is taken where its meaning is told, and nowhere else; what is below is taken nowhere."""
        for key, allowed in (("reorder_tcp_ms", True), ("reorder_ms", False)):
            for value, good in ((0, allowed), (-1, False)):
                text = f'server = "h"\n[tuning]\n{key} = {value}\n'
                if good:
                    self.assertEqual(getattr(loads(ClientConfig, text, FILE).tuning, key), value)
                else:
                    self.assertRaises(ConfigError, loads, ClientConfig, text, FILE)

    def test_nothing(self) -> None:
        """Without a file the defaults are those of the dataclass."""
        self.assertEqual(load(ClientConfig, None, {"server": "x"}), ClientConfig(server="x"))

    def test_relative_paths(self) -> None:
        """A relative path starts at its file."""
        config = loads(ServerConfig, 'name = "x"\npki_dir = "pki"\n[manhole]\nauthorized_keys = "../keys"\n', FILE)
        self.assertEqual(config.pki_dir, Path("/etc/morphnet/pki"))
        self.assertEqual(config.manhole.authorized_keys, Path("/etc/morphnet/../keys"))

    def test_options_are_distinct(self) -> None:
        """No two settings of a role share an option."""
        for cls in (ServerConfig, ClientConfig):
            names = [option_name(setting) for setting in settings(cls)]
            self.assertEqual(len(names), len(set(names)))


def _fitting(setting: Setting) -> st.SearchStrategy[Any]:
    """Values that `load` takes for a setting."""
    fixed: dict[str, st.SearchStrategy[Any]] = {
        "listen": st.sampled_from([("::1",), ("10.0.0.1", "::")]),
        "pool4": st.sampled_from(["", "192.168.0.0/16"]),
        "proxy": st.just(False),  # it needs another setting, see `whole`
        "mtu": st.integers(1280, 65535),
        "phone_mtu": st.integers(1280, 65535),
        "rekey_packets": st.integers(1, 1 << 23),
        "server": st.sampled_from(["h", "h:1", "[::1]:8443", "192.0.2.1"]),
        "dns": st.booleans() if setting.kind is bool else st.sampled_from([(), ("192.0.2.1",)]),
        "routes": st.sampled_from([("default",), ("10.0.0.0/8", "2001:db8::/32")]),
        "name": st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
        "tun": st.just("tun9"),
    }
    if setting.key in ("shape", "mode"):
        return st.just(setting.default)  # the others do not go with every other setting, see `whole`
    if setting.choices:
        return st.sampled_from(setting.choices)
    if setting.path[-1] in fixed and setting.path[0] not in ("manhole", "legacy") and setting.key != "wireguard.listen":
        return fixed[setting.path[-1]]
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(1, 65535),
        float: st.floats(0, exclude_min=True, allow_infinity=False, allow_subnormal=False),
        Path: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20).map(
            lambda t: Path("/x") / t
        ),
    }
    return kinds.get(setting.kind, st.just(setting.default))


class RenderTests(SynchronousTestCase):
    @given(st.data())
    def test_round_trip(self, data: st.DataObject) -> None:
        """What is rendered loads as the same values; what was not given is the default."""
        cls: type[Any] = data.draw(st.sampled_from([ServerConfig, ClientConfig]))
        needed = "name" if cls is ServerConfig else "server"
        values = {
            setting.key: data.draw(_fitting(setting))
            for setting in settings(cls)
            if setting.key == needed or data.draw(st.booleans())
        }
        loaded = asdict(loads(cls, render(cls, values, intro="made by a test\nin two lines"), FILE))
        for setting in settings(cls):
            found: Any = loaded
            for part in setting.path:
                found = found[part]
            self.assertEqual(found, values.get(setting.key, setting.default), setting.key)

    def test_uncommented(self) -> None:
        """Every line that stands in the generated file as a comment can be uncommented, and changes nothing."""
        for cls, values in (
            (ServerConfig, {"name": "x"}),
            (ClientConfig, {"server": "h"}),
            (ClientConfig, {"mesh.relays": ("r",)}),
            (RelayConfig, {"name": "x"}),
        ):
            self._uncomment(cls, render(cls, values).splitlines())

    def _uncomment(self, cls: type[Any], lines: list[str]) -> None:
        as_it_is: Any = loads(cls, "\n".join(lines), FILE)
        found = [turn for turn, line in enumerate(lines) if re.match(r"#\w+ = ", line)]
        self.assertGreater(len(found), 10)
        for turn in found:
            text = "\n".join([*lines[:turn], lines[turn][1:], *lines[turn + 1 :]])
            self.assertEqual(loads(cls, text, FILE), as_it_is, lines[turn])

    def test_every_setting_is_explained(self) -> None:
        """The file has every setting with its help, defaults as comments that may be uncommented."""
        text = render(ServerConfig, {"name": "gw", "manhole": {"listen": "127.0.0.1:2222"}}, intro="hello")
        self.assertTrue(text.startswith("# hello\n\n# this server's name"))
        for setting in settings(ServerConfig):
            self.assertTrue(setting.help)
            self.assertIn(f"# {setting.help}\n", text)
        uncommented = "\n".join(
            line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in text.splitlines()
        )
        self.assertEqual(loads(ServerConfig, uncommented, FILE), loads(ServerConfig, text, FILE))

    def test_refused(self) -> None:
        """A value that could not be loaded is not written."""
        self.assertRaises(ConfigError, render, ServerConfig, {"nam": "x"})
        self.assertRaises(ConfigError, render, ServerConfig, {"tuning": {"scheduler": "bund"}})

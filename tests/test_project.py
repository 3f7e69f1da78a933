"""What surrounds the code says the truth: links, versions, commands, recipes."""

from __future__ import annotations

import ast
import configparser
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

import morphnet
from morphnet.cli.layout import SYSTEM
from morphnet.cli.running import CONFIGS
from morphnet.config import roles
from morphnet.config.file import load
from morphnet.pki.asking import SOCKET
from tests.house import ROOT, read_modules

ROLES = tuple(CONFIGS)
CONFINED = tuple(role for role in ROLES if role != "home")  # a terminal there may do what its user may
MADE = {".git", ".venv", "build", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache"}
TEXT = {"", ".py", ".md", ".toml", ".cfg", ".txt", ".tac", ".service", ".conf", ".sh", ".json", ".feature", ".sql"}
# Directories of one machine only: nothing here may depend on them. Spelled so that this file does not contain them.
SOMEBODYS_OWN = re.compile(r"(?<![\w.])/(?:root|work|tmp/v|home/(?!user\b|alice\b)\w+|Users)/\w")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(tests\.[\w.]+)`")
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _files() -> Iterator[Path]:
    """Every text file of the checkout that was not made by a tool."""
    for file in sorted(ROOT.rglob("*")):
        parts = file.relative_to(ROOT).parts
        made = any(part in MADE or part.endswith(".egg-info") or part.startswith("_trial_temp") for part in parts)
        if file.is_file() and not made and file.suffix in TEXT:
            yield file


def _pages() -> list[Path]:
    return [file for file in _files() if file.suffix == ".md"]


def _anchors(page: Path) -> set[str]:
    """What `#...` may name on a page, in the manner of GitHub."""
    titles = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _broken_links(page: Path, text: str) -> Iterator[str]:
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.relative_to(ROOT)}: {link} does not exist"
        elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
            yield f"{page.relative_to(ROOT)}: {link}: no such title"


def _missing(name: str) -> bool:
    """Whether a dotted name leads to nothing: a module, a class of tests or a test."""
    try:
        namedAny(name)
    except (AttributeError, ImportError, ValueError):
        return True
    return False


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Page and words of each command line in a code block of README and docs."""
    for page in _pages():
        for block in _FENCE.findall(page.read_text()):
            for line in block.splitlines():
                words = line.strip().removeprefix("$ ").removeprefix("# ").removeprefix("sudo ").split()
                if words:
                    yield str(page.relative_to(ROOT)), words


def _plugins() -> set[str]:
    """Names that twistd knows from us, read off the plugin file."""
    tree = read_modules("twisted")["twisted.plugins.morphnet_plugins"].tree
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.args[3].value for call in calls if isinstance(call.args[3], ast.Constant)}  # type: ignore[misc]


class DocumentTests(SynchronousTestCase):
    """README, docs and changelog."""

    def _none(self, complaints: list[str]) -> None:
        if complaints:
            self.fail("\n".join(complaints))

    def test_links(self) -> None:
        """Every relative link leads to a file, and to a title of it when it names one."""
        self._none([complaint for page in _pages() for complaint in _broken_links(page, page.read_text())])

    def test_index(self) -> None:
        """Every page of docs is in its table of contents."""
        index = (ROOT / "docs/index.md").read_text()
        pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
        self._none(
            [f"docs/{page} is not in docs/index.md" for page in pages if page != "index.md" and page not in index]
        )

    def test_changelog(self) -> None:
        """The changelog speaks of the version that this is."""
        self.assertIn(f"\n## {morphnet.__version__}", (ROOT / "CHANGELOG.md").read_text())

    def test_newsfragments(self) -> None:
        """News are named after their issue and kind."""
        for file in (ROOT / "newsfragments").iterdir():
            self.assertRegex(file.name, r"^(\d+)\.(feature|bugfix|doc|removal|misc)$|^\.gitkeep$")

    def test_nobodys_machine(self) -> None:
        """No file depends on a directory that exists on one machine only."""
        found = [(file, SOMEBODYS_OWN.search(file.read_text(errors="replace"))) for file in _files()]
        self._none([f"{file.relative_to(ROOT)}: {match.group()}" for file, match in found if match])

    def test_tests(self) -> None:
        """Every test that a page names as proof is there."""
        named = {(page, name) for page in _pages() for name in _TEST.findall(page.read_text())}
        self.assertTrue(named)
        self._none(
            [f"{page.relative_to(ROOT)}: {name}: no such test" for page, name in sorted(named) if _missing(name)]
        )

    def test_make_targets(self) -> None:
        """Every `make` in the docs has its target."""
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        named = [(page, words[1]) for page, words in _commands() if words[0] == "make" and len(words) > 1]
        self._none([f"{page}: make {name}: no such target" for page, name in named if name not in targets])

    def test_twistd_commands(self) -> None:
        """Every `twistd morph-...` in the docs is one of our plugins."""
        named = [(page, word) for page, words in _commands() if words[0].endswith("twistd") for word in words]
        named = [(page, word) for page, word in named if word.startswith("morph-")]
        self._none([f"{page}: twistd {name}: no such plugin" for page, name in named if name not in _plugins()])

    def test_dependencies_have_reasons(self) -> None:
        """Each dependency has its line in docs/dependencies, and its pin."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        lines = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
        reasons = (ROOT / "docs/dependencies.md").read_text()
        pins = (ROOT / "constraints.txt").read_text().lower()
        for name in re.findall(r"^([A-Za-z][\w.-]*)", lines, re.MULTILINE):
            self.assertRegex(reasons, rf"(?m)^\| {re.escape(name)}\b")
            self.assertRegex(pins, rf"(?m)^{re.escape(name.lower())}==")

    def test_build_is_pinned(self) -> None:
        """What builds is pinned where pip reads it, and is what the constraints say."""
        wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        pins = (ROOT / "constraints.txt").read_text().replace("-", "_").splitlines()
        self.assertEqual([each for each in wanted if each.replace("-", "_") not in pins], [])


class RecipeTests(SynchronousTestCase):
    """What lies in tap/ fits the program."""

    def _unit(self, role: str) -> configparser.RawConfigParser:
        unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(ROOT / f"tap/systemd/morph-{role}.service")
        return unit

    def test_units_start_plugins(self) -> None:
        """Each unit starts the plugin that it is named after, on the config of its role."""
        for role in ROLES:
            command = self._unit(role)["Service"]["ExecStart"].split()
            self.assertIn(f"morph-{role}", _plugins())
            self.assertEqual(command[-3:], [f"morph-{role}", "--config", f"/etc/morphnet/{role}.toml"])

    def test_units_are_confined(self) -> None:
        """Few capabilities, no new privileges, a read-only system, no picture of the memory on the disk."""
        needed = {
            "client": "CAP_NET_ADMIN CAP_NET_BIND_SERVICE",
            "server": "CAP_NET_ADMIN CAP_NET_BIND_SERVICE",
            "upload": "",
        }
        for role in CONFINED:
            service = self._unit(role)["Service"]
            self.assertEqual(service["CapabilityBoundingSet"], needed.get(role, "CAP_NET_BIND_SERVICE"))
            self.assertEqual(service["NoNewPrivileges"], "yes")
            self.assertEqual(service["ProtectSystem"], "strict")
            self.assertEqual(service["Restart"], "always")
            self.assertEqual(service["LimitCORE"], "0")

    def test_mistakes_end_units(self) -> None:
        """What the operator must change is not started again for ever; all else is."""
        for role in ROLES:
            service = self._unit(role)["Service"]
            self.assertEqual((service["Restart"], service["RestartPreventExitStatus"]), ("always", str(os.EX_CONFIG)))

    def test_terminals_are_logins(self) -> None:
        """What terminals make has the usual mode, a program that eats the memory ends alone; ours stays closed."""
        service = self._unit("home")["Service"]
        self.assertEqual((service["UMask"], service["OOMPolicy"]), ("0022", "continue"))
        self.assertEqual((service["StateDirectoryMode"], service["RuntimeDirectoryMode"]), ("0700", "0700"))

    def test_key_is_apart(self) -> None:
        """The CA's key goes where the service's user cannot read it, and the signer, another user, is given it."""
        signer, users = self._unit("signer@")["Service"], (ROOT / "tap/systemd/morphnet.sysusers.conf").read_text()
        for role in ("server", "relay"):
            unit = self._unit(role)
            self.assertIn("mv pki/ca.key ca", unit["Service"]["ExecStartPre"])
            for file in ("ca-before.key", "policy.published"):  # systemd hands the signer no file that is not there
                self.assertIn(f"|| : > ca/{file};", unit["Service"]["ExecStartPre"])
            self.assertIn("morph-signer.socket", unit["Unit"]["Wants"])
            self.assertNotEqual(unit["Service"]["User"], signer["User"])
            self.assertIn(f"u {unit['Service']['User']} -", users)
        self.assertIn(f"u {signer['User']} -", users)
        program, module, here, book = signer["ExecStart"].split()[1:]
        self.assertEqual((program, module, here), ("-m", "morphnet.pki.signer", "%d"))
        self.assertEqual(Path(book), Path("/var/lib", signer["StateDirectory"]))
        self.assertEqual(Path(book), roles.ServerConfig().state_dir.with_name("morphnet-signer"))
        listening = (ROOT / "tap/systemd/morph-signer.socket").read_text()
        self.assertIn(f"ListenStream={SOCKET}\n", listening)
        self.assertIn("Accept=yes\n", listening)
        self.assertEqual(signer["CapabilityBoundingSet"], "")

    def test_users_are_apart(self) -> None:
        """Who has no part in networks runs as a user of its own, who owns nothing of theirs."""
        users = (ROOT / "tap/systemd/morphnet.sysusers.conf").read_text()
        for role in ("coordinator", "upload"):
            service = self._unit(role)["Service"]
            self.assertEqual((service["User"], service["Group"]), (f"morphnet-{role}", f"morphnet-{role}"))
            self.assertIn(f"u morphnet-{role} -", users)
        self.assertNotIn("chown -h morphnet ", self._unit("upload")["Service"]["ExecStartPre"])

    def test_units_have_our_directories(self) -> None:
        """The directories that systemd makes are the defaults of the config."""
        for role in ROLES:
            service, defaults = self._unit(role)["Service"], CONFIGS[role]()
            self.assertEqual(Path("/run", service["RuntimeDirectory"]), defaults.run_dir)
            self.assertEqual(Path("/var/lib", service["StateDirectory"]), defaults.state_dir)
            if role != "client":  # which needs nobody else to look into it, so systemd has no say in its mode
                self.assertEqual(Path("/etc", service["ConfigurationDirectory"]), SYSTEM)

    def test_examples_name_real_settings(self) -> None:
        """Every key of an example, commented out or not, is a field of its dataclass."""
        for role in ROLES:
            text = (ROOT / f"tap/{role}.toml").read_text()
            spoken = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", self._first_of_each(text), flags=re.MULTILINE))
            self._compare(role, spoken, CONFIGS[role]())

    def test_examples_load(self) -> None:
        """The program itself takes each example as it is."""
        self.assertEqual(load(roles.ServerConfig, ROOT / "tap/server.toml", {}).name, "gateway.example")
        self.assertEqual(load(roles.ClientConfig, ROOT / "tap/client.toml", {}).server, "gateway.example")
        self.assertEqual(load(roles.RelayConfig, ROOT / "tap/relay.toml", {}).name, "meet.example")
        self.assertEqual(load(CONFIGS["upload"], ROOT / "tap/upload.toml", {}).name, "upload")

    def test_recipes_find_their_module(self) -> None:
        """Plugins and .tac files name modules that have what twistd asks them for."""
        for role in ROLES:
            module = namedAny(f"morphnet.tap.{role}")
            self.assertTrue(callable(module.makeService) and callable(module.Options))
            recipe = compile((ROOT / f"tap/{role}.tac").read_text(), f"{role}.tac", "exec")
            self.assertLessEqual({f"morphnet.tap.{role}", "Options", "makeService"}, set(recipe.co_names))

    def _first_of_each(self, text: str) -> str:
        """The example without a second, commented-out suggestion for a key that it sets."""
        kept, table, seen = [], "", set()
        for line in text.splitlines():
            if heading := re.match(r"\[(\w+)\]", line):
                table = heading[1]
            key = re.match(r"(?:# )?(\w+) = ", line)
            if key and (table, key[1]) in seen:
                continue
            if key:
                seen.add((table, key[1]))
            kept.append(line)
        return "\n".join(kept)

    def _compare(self, where: str, spoken: dict[str, object], fields: object) -> None:
        for key, value in spoken.items():
            self.assertTrue(hasattr(fields, key), f"{where}: {key} is no setting")
            if isinstance(value, dict):
                self._compare(f"{where}.{key}", value, getattr(fields, key))


class OwnTests(SynchronousTestCase):
    """The checks above can fail."""

    def test_broken_link(self) -> None:
        """A link to nothing, or to a title that is not there, is seen."""
        page = ROOT / "docs" / "index.md"
        for link in ("nowhere.md", "../CHANGELOG.md#no-such-title", "#no-such-title"):
            self.assertEqual(len(list(_broken_links(page, f"[here]({link})"))), 1, link)
        for link in ("dependencies.md#to-run", "https://example.org/x", "#morphnet"):
            self.assertEqual(list(_broken_links(page, f"[here]({link})")), [], link)

    def test_somebodys_own(self) -> None:
        """Paths of one machine are told from those of every machine."""
        for path in ("/" + "root/x", "cd /" + "work/main", "/" + "home/bob/x"):
            self.assertTrue(SOMEBODYS_OWN.search(path), path)
        for path in ("/etc/morphnet", "network/works", "/run/morphnet", "framework/x"):
            self.assertIsNone(SOMEBODYS_OWN.search(path), path)

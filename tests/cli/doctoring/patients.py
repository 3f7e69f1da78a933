"""A network that was made in a directory, on a machine that only exists in memory."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import cast

from morphnet.cli.doctoring.checks import Check, Fault, Patient, examine
from morphnet.cli.layout import Place
from morphnet.cli.running import Role
from morphnet.errors import HostError
from morphnet.host.kernel import Kernel
from morphnet.status import NodeStatus
from tests.cli.case import CommandCase
from tests.host.fake_kernel import FakeKernel


class PatientCase(CommandCase):
    """A server and a relay, as `morphnet init` makes them."""

    def setUp(self) -> None:
        """
        :ivar running: names of roles that have a process.
        :ivar pictures: what they say of themselves, by name.
        """
        super().setUp()
        self.place = Place(Path(mkdtemp()))  # short: a socket is in it
        self.addCleanup(shutil.rmtree, self.place.root)
        self.init()
        self.kernel = FakeKernel()
        self.kernel.values |= {"net/core/rmem_max": "9999999", "net/core/wmem_max": "9999999"}
        self.running, self.pictures = dict[str, int](), dict[str, NodeStatus]()
        self.patch(Role, "process", lambda role: self.running.get(role.name, 0))
        self.patch(Role, "status", lambda role: self.told(role.name))

    def told(self, name: str) -> NodeStatus:
        if name not in self.pictures:
            raise HostError("nothing answers")
        return self.pictures[name]

    def runs(self, picture: NodeStatus, **changes: object) -> None:
        """It runs, and says that of itself."""
        self.running[picture.role] = os.getpid()
        self.pictures[picture.role] = replace(picture, **changes)  # type: ignore[arg-type]

    def patient(self, now: float | None = None) -> Patient:
        """As the doctor sees it."""
        return Patient(self.place, cast(Kernel, self.kernel), time.time() if now is None else now)

    def client(self, **settings: str) -> None:
        """A client's configuration beside; values are TOML."""
        more = {"server": '"192.0.2.1"', "name": '"gw"', "pki_dir": f'"{self.place.pki_dir}"'} | settings
        more |= {key: f'"{self.place.root / key}"' for key in ("state_dir", "run_dir")}
        self.place.client_toml.write_text("".join(f"{key} = {value}\n" for key, value in more.items()))

    def faults(self, checks: tuple[Check, ...], name: str, now: float | None = None) -> list[Fault]:
        """What the look of that name finds."""
        (check,) = [each for each in checks if each.name == name]
        return list(check.look(self.patient(now)))

    def states(self, checks: tuple[Check, ...], *, mend: bool = False) -> dict[str, str]:
        """What comes of all looks: name -> the last state."""
        return {each.name: each.state for each in examine(self.patient(), "x", checks, mend=mend)}

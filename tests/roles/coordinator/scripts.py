"""The scripts of the page by themselves, in Node.js: a clock that is turned by hand, and no network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.coordinator.pages import WEB

NODE = shutil.which("node")

# What the scripts find in a browser. `pass` lets milliseconds go by, in steps of a tick that `tick` says.
_BROWSER = """
let now = 0, timers = new Map(), numbers = 0;
const later = (what, wait, every) => { timers.set(++numbers, { what, at: now + wait, every }); return numbers; };
Object.defineProperty(globalThis, 'performance', { value: { now: () => now } });
globalThis.setTimeout = (what, wait = 0) => later(what, wait, 0);
globalThis.setInterval = (what, every) => later(what, every, every);
globalThis.clearTimeout = globalThis.clearInterval = (number) => timers.delete(number);
const settle = async () => { for (let turn = 0; turn < 50; turn++) await null; };
globalThis.tick = 1;
globalThis.pass = async (wait) => {
  for (const end = now + wait; now < end;) {
    now++;
    if (now % tick === 0) {
      for (const [number, timer] of [...timers]) {
        if (timer.at > now || !timers.has(number)) continue;
        if (timer.every) timer.at = now + timer.every;
        else timers.delete(number);
        timer.what();
      }
    }
    for (const each of globalThis.wires ?? []) each(now);
    await settle();
  }
};
const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.dispatchEvent = page.dispatchEvent.bind(page);
globalThis.document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
Object.defineProperty(globalThis, 'navigator', { value: {} });
"""


class ScriptCase(SynchronousTestCase):
    """Runs scripts with the page's modules beside them."""

    skip = None if NODE else "no node here (Debian package nodejs)"

    def script(self, module: str) -> Any:
        """
        What a module prints as JSON.

        :param module: it imports ours as './NAME.js', by `await import`.
        """
        site = Path(self.mktemp())
        shutil.copytree(WEB, site)
        (site / "package.json").write_text('{"type": "module"}')
        (site / "test.js").write_text(_BROWSER + module)
        done = subprocess.run([str(NODE), "test.js"], cwd=site, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

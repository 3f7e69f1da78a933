"""The page's presence: when it takes a connection for dead, and when its own end has come."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase

# A home that answers pings 50 ms later, as long as it is `there`.
WORLD = """
const { Presence } = await import('./presence.js');
const { Session } = await import('./streams.js');
globalThis.there = true;
globalThis.wires = [];
let pings = 0, attempts = 0;
const connection = () => {
  const answers = [], channel = { readyState: 'open', send(frame) {
    if (frame[0] !== 4) return;
    pings++;
    if (there) answers.push(performance.now() + 50);
  } };
  wires.push((now) => {
    while (answers.length && answers[0] <= now && answers.shift()) {
      channel.onmessage({ data: Uint8Array.of(5, ...Array(8).fill(0)).buffer });
    }
  });
  return { channel, peer: { close() { channel.readyState = 'closed'; }, getStats: async () => new Map() } };
};
let connect = async () => { there = true; return connection(); };
const introduction = { connect: (...given) => { attempts++; return connect(...given); } };
const begin = () => {
  const presence = new Presence(introduction, new Session(), () => {});
  presence.start(connection());
  return presence;
};
"""


class PresenceTests(ScriptCase):
    def test_better(self) -> None:
        """Through the coordinator, a direct way is looked for each minute; when it is lost, that is tried first."""
        text = """
        const through = () => { const made = connection(); made.peer.relayed = true; return made; };
        let looked = 0, relays = 0, direct = null;
        introduction.keys = { name: 'name' };
        introduction.direct = async () => { looked++; if (!direct) throw new Error('none'); return direct; };
        introduction.relay = async () => { relays++; there = true; return through(); };
        const presence = new Presence(introduction, new Session(), () => {});
        presence.start(through());
        await pass(130000);
        const before = [looked, relays, attempts];
        there = false;
        await pass(3000);
        const after = [looked, relays, attempts];
        direct = connection();
        await pass(61000);
        console.log(JSON.stringify([before, after, looked, presence.peer === direct.peer]));
        """
        self.assertEqual(self.script(WORLD + "tick = 10;" + text), [[2, 0, 0], [2, 1, 0], 3, True])

    def test_hidden(self) -> None:
        """A tab that is not seen runs its timers once a second: a home that answers is not taken for gone."""
        self.assertEqual(
            self.script(
                WORLD + "tick = 1000; begin(); await pass(60500); console.log(JSON.stringify([pings, attempts]))"
            ),
            [60, 0],
        )

    def test_silent(self) -> None:
        """A home that does not answer is met again, within 1.3 s, and within 2.1 s by a hidden tab; once."""
        for tick, patience in ((1, 1300), (1000, 2100)):
            text = f"tick = {tick}; begin(); await pass(3100); there = false; await pass({patience});"
            text += "const soon = attempts; await pass(5000); console.log(JSON.stringify([soon, attempts]))"
            self.assertEqual(self.script(WORLD + text), [1, 1])

    def test_record(self) -> None:
        """Looks at silence are counted, four a second: eight, for a connection that takes 0.6 s (G1)."""
        text = """
        tick = 10;
        const presence = begin();
        connect = async () => {
          await new Promise((done) => { setTimeout(done, 600); });
          there = true;
          return connection();
        };
        await pass(5050);
        const before = [...presence.gaps, presence.unheard];
        there = false;
        await pass(5000);
        console.log(JSON.stringify([before, presence.gaps, presence.unheard]));
        """
        before, gaps, after = self.script(WORLD + text)
        self.assertEqual((before, len(gaps), after), ([0], 1, 0))
        self.assertIn(gaps[0], range(5, 9))

    def test_over(self) -> None:
        """When the home does not know the session any more, nothing is done for it, whatever the browser tells."""
        text = """
        const presence = begin();
        let lost = 0;
        presence.onlost = () => { lost++; };
        connect = async () => { throw new Error('unknown session'); };
        await pass(1000);
        there = false;
        await pass(3000);
        const before = pings;
        for (let turn = 0; turn < 9; turn++) {
          dispatchEvent(new Event('online'));
          document.dispatchEvent(new Event('visibilitychange'));
          await pass(1000);
        }
        console.log(JSON.stringify([lost, attempts, pings - before]));
        """
        self.assertEqual(self.script(WORLD + text), [1, 1, 0])

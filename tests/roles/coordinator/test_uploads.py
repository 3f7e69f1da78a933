"""The page's uploads, by themselves; with a home they are in the lab."""

from __future__ import annotations

from tests.roles.coordinator.scripts import ScriptCase


class UploadTests(ScriptCase):
    def test_unreadable(self) -> None:
        """A file that is gone meanwhile fails, the home is told, and the next one has its turn."""
        text = """
        const { Session } = await import('./streams.js');
        const { upload } = await import('./transfers.js');
        const session = new Session(), told = [];
        const arrayBuffer = async () => { throw new Error('moved'); };
        const gone = { size: 9, slice: () => ({ arrayBuffer }) };
        const sent = upload(session, 'gone', gone, () => {}).catch((trouble) => told.push(trouble.message));
        const [stream] = session.streams.values();
        stream.onsaid({ at: 0 });
        await Promise.race([sent, pass(1000)]);
        console.log(JSON.stringify([told, stream.open, session.streams.size]));
        """
        self.assertEqual(self.script(text), [["moved"], False, 0])

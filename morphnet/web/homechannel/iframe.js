// What the original HomeChannel's browser client has in a frame: it asks the coordinator for the page around it.
const TRIES = 3, APART = 3000; // milliseconds

async function post(path, said) {
  const answer = await fetch(path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(said),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `HTTP ${answer.status}`);
  return told;
}

const methods = {
  async getServerInfo({ serverPublicKey }) {
    for (let turn = 1; ; turn++) {
      const { servers } = await post('/api/servers', { serverPublicKeys: [serverPublicKey] });
      if (servers.length) return servers[0];
      if (turn === TRIES) throw new Error('Server not found');
      await new Promise((done) => { setTimeout(done, APART); });
    }
  },
  connect: ({ serverPublicKey, challengeAnswer, payload }) =>
    post('/api/connect', { serverPublicKey, challengeAnswer, payload, timestamp: Date.now() }),
  poll: ({ sessionId, lastUpdate }) => post('/api/poll', { sessionId, lastUpdate }),
};

addEventListener('message', async ({ data, source, origin }) => {
  if (source !== parent || data?.type !== 'request') return;
  const answer = { type: 'response', requestId: data.requestId };
  try {
    if (!Object.hasOwn(methods, data.method)) throw new Error(`Unknown method: ${data.method}`);
    answer.data = await methods[data.method](data.params ?? {});
  } catch (trouble) {
    answer.error = trouble.message;
  }
  // A page that was opened from a file has no origin that could be named.
  source.postMessage(answer, origin === 'null' ? '*' : origin);
});

if (parent !== window) parent.postMessage({ type: 'ready' }, '*');

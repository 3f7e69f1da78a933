// The last resort: a link to the home through the coordinator, by a WebSocket whose messages are sealed from end to end
// with what came of the login. Looks like a data channel. The other end is roles/home/relayed.py.
import { hkdf, join, utf8 } from './bytes.js';

const OPENS_WITHIN = 15000; // milliseconds
const PROTOCOL = 'morphnet.home.1';

// One way: numbered from 0 on, so that nothing can be left out, repeated or put in.
async function sealOf(secret, nonces, use) {
  const raw = await hkdf(secret, join(utf8('morphnet home link'), nonces), 32);
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, [use]);
  let number = 0;
  return (bytes) => {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setBigUint64(4, BigInt(number++));
    return crypto.subtle[use]({ name: 'AES-GCM', iv }, key, bytes);
  };
}

class Link {
  constructor(socket, seal, open) {
    this.socket = socket;
    this.readyState = 'open';
    this.early = []; // what the home says before anybody listens
    this.onmessage = ({ data }) => this.early.push(data);
    this.onclose = () => {};
    let sending = Promise.resolve(), receiving = Promise.resolve();
    this.send = (bytes) => {
      const sealed = seal(bytes.slice());
      sending = sending.then(async () => {
        const ready = await sealed;
        if (socket.readyState === WebSocket.OPEN) socket.send(ready);
      });
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') return this.close();
      const opened = open(data);
      receiving = receiving.then(async () => this.onmessage({ data: await opened })).catch(() => this.close());
    };
    socket.onclose = () => this.close();
  }

  close() {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.socket.close();
    this.onclose();
  }
}

// As `connect` of an Introduction: what stands for a connection, and its channel.
export async function relayed(origin, keys, nonces, call, given) {
  const [seal, open] = await Promise.all([sealOf(keys.up, nonces, 'encrypt'), sealOf(keys.down, nonces, 'decrypt')]);
  const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/api/relay`, PROTOCOL);
  socket.binaryType = 'arraybuffer';
  try {
    await new Promise((done, failed) => {
      const end = () => failed(new Error('the coordinator has no room'));
      setTimeout(end, OPENS_WITHIN);
      given?.addEventListener('abort', end);
      socket.onclose = end;
      socket.onopen = () => socket.send(call);
      socket.onmessage = ({ data }) => (data === 'go' ? done() : end());
    });
  } catch (trouble) {
    socket.close();
    throw trouble;
  }
  const channel = new Link(socket, seal, open);
  return { channel, peer: { relayed: true, close: () => channel.close() } };
}

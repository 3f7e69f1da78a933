// Meets the home through the coordinator: the password is proved to the home alone, and what both say after that is
// sealed, with the fingerprints of the direct connection in it. The coordinator only carries.
import { verifyAsync } from './vendor/noble-ed25519.js';
import { fromText, hkdf, join, text, toText, utf8 } from './bytes.js';
import { named } from './named.js';
import { relayed } from './relayed.js';
import * as passkey from './passkeys.js';
import { begin } from './spake2.js';

const ROUNDS = 600000;
const ANSWER_WITHIN = 30000, AGAIN_WITHIN = 8000; // milliseconds for an answer of the home: to a login, and to who comes back
const GATHER_WITHIN = 2500; // milliseconds for the candidates of an offer
// Milliseconds for a channel: directly, where a TURN server is left to try, and where only the coordinator is; and by a server.
const DIRECT_WITHIN = 5000, ONLY_WITHIN = 8000, OPEN_WITHIN = 15000;

export class Refused extends Error {}
class NoWay extends Refused {
  constructor() { super('There is no way to this home from here.'); }
}

// Where a home can be called: the coordinator that the page is from, or those that it names, then its fallbacks; the one
// that answered last is asked first.
const coordinators = named.length ? [...named] : [''];

export async function ask(body, given) {
  let trouble;
  for (const base of [...coordinators]) {
    let answer, told;
    try {
      answer = await fetch(`${base}/api/call`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body,
        signal: given ? AbortSignal.any([given, AbortSignal.timeout(AGAIN_WITHIN)]) : AbortSignal.timeout(ANSWER_WITHIN),
      });
      told = await answer.json();
    } catch (failed) { // it is not there, or says nothing: then the next one may have been told, and is for the next try
      trouble ??= failed;
      coordinators.push(coordinators.shift());
      if (failed.name === 'TimeoutError' || given?.aborted) break;
      continue;
    }
    if (answer.ok) {
      coordinators.sort((one, other) => (other === base) - (one === base));
      return told;
    }
    trouble = new Refused(told.error);
    if (answer.status !== 404 && answer.status < 500) break; // 404: the home is at another one
  }
  throw trouble;
}

async function call(home, said, given) {
  const told = await ask(JSON.stringify({ home, body: toText(utf8(JSON.stringify(said))) }), given);
  const heard = JSON.parse(text(fromText(told.body)));
  if (heard.refused) throw new Refused(heard.refused);
  return heard;
}

async function stretch(password, home) {
  const key = await crypto.subtle.importKey('raw', utf8(password), 'PBKDF2', false, ['deriveBits']);
  const salt = utf8(`morphnet home password\0${home}`);
  const bits = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: ROUNDS }, key, 256);
  return new Uint8Array(bits);
}

function nonce(number) {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setBigUint64(4, BigInt(number));
  return bytes;
}

async function keysOf(shared) {
  const [session, offer, answer, up, down] = await Promise.all([
    hkdf(shared, 'morphnet home session', 16),
    ...['offer', 'answer', 'relay up', 'relay down'].map((each) => hkdf(shared, `morphnet home ${each}`, 32)),
  ]);
  const name = Array.from(session, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return {
    name, up, down,
    offer: await crypto.subtle.importKey('raw', offer, 'AES-GCM', false, ['encrypt']),
    answer: await crypto.subtle.importKey('raw', answer, 'AES-GCM', false, ['decrypt']),
  };
}

export async function gathered(peer, turn) {
  if (peer.iceGatheringState === 'complete') return;
  await new Promise((done) => {
    setTimeout(done, GATHER_WITHIN);
    peer.addEventListener('icegatheringstatechange', () => peer.iceGatheringState === 'complete' && done());
    const enough = turn ? 'relay' : 'srflx';
    peer.addEventListener('icecandidate', (event) => event.candidate?.type === enough && setTimeout(done, 100));
  });
}

export class Introduction {
  constructor(home) {
    this.home = home;
    this.keys = null; // of the session, after a login
    this.number = 0; // of the next offer
    this.turn = []; // servers, as the home has told them
    this.stun = Promise.any(coordinators.map(async (base) => ({
      ...await (await fetch(`${base}/api/coordinator`)).json(), base,
    }))).catch(() => ({}));
    this.stun.then(({ others }) => {
      const pages = (others ?? []).map(({ page }) => new URL(page).origin);
      coordinators.push(...pages.filter((page) => !coordinators.includes(page)));
    });
  }

  // A login: the keys of a new session. The home has shown its key, the one in the link.
  async login(password) {
    return this.meet('hello', 'morphnet home login\0', await begin(await stretch(password, this.home), utf8('browser'), utf8(this.home)));
  }

  // The same with a passkey, which signs what both have said, and our offer.
  async loginByPasskey() { return this.meet('passkey', passkey.CONTEXT, await passkey.begin(this.home)); }

  async meet(word, context, first) {
    const heard = await call(this.home, { [word]: toText(first.half) });
    const second = fromText(heard.hello);
    const signed = join(utf8(context), first.half, second);
    if (!await verifyAsync(fromText(heard.signature), signed, fromText(this.home))) {
      throw new Refused('Somebody else answers in the name of this home.');
    }
    this.keys = await keysOf(await first.finish(second));
    this.number = 0;
    try {
      return await this.connect({ try: heard.try }, null, first.prove);
    } catch (trouble) {
      if (!(trouble instanceof NoWay)) throw trouble;
      return this.turn.length ? this.connect() : this.relay(); // the home knows us now, and of a server between
    }
  }

  // Another connection, from wherever we are now: a data channel that is open, or what stands for one.
  // `given` ends the attempt: the network is another one meanwhile. `prove` adds to the offer who we are.
  async connect(who = { session: this.keys.name }, given = null, prove = (sdp) => sdp) {
    try {
      return await this.direct(who, given, prove);
    } catch (trouble) {
      if (!(trouble instanceof NoWay && who.session) || given?.aborted) throw trouble;
      return this.relay(given);
    }
  }

  // Something for the home, sealed; what it answers.
  async say(who, words, given) {
    const number = this.number++;
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce(number) }, this.keys.offer, utf8(words)));
    const heard = await call(this.home, { ...who, number, sealed: toText(sealed) }, given);
    const how = { name: 'AES-GCM', iv: nonce(number) };
    const answer = await crypto.subtle.decrypt(how, this.keys.answer, fromText(heard.sealed));
    return JSON.parse(text(new Uint8Array(answer)));
  }

  // The last resort: through the coordinator that answers.
  async relay(given = null) {
    const ours = crypto.getRandomValues(new Uint8Array(16));
    const told = await this.say({ session: this.keys.name }, JSON.stringify({ relay: toText(ours) }), given);
    try {
      return await relayed(coordinators[0] || location.origin, this.keys, join(ours, fromText(told.relay)), told.call, given);
    } catch {
      throw new NoWay();
    }
  }

  async direct(who, given = null, prove = (sdp) => sdp) {
    given?.throwIfAborted();
    const { stun, base, others } = await this.stun;
    const host = base ? new URL(base).hostname : location.hostname;
    const turn = this.turn.length > 0;
    const stuns = [...(stun ? [`stun:${host}:${stun}`] : []), ...(others ?? []).map((other) => other.stun)];
    const iceServers = stuns.length ? [{ urls: stuns }] : [];
    const peer = new RTCPeerConnection({ iceServers: [...iceServers, ...this.turn] });
    try {
      const channel = peer.createDataChannel('morphnet');
      channel.binaryType = 'arraybuffer';
      channel.early = []; // what the home says before anybody listens: it may be there before we know
      channel.onmessage = ({ data }) => channel.early.push(data);
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer, turn);
      given?.throwIfAborted();
      const told = await this.say(who, await prove(peer.localDescription.sdp), given);
      this.turn = told.turn;
      await peer.setRemoteDescription({ type: 'answer', sdp: told.sdp });
      const direct = this.turn.length ? DIRECT_WITHIN : ONLY_WITHIN;
      await opened(peer, channel, turn ? OPEN_WITHIN : direct, given);
      return { peer, channel };
    } catch (trouble) {
      peer.close();
      throw trouble;
    }
  }
}

const WAY_AGAIN = 200; // milliseconds until the browser may know which way it has chosen, and so many looks
const WAY_LOOKS = 50;

// By which way a connection goes, in words. A channel may be open before the browser has chosen.
export async function way(peer) {
  if (peer.relayed) return 'Connected through the coordinator';
  for (let looks = 0; looks < WAY_LOOKS; looks += 1) {
    const stats = new Map([...(await peer.getStats()).entries()]), all = [...stats.values()];
    const chosen = all.find((each) => each.type === 'transport')?.selectedCandidatePairId;
    const pair = stats.get(chosen)
      ?? all.find((each) => each.type === 'candidate-pair' && each.nominated && each.state === 'succeeded');
    const ends = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
    if (ends.every((each) => each)) {
      const relayed = ends.find((each) => each.candidateType === 'relay');
      if (relayed) return `Connected by a relay (TURN, ${(relayed.relayProtocol ?? 'udp').toUpperCase()})`;
      return ends.every((each) => each.candidateType === 'host') ? 'Connected in one network' : 'Connected directly';
    }
    await new Promise((done) => { setTimeout(done, WAY_AGAIN); });
  }
  return 'Connected';
}

export function opened(peer, channel, within, given) {
  return new Promise((done, failed) => {
    setTimeout(() => failed(new NoWay()), within);
    given?.addEventListener('abort', () => failed(new NoWay()));
    channel.addEventListener('open', done);
    if (channel.readyState === 'open') done(); // while the answer was taken
    peer.addEventListener('connectionstatechange', () => {
      if (peer.connectionState === 'failed') failed(new NoWay());
    });
  });
}

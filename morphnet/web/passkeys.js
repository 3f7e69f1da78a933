// Passkeys: a second way in. What one signs is the hash of what browser and home have said to each other, and of our
// offer, so that it is good for this connection alone.
import { fromText, join, sha256, toText, utf8 } from './bytes.js';
import { element } from './elements.js';
import { named } from './named.js';

export const CONTEXT = 'morphnet home passkey\0';
const CURVE = { name: 'ECDH', namedCurve: 'P-256' };
const ALGORITHMS = [-8, -7, -257]; // EdDSA, ES256, RS256

// No browser takes passkeys for an address, and no home those of a page that is not its coordinator's.
export const usable = () => Boolean(globalThis.PublicKeyCredential) && !named.length && !/^[\d.]+$|:/.test(location.hostname);

async function sign(challenge) {
  const made = await navigator.credentials.get({
    publicKey: { challenge, rpId: location.hostname, userVerification: 'required' },
  });
  const { response } = made;
  return {
    id: made.id, rawId: made.id, type: made.type, clientExtensionResults: {},
    response: {
      clientDataJSON: toText(new Uint8Array(response.clientDataJSON)),
      authenticatorData: toText(new Uint8Array(response.authenticatorData)),
      signature: toText(new Uint8Array(response.signature)),
    },
  };
}

export async function begin(home, signing = sign) {
  const ours = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
  const half = new Uint8Array(await crypto.subtle.exportKey('raw', ours.publicKey));
  let said = null;
  async function finish(second) {
    const theirs = await crypto.subtle.importKey('raw', second, CURVE, false, []);
    const agreed = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, ours.privateKey, 256));
    said = join(utf8(home), half, second);
    return sha256(join(utf8(CONTEXT), said, agreed));
  }
  async function prove(offer) {
    const challenge = await sha256(join(utf8(CONTEXT), said, await sha256(utf8(offer))));
    return JSON.stringify({ offer, passkey: await signing(challenge) });
  }
  return { half, finish, prove };
}

async function make({ challenge, owner, known }, home) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: fromText(challenge), rp: { id: location.hostname, name: 'morphnet home' },
      user: { id: fromText(owner), name: `home ${home.slice(0, 8)}`, displayName: `Home ${home.slice(0, 8)}` },
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
      excludeCredentials: known.map((id) => ({ type: 'public-key', id: fromText(id) })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' }, attestation: 'none',
    },
  });
  return {
    id: made.id, rawId: made.id, type: made.type, clientExtensionResults: {},
    response: {
      clientDataJSON: toText(new Uint8Array(made.response.clientDataJSON)),
      attestationObject: toText(new Uint8Array(made.response.attestationObject)),
    },
  };
}

// For who is logged in.
export class Passkeys {
  constructor(session, place, home) {
    this.session = session;
    this.home = home;
    this.note = element('p', { role: 'status' });
    this.list = element('ul');
    const add = element('button', { type: 'button', textContent: 'Add a passkey', disabled: !usable() });
    add.id = 'add-passkey';
    add.addEventListener('click', () => this.add());
    const about = 'A passkey logs in as the password does. Whoever has the device, and may unlock it, is in.'
      + ' One is added within five minutes of a login.';
    place.replaceChildren(element('h2', { textContent: 'Passkeys' }), element('p', { textContent: about }), this.list, add, this.note);
    this.show();
  }

  // What home says, until it ends; `answer` may say something in between.
  ask(asked, answer = () => {}) {
    return new Promise((done, failed) => {
      const stream = this.session.open({ service: 'passkeys', ...asked });
      let last = {};
      stream.onsaid = async (words) => {
        last = words;
        try {
          const more = await answer(words);
          if (more) stream.say(more);
        } catch (trouble) {
          stream.reset();
          failed(trouble);
        }
      };
      stream.onend = () => done(last);
      stream.onreset = (why) => failed(new Error(why));
    });
  }

  async show() {
    try {
      const { passkeys } = await this.ask({ do: 'list' });
      this.list.replaceChildren(...passkeys.map(([id, name, added]) => {
        const remove = element('button', { type: 'button', className: 'plain', textContent: 'Remove', ariaLabel: `Remove ${name}` });
        remove.addEventListener('click', () => this.remove(id, name));
        return element('li', {}, element('span', { textContent: name }),
          element('span', { textContent: `since ${new Date(added * 1000).toLocaleDateString()}` }), remove);
      }));
    } catch (trouble) { this.tell(trouble); }
  }

  async add() {
    const name = prompt('A name for this passkey', 'This device');
    if (!name) return;
    try {
      await this.ask({ do: 'add' }, async (words) => (words.challenge ? { made: await make(words, this.home), name } : null));
      await this.show();
      this.note.textContent = `${name} can log in from now on.`;
    } catch (trouble) { this.tell(trouble); }
  }

  async remove(id, name) {
    if (!confirm(`Remove ${name}?`)) return;
    try {
      await this.ask({ do: 'remove', id });
      await this.show();
      this.note.textContent = `${name} logs in no more.`;
    } catch (trouble) { this.tell(trouble); }
  }

  tell(trouble) {
    this.note.textContent = trouble.name === 'NotAllowedError' ? 'The browser did not make one.' : `That did not work: ${trouble.message}.`;
  }
}

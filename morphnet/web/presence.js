// Keeps a session connected: notices that nothing comes any more, and makes the next connection beside the old one.
import { way } from './introduction.js';

const PING_EVERY = 250, SILENT_AFTER = 800; // milliseconds; a false alarm costs one more connection, and nothing else
const FALSE_ALARM = new Error('the old connection speaks again');
const BETTER_EVERY = 60000; // milliseconds between looks for a direct way, while we go through the coordinator
const LONGEST_WAIT = 15000, LONGEST_PATIENCE = 10000;

export class Presence {
  constructor(introduction, session, told) {
    this.introduction = introduction;
    this.session = session;
    this.told = told; // of the state, in words
    this.peer = null;
    this.asked = 0; // when the ping went out that nothing has come after
    this.over = new AbortController(); // our listeners end by it
    this.trying = null; // what ends the attempt that is under way
    this.begun = 0; // when that was
    this.lastLook = 0; // when that was
    this.patience = SILENT_AFTER; // more after each false alarm: a slow uplink, a busy machine
    this.wait = 0;
    this.again = 0; // times that a connection was replaced
    this.unheard = 0; // looks since anything was heard
    this.gaps = []; // those looks, of each time that a connection was replaced: four are a second
  }

  start({ peer, channel }) {
    this.take(peer, channel);
    this.timer = setInterval(() => this.look(), PING_EVERY);
    const { signal } = this.over;
    addEventListener('online', () => this.look(true), { signal });
    navigator.connection?.addEventListener?.('change', () => this.look(true), { signal });
    const seen = () => document.visibilityState === 'visible' && this.look(true);
    document.addEventListener('visibilitychange', seen, { signal });
  }

  // Another login takes our place.
  end() {
    clearInterval(this.timer);
    this.over.abort();
    this.trying?.abort();
    this.peer?.close();
  }

  take(peer, channel) {
    const before = this.peer;
    this.peer = peer;
    this.session.attach(channel);
    before?.close();
    this.wait = this.asked = 0;
    this.lookedAt = performance.now();
    this.patience = Math.max(SILENT_AFTER, this.patience / 2);
    this.tell();
  }

  tell() {
    const { peer } = this;
    this.told('Connected', true);
    way(peer).then((words) => peer === this.peer && !this.trying && !this.over.signal.aborted && this.told(words, true));
  }

  look(soon = false) {
    if (soon) {
      this.wait = 0;
      this.trying?.abort(); // it may hang in the network that we had
    }
    this.session.ping();
    this.unheard = this.session.heardAt > this.lastLook ? 0 : this.unheard + 1;
    this.lastLook = performance.now();
    // Silence counts from a ping that nothing came after: in a hidden tab we look once a second, and hear as seldom.
    const now = this.lastLook;
    if (this.peer.relayed && now - this.lookedAt > BETTER_EVERY) this.better();
    if (this.trying) this.calm();
    else if (this.session.heardAt >= this.asked) this.asked = now;
    else if (now - this.asked > this.patience) this.reconnect();
  }

  // The old connection speaks again while the next one is on its way: it was a false alarm.
  calm() {
    if (!this.session.channel || this.session.heardAt <= this.begun || this.trying.signal.aborted) return;
    this.patience = Math.min(this.patience * 2, LONGEST_PATIENCE);
    this.trying.abort(FALSE_ALARM);
  }

  // Beside a connection through the coordinator, which goes on meanwhile.
  async better() {
    this.lookedAt = performance.now();
    const { signal } = this.over;
    try {
      const { peer, channel } = await this.introduction.direct({ session: this.introduction.keys.name }, signal);
      if (signal.aborted) peer.close();
      else this.take(peer, channel);
    } catch { /* there is still none */ }
  }

  // Who had no direct way has none at once, most likely.
  next(signal) {
    const { introduction } = this;
    if (!this.peer.relayed) return introduction.connect(undefined, signal);
    return introduction.relay(signal).catch(() => introduction.connect(undefined, signal));
  }

  async reconnect() {
    if (this.trying) return;
    const trying = this.trying = new AbortController();
    this.begun = performance.now();
    this.told('Connecting again', false);
    try {
      if (this.wait) {
        await new Promise((done) => { setTimeout(done, this.wait); trying.signal.addEventListener('abort', done); });
      }
      const { peer, channel } = await this.next(trying.signal);
      this.again++;
      this.gaps.push(this.unheard);
      this.take(peer, channel);
    } catch (trouble) {
      if (trouble.message === 'unknown session') {
        this.end();
        this.told('The home was started anew: log in again', false);
        this.onlost?.();
        return;
      }
      this.wait = trying.signal.aborted ? 0 : Math.min(this.wait * 2 || 500, LONGEST_WAIT);
    } finally {
      this.trying = null;
      if (trying.signal.reason === FALSE_ALARM) this.tell();
    }
  }
}

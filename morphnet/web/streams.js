// Streams above data channels that come and go: what was sent is kept until the home has it, the next channel goes on
// there, and nothing arrives twice. The other end is rendezvous/home/streams.py.
import { join, text, utf8 } from './bytes.js';

const RESUME = 1, ACK = 2, ITEM = 3, PING = 4, PONG = 5;
const OPEN = 0, BYTES = 1, SAID = 2, CREDIT = 3, END = 4, RESET = 5;
const WINDOW = 1 << 20, LONGEST = 60 << 10;

function numbered(type, number) {
  const frame = new DataView(new ArrayBuffer(9));
  frame.setUint8(0, type);
  frame.setBigUint64(1, BigInt(number));
  return new Uint8Array(frame.buffer);
}

function item(number, stream, kind, payload) {
  const head = new DataView(new ArrayBuffer(14));
  head.setUint8(0, ITEM);
  head.setBigUint64(1, BigInt(number));
  head.setUint32(9, stream);
  head.setUint8(13, kind);
  return join(new Uint8Array(head.buffer), payload);
}

export class Stream {
  constructor(session, number) {
    this.session = session;
    this.number = number;
    this.window = WINDOW; // bytes that we may send
    this.owed = 0; // bytes that were dealt with and not granted again
    this.open = true;
    this.onbytes = this.onsaid = this.onend = this.onroom = () => {};
    this.onreset = () => {};
  }

  // So many bytes as there is room for; the number of those that were taken.
  write(bytes) {
    const taken = Math.min(bytes.length, this.window);
    this.window -= taken;
    for (let at = 0; at < taken; at += LONGEST) {
      this.session.say(this.number, BYTES, bytes.subarray(at, Math.min(at + LONGEST, taken)));
    }
    return taken;
  }

  say(words) { this.session.say(this.number, SAID, utf8(JSON.stringify(words))); }

  end() { this.session.say(this.number, END, new Uint8Array(0)); }

  reset() {
    if (!this.open) return;
    this.open = false;
    this.session.say(this.number, RESET, new Uint8Array(0));
    this.session.streams.delete(this.number);
  }

  took(size) {
    this.owed += size;
    if (this.open && this.owed >= WINDOW / 4) {
      const more = new DataView(new ArrayBuffer(4));
      more.setUint32(0, this.owed);
      this.owed = 0;
      this.session.say(this.number, CREDIT, new Uint8Array(more.buffer));
    }
  }

  heard(kind, payload) {
    if (kind === BYTES) this.onbytes(payload);
    else if (kind === SAID) this.onsaid(JSON.parse(text(payload)));
    else if (kind === CREDIT) {
      this.window += new DataView(payload.buffer, payload.byteOffset).getUint32(0);
      this.onroom();
    } else {
      this.open = false;
      this.session.streams.delete(this.number);
      if (kind === END) this.onend();
      else this.onreset(text(payload) || 'it was ended');
    }
  }
}

export class Session {
  constructor() {
    this.channel = null;
    this.resumed = false;
    this.sent = []; // frames that the home may not have; the first has the number `first`
    this.first = 0;
    this.expected = 0; // number of the next item from the home
    this.acked = 0;
    this.timer = null;
    this.streams = new Map();
    this.next = 1;
    this.heardAt = 0;
    this.onbroken = () => {};
  }

  attach(channel) {
    this.channel = channel;
    this.resumed = false;
    this.heardAt = performance.now();
    channel.onmessage = (event) => channel === this.channel && this.received(new Uint8Array(event.data));
    channel.onclose = () => { if (channel === this.channel) this.detach(); };
    this.acked = this.expected;
    this.send(numbered(RESUME, this.expected));
    for (const data of channel.early?.splice(0) ?? []) this.received(new Uint8Array(data));
  }

  detach() {
    this.channel = null;
    this.resumed = false;
  }

  send(frame) {
    if (this.channel?.readyState === 'open') this.channel.send(frame);
  }

  ping() { this.send(numbered(PING, 0)); }

  open(asked) {
    const stream = new Stream(this, this.next++);
    this.streams.set(stream.number, stream);
    this.say(stream.number, OPEN, utf8(JSON.stringify(asked)));
    return stream;
  }

  say(stream, kind, payload) {
    const frame = item(this.first + this.sent.length, stream, kind, payload);
    this.sent.push(frame);
    if (this.resumed) this.send(frame);
  }

  received(frame) {
    this.heardAt = performance.now();
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const type = frame[0], number = Number(view.getBigUint64(1));
    if (type === ITEM) this.take(number, view.getUint32(9), frame[13], frame.subarray(14));
    else if (type === PING) this.send(numbered(PONG, number));
    else if (type === ACK) this.forget(number);
    else if (type === RESUME) {
      this.forget(number);
      this.resumed = true;
      for (const kept of this.sent) this.send(kept);
    }
  }

  forget(number) {
    if (number < this.first || number > this.first + this.sent.length) return this.onbroken();
    this.sent.splice(0, number - this.first);
    this.first = number;
  }

  take(number, stream, kind, payload) {
    if (number < this.expected) return;
    if (number > this.expected) { this.onbroken(); return; }
    this.expected++;
    if (this.expected - this.acked >= 16) this.acknowledge();
    else this.timer ??= setTimeout(() => this.acknowledge(), 100);
    this.streams.get(stream)?.heard(kind, payload);
  }

  acknowledge() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.channel && this.acked !== this.expected) {
      this.acked = this.expected;
      this.send(numbered(ACK, this.expected));
    }
  }
}

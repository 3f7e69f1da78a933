// An app in a frame that has no origin and reaches nobody: this end carries bytes between it and a stream to home.
export class Carrier {
  // `place` gets the frame, of /app/NAME.html.
  constructor(session, place, name, title, sandbox = 'allow-scripts') {
    this.session = session;
    this.frame = Object.assign(document.createElement('iframe'), { src: `/app/${name}.html`, title });
    this.frame.sandbox = sandbox;
    this.frame.allow = 'clipboard-read; clipboard-write';
    this.stream = null;
    this.waiting = []; // bytes that found no room
    place.replaceChildren(this.frame);
    addEventListener('message', (event) => event.source === this.frame.contentWindow && this.heard(event.data));
  }

  open(asked) {
    this.waiting = [];
    this.stream = this.session.open(asked);
    this.stream.onbytes = (bytes) => this.tell({ bytes: bytes.slice() });
    this.stream.onroom = () => this.flush();
    return this.stream;
  }

  write(bytes) {
    this.waiting.push(bytes);
    this.flush();
  }

  flush() {
    while (this.waiting.length && this.stream.window) {
      const taken = this.stream.write(this.waiting[0]);
      if (taken === this.waiting[0].length) this.waiting.shift();
      else this.waiting[0] = this.waiting[0].subarray(taken);
    }
  }

  tell(words) { this.frame.contentWindow.postMessage(words, '*'); }

  focus() { this.frame.focus(); }
}

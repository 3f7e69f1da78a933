// The terminal app: xterm.js in a frame that has no origin and reaches nobody; this end carries between it and home.
import { utf8 } from './bytes.js';

const KEYS = { Esc: '\x1b', Tab: '\t', 'Ctrl-C': '\x03', 'Ctrl-D': '\x04', '↑': '\x1b[A', '↓': '\x1b[B', '←': '\x1b[D', '→': '\x1b[C' };

export class Terminal {
  constructor(session, place, name = 'main') {
    this.session = session;
    this.name = name;
    this.frame = Object.assign(document.createElement('iframe'), { src: '/app/terminal.html', title: 'Terminal' });
    this.frame.sandbox = 'allow-scripts';
    this.frame.allow = 'clipboard-read; clipboard-write';
    this.stream = null;
    this.waiting = []; // keys that found no room
    this.size = null;
    const keys = Object.assign(document.createElement('div'), { id: 'keys' });
    for (const [label, sent] of Object.entries(KEYS)) {
      const key = Object.assign(document.createElement('button'), { type: 'button', textContent: label });
      key.addEventListener('click', () => this.type(utf8(sent)));
      keys.append(key);
    }
    place.replaceChildren(this.frame, keys);
    addEventListener('message', (event) => event.source === this.frame.contentWindow && this.heard(event.data));
  }

  heard(said) {
    if (said.typed) this.type(utf8(said.typed));
    else if (said.drawn) this.stream?.took(said.drawn);
    else if (said.rows && said.columns) {
      this.size = { rows: said.rows, columns: said.columns };
      if (this.stream?.open) this.stream.say(this.size);
      else this.open();
    }
  }

  open() {
    this.stream = this.session.open({ service: 'terminal', name: this.name, ...this.size });
    this.stream.onbytes = (bytes) => this.tell({ bytes: bytes.slice() });
    this.stream.onsaid = (words) => {
      if ('at' in words) this.tell({ begin: true, replay: words.live - words.at });
      else if (words.over) this.tell({ note: 'The shell has ended. Press Enter for another one.' });
    };
    this.stream.onroom = () => this.flush();
    this.stream.onreset = (why) => this.tell({ note: why });
  }

  type(bytes) {
    if (!this.stream?.open) {
      if (bytes.includes(13) && this.size) this.open();
      return;
    }
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

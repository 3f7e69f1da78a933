// The terminal app: xterm.js in a frame; a login shell, or a service at home that speaks in lines.
import { utf8 } from './bytes.js';
import { Carrier } from './carrier.js';

const KEYS = { Esc: '\x1b', Tab: '\t', 'Ctrl-C': '\x03', 'Ctrl-D': '\x04', '↑': '\x1b[A', '↓': '\x1b[B', '←': '\x1b[D', '→': '\x1b[C' };

export class Terminal extends Carrier {
  constructor(session, place, name = 'main') {
    super(session, place, 'terminal', 'Terminal');
    this.name = name;
    this.size = null;
    const keys = Object.assign(document.createElement('div'), { className: 'keys', role: 'toolbar', ariaLabel: 'Keys' });
    for (const [label, sent] of Object.entries(KEYS)) {
      const key = Object.assign(document.createElement('button'), { type: 'button', textContent: label });
      key.addEventListener('click', () => this.type(utf8(sent)));
      keys.append(key);
    }
    place.append(keys);
  }

  heard(said) {
    if (said.typed) this.type(utf8(said.typed));
    else if (said.drawn) this.stream?.took(said.drawn);
    else if (said.rows && said.columns) {
      this.size = { rows: said.rows, columns: said.columns };
      if (this.stream?.open) this.resized();
      else this.begin();
    }
  }

  resized() { this.stream.say(this.size); }

  begin() {
    const stream = this.open({ service: 'terminal', name: this.name, ...this.size });
    stream.onsaid = (words) => {
      if ('at' in words) this.tell({ begin: true, replay: words.live - words.at });
      else if (words.over) this.tell({ note: 'The shell has ended. Press Enter for another one.' });
    };
    stream.onreset = (why) => this.tell({ note: why });
  }

  type(bytes) {
    if (this.stream?.open) this.write(bytes);
    else if (bytes.includes(13) && this.size) this.begin();
  }
}

// Services at home that speak in lines: serial consoles, what telnet was for.
export class Lines extends Terminal {
  constructor(session, place) {
    super(session, place, '');
    const asking = session.open({ service: 'tcp', do: 'list' });
    this.choice = Object.assign(document.createElement('select'), { ariaLabel: 'Service' });
    this.choice.addEventListener('change', () => { this.stream?.reset(); this.begin(); });
    place.prepend(this.choice);
    asking.onsaid = ({ names }) => {
      this.choice.replaceChildren(...names.map((name) => new Option(name)));
      if (this.size && !this.stream?.open) this.begin();
    };
  }

  resized() {}

  begin() {
    const name = this.choice.value;
    if (!name) return;
    this.tell({ begin: true, replay: 0 });
    const stream = this.open({ service: 'tcp', name });
    stream.onend = () => this.tell({ note: `${name} has ended. Press Enter to begin again.` });
    stream.onreset = (why) => this.tell({ note: `${name}: ${why}. Press Enter to try again.` });
  }
}

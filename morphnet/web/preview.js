// Shows files: each in a frame of its own that has no origin and reaches nobody, as what draws pictures and PDF is large
// and is fed by strangers. This end fetches, and hands the frame the bytes.
import { element, size } from './elements.js';
import { onDisk } from './saving.js';
import { download } from './transfers.js';

const MOST_TEXT = 1 << 20; // bytes: the beginning is shown
const MOST = { picture: 64 << 20, pdf: 64 << 20, sound: 1 << 30, film: 1 << 30 }; // bytes
const MOST_IN_MEMORY = 64 << 20; // where there is no disk to put it on
const TYPES = {
  picture: {
    png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif',
    bmp: 'image/bmp', ico: 'image/x-icon', svg: 'image/svg+xml',
  },
  sound: {
    mp3: 'audio/mpeg', m4a: 'audio/mp4', aac: 'audio/aac', ogg: 'audio/ogg', oga: 'audio/ogg', opus: 'audio/ogg',
    flac: 'audio/flac', wav: 'audio/wav',
  },
  film: { mp4: 'video/mp4', m4v: 'video/mp4', mov: 'video/mp4', webm: 'video/webm', ogv: 'video/ogg' },
  pdf: { pdf: 'application/pdf' },
};
const TEXT = new Set(('txt md markdown rst org log csv tsv json jsonl xml yaml yml toml ini cfg conf env properties service'
  + ' py js mjs ts jsx tsx c h cc cpp hpp cs rs go java kt rb php pl lua sh bash zsh fish sql html htm css scss tex bib'
  + ' diff patch srt vtt ics vcf gpx eml').split(' '));

// What can be made of a file of this name, and its type; null for nothing.
export function kindOf(name) {
  const [, end] = /[^.].*\.([^.]+)$/.exec(name.toLowerCase()) ?? [];
  for (const [kind, types] of Object.entries(TYPES)) if (Object.hasOwn(types, end)) return { kind, type: types[end] };
  return end === undefined || TEXT.has(end) ? { kind: 'text', type: 'text/plain' } : null;
}

class Enough extends Error {}

export class Preview {
  // `files` is the app; the file is that one of `files.seen`.
  constructor(files, at) {
    this.files = files;
    this.entries = files.seen;
    this.forget = () => {};
    this.name = element('h2', { id: 'preview-name' });
    this.note = element('p', { role: 'status' });
    this.bar = element('progress', { max: 1, ariaLabel: 'Fetched' });
    const button = (words, done, kind = 'second') => files.button(words, done, kind);
    this.steps = [button('Previous', () => this.step(-1)), button('Next', () => this.step(1))];
    const tools = element('div', { className: 'tools' }, this.name, ...this.steps,
      button('Download', () => this.save()), button('Close', () => this.dialog.close(), ''));
    this.place = element('div', { className: 'place' });
    this.dialog = element('dialog', { className: 'preview' }, tools, this.bar, this.note, this.place);
    this.dialog.setAttribute('aria-labelledby', 'preview-name');
    this.dialog.addEventListener('close', () => this.end());
    this.hear = ({ source, data }) => source && source === this.frame?.contentWindow && this.heard(data);
    addEventListener('message', this.hear);
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.show(at);
  }

  end() {
    removeEventListener('message', this.hear);
    this.clear();
    this.dialog.remove();
  }

  // Nothing is left of the file that was shown.
  clear() {
    this.stop?.abort(new Error('it was closed'));
    this.place.replaceChildren();
    this.frame = this.given = null;
    this.forget();
    this.forget = () => {};
  }

  step(by) { if (this.entries[this.at + by]) this.show(this.at + by); }

  async show(at) {
    this.clear();
    const [name, , bytes] = this.entries[this.at = at], { kind, type } = kindOf(name);
    const stop = this.stop = new AbortController();
    this.path = this.files.path ? `${this.files.path}/${name}` : name;
    this.name.textContent = name;
    this.note.textContent = `Fetching ${size(bytes)}`;
    this.bar.hidden = false;
    this.bar.value = 0;
    this.steps.forEach((step, way) => { step.disabled = !this.entries[at + (way ? 1 : -1)]; });
    try {
      const given = await (kind === 'text' ? this.text(bytes) : this.whole(kind, bytes));
      if (stop.signal.aborted) return;
      this.note.textContent = given.cut ? `The first ${size(MOST_TEXT)} of ${size(bytes)}` : '';
      this.draw({ ...given, kind, type, name });
    } catch (trouble) {
      if (!stop.signal.aborted) this.note.textContent = `It cannot be shown: ${trouble.message}.`;
    }
    if (!stop.signal.aborted) this.bar.hidden = true;
  }

  progress(whole) { return (done) => { this.bar.value = whole ? done / whole : 1; }; }

  async text(bytes) {
    const pieces = [], most = Math.min(bytes, MOST_TEXT);
    let got = 0;
    const take = (piece) => {
      pieces.push(piece.subarray(0, MOST_TEXT - got));
      got += piece.length;
      if (got > MOST_TEXT) throw new Enough();
    };
    try {
      await download(this.files.session, this.path, take, this.progress(most), { stop: this.stop.signal });
    } catch (trouble) { if (!(trouble instanceof Enough)) throw trouble; }
    return { blob: new Blob(pieces), cut: got > MOST_TEXT };
  }

  async whole(kind, bytes) {
    const most = onDisk() ? MOST[kind] : Math.min(MOST[kind], MOST_IN_MEMORY);
    if (bytes > most) throw new Error(`it has more than ${size(most)}, and can be downloaded`);
    const { signal } = this.stop;
    const { blob, forget } = await this.files.whole(this.path, bytes, this.progress(bytes), signal);
    if (signal.aborted) forget();
    else this.forget = forget;
    return { blob };
  }

  draw(given) {
    this.given = given;
    this.frame = element('iframe', { src: '/app/preview.html', title: given.name, allow: 'fullscreen' });
    this.frame.sandbox = 'allow-scripts';
    this.place.replaceChildren(this.frame);
  }

  heard(said) {
    if (said.begin) this.frame.contentWindow.postMessage(this.given, '*');
    else if (said.shown) { this.shown = said.shown; this.frame.focus(); }
    else if (said.close) this.dialog.close();
    else if (said.step === 1 || said.step === -1) this.step(said.step);
    else if (said.trouble) {
      this.place.replaceChildren();
      this.note.textContent = `It cannot be shown: ${String(said.trouble).slice(0, 200)}.`;
    }
  }

  save() {
    const [name, , bytes] = this.entries[this.at];
    this.dialog.close();
    this.files.get(this.path, name, bytes);
  }
}

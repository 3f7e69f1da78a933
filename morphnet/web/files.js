// The files app: look, download, upload, rename, delete; cut transfers go on from the byte.
import { begin, hand, offer, onDisk, tidy } from './saving.js';

const LARGE = 8 << 20; // bytes; larger downloads go to the disk as they come

export function size(bytes) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (bytes < 1024 || unit === 'GiB') return `${bytes < 10 && unit !== 'B' ? bytes.toFixed(1) : Math.round(bytes)} ${unit}`;
    bytes /= 1024;
  }
  return '';
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// What a service says until it ends.
export function ask(session, asked) {
  return new Promise((done, failed) => {
    const stream = session.open({ service: 'files', ...asked }), said = [];
    stream.onsaid = (words) => said.push(words);
    stream.onend = () => done(said);
    stream.onreset = (why) => failed(new Error(why));
  });
}

export function upload(session, path, file, progress) {
  return new Promise((done, failed) => {
    const mark = String(file.lastModified ?? 0);
    const stream = session.open({ service: 'files', do: 'put', path, size: file.size, mark });
    let at = null, reading = false, result = null;
    async function more() {
      if (reading || at === null) return;
      reading = true;
      try {
        while (stream.open && at < file.size && stream.window > 0) {
          const piece = new Uint8Array(await file.slice(at, at + Math.min(stream.window, 256 << 10)).arrayBuffer());
          at += stream.write(piece);
          progress(at, file.size);
        }
        if (stream.open && at === file.size) { stream.end(); at = null; }
      } catch (trouble) { // it was moved or changed meanwhile
        stream.reset();
        failed(trouble);
      }
      reading = false;
    }
    stream.onsaid = (words) => { if ('at' in words) { at = words.at; more(); } else result = words; };
    stream.onroom = more;
    stream.onend = () => done(result);
    stream.onreset = (why) => failed(new Error(why));
  });
}

// Hands the bytes to `write` as they come; resolves with how many there are then.
// `from` is what is here already: how many bytes, of which state of the file. When it is another file by now, `again` is told.
export function download(session, path, write, progress, from = { at: 0, mark: '' }, again = () => {}) {
  return new Promise((done, failed) => {
    const stream = session.open({ service: 'files', do: 'get', path, ...from });
    let whole = 0, got = from.at, writing = Promise.resolve();
    stream.onsaid = (words) => {
      whole = words.size;
      if (words.at !== got) { got = words.at; writing = writing.then(() => again(words.at)); }
    };
    stream.onbytes = (bytes) => {
      const kept = bytes.slice(), size = kept.length; // whoever takes the bytes may take them away
      writing = writing.then(() => write(kept)).then(() => {
        got += size;
        stream.took(size);
        progress(got, whole);
      });
      writing.catch((trouble) => { stream.reset(); failed(trouble); });
    };
    stream.onend = () => writing.then(() => (got === whole ? done(got) : failed(new Error('it has changed meanwhile'))));
    stream.onreset = (why) => failed(new Error(why));
  });
}

export class Files {
  constructor(session, place) {
    this.session = session;
    this.place = place;
    this.path = '';
    this.note = element('p', { role: 'status' });
    this.bar = element('progress', { hidden: true, max: 1 });
    this.list = element('tbody');
    this.trail = element('span');
    this.tools = element('div', { className: 'tools' }, this.trail);
    const head = element('tr', {}, element('th', { scope: 'col', textContent: 'Name' }),
      element('th', { scope: 'col', className: 'number', textContent: 'Size' }),
      element('th', { scope: 'col', className: 'wide', textContent: 'Changed' }),
      element('th', { scope: 'col', textContent: 'Actions' }));
    const table = element('table', {}, element('thead', {}, head), this.list);
    place.replaceChildren(this.tools, this.bar, this.note, table);
    tidy().catch(() => {});
    place.addEventListener('dragover', (event) => { event.preventDefault(); place.classList.add('over'); });
    place.addEventListener('dragleave', () => place.classList.remove('over'));
    place.addEventListener('drop', (event) => {
      event.preventDefault();
      place.classList.remove('over');
      this.put([...event.dataTransfer.files]);
    });
  }

  async show(path = this.path) {
    try {
      const said = await ask(this.session, { do: 'list', path });
      this.path = path;
      this.writable = said.at(-1).writable;
      this.draw(said.flatMap((words) => words.entries ?? []));
      this.note.textContent = said.at(-1).whole ? '' : 'There are more than are shown.';
    } catch (trouble) { this.tell(trouble); }
  }

  draw(entries) {
    const steps = this.path.split('/').filter(Boolean);
    this.trail.replaceChildren(this.button('Home', () => this.show(''), 'plain'), ...steps.map((name, at) =>
      this.button(`/ ${name}`, () => this.show(steps.slice(0, at + 1).join('/')), 'plain')));
    this.tools.replaceChildren(this.trail);
    if (this.writable) {
      const chosen = element('input', { type: 'file', multiple: true, hidden: true });
      chosen.addEventListener('change', () => this.put([...chosen.files]));
      this.tools.append(chosen, this.button('Upload', () => chosen.click()), this.button('New folder', () => this.make()));
    }
    entries.sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
    this.list.replaceChildren(...entries.map((entry) => this.row(...entry)));
  }

  row(name, directory, bytes, modified) {
    const path = this.path ? `${this.path}/${name}` : name;
    const open = () => (directory ? this.show(path) : this.get(path, name, bytes));
    const actions = element('td');
    if (this.writable) {
      actions.append(this.button('Rename', () => this.rename(path, name), 'plain', `Rename ${name}`),
        this.button('Delete', () => this.remove(path, name), 'plain', `Delete ${name}`));
    }
    return element('tr', {}, element('td', {}, this.button(directory ? `${name}/` : name, open, 'plain')),
      element('td', { className: 'number', textContent: directory ? '' : size(bytes) }),
      element('td', { className: 'wide', textContent: new Date(modified * 1000).toLocaleString() }), actions);
  }

  button(words, done, kind = '', label = words) {
    const made = element('button', { type: 'button', textContent: words, className: kind, ariaLabel: label });
    made.addEventListener('click', done);
    return made;
  }

  progress(name) {
    this.bar.hidden = false;
    this.bar.ariaLabel = name;
    return (done, whole) => {
      this.bar.value = whole ? done / whole : 1;
      this.note.textContent = `${name}: ${size(done)} of ${size(whole)}`;
    };
  }

  tell(trouble) { this.note.textContent = `That did not work: ${trouble.message}.`; }

  // A large file goes to the disk as it comes, and on from there after a reload.
  async save(path, name) {
    const [{ mark }] = await ask(this.session, { do: 'about', path });
    const { disk, at } = await begin(path, mark);
    try {
      await download(this.session, path, (piece) => disk.write(piece), this.progress(name), { at, mark },
        (size) => disk.ask('cut', { size }));
    } finally { await disk.close(); }
    await hand(disk, name);
  }

  async get(path, name, bytes) {
    try {
      if (bytes > LARGE && onDisk()) await this.save(path, name);
      else {
        const pieces = [];
        await download(this.session, path, (piece) => { pieces.push(piece); }, this.progress(name));
        offer(name, new Blob(pieces));
      }
      this.note.textContent = `${name} is here.`;
    } catch (trouble) { this.tell(trouble); }
    this.bar.hidden = true;
  }

  async put(files) {
    for (const file of files) {
      try {
        await upload(this.session, this.path ? `${this.path}/${file.name}` : file.name, file, this.progress(file.name));
        await this.show();
        this.note.textContent = `${file.name} is at home.`;
      } catch (trouble) { this.tell(trouble); }
    }
    this.bar.hidden = true;
  }

  async change(asked) {
    try { await ask(this.session, asked); await this.show(); } catch (trouble) { this.tell(trouble); }
  }

  make() {
    const name = prompt('Name of the new folder');
    if (name) this.change({ do: 'make', path: this.path ? `${this.path}/${name}` : name });
  }

  rename(path, name) {
    const other = prompt('New name', name);
    if (other && other !== name) this.change({ do: 'rename', path, to: this.path ? `${this.path}/${other}` : other });
  }

  remove(path, name) {
    if (confirm(`Delete ${name}?`)) this.change({ do: 'remove', path });
  }
}

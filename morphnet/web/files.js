// The files app: look, preview, download, upload, rename, delete; cut transfers go on from the byte.
import { element, size } from './elements.js';
import { Preview, kindOf } from './preview.js';
import { begin, forget, kept, offer, onDisk, tidy } from './saving.js';
import { ask, download, upload } from './transfers.js';

const LARGE = 8 << 20; // bytes; larger downloads go to the disk as they come

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
    this.seen = entries.filter(([name, directory]) => !directory && kindOf(name) !== null);
    this.list.replaceChildren(...entries.map((entry) => this.row(...entry)));
  }

  row(name, directory, bytes, modified) {
    const path = this.path ? `${this.path}/${name}` : name;
    const seen = !directory && kindOf(name) !== null, get = () => this.get(path, name, bytes);
    const open = () => (directory ? this.show(path) : seen ? this.preview(name) : get());
    const actions = element('td');
    if (!directory) actions.append(this.button('Download', get, 'plain wide', `Download ${name}`));
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

  // All of a file, and what forgets it: a large one goes to the disk as it comes, and on from there after a reload.
  async whole(path, bytes, progress, stop) {
    if (bytes <= LARGE || !onDisk()) {
      const pieces = [];
      await download(this.session, path, (piece) => { pieces.push(piece); }, progress, { stop });
      return { blob: new Blob(pieces), forget: () => {} };
    }
    const [{ mark }] = await ask(this.session, { do: 'about', path });
    const { disk, at } = await begin(path, mark);
    try {
      const again = (size) => disk.ask('cut', { size });
      await download(this.session, path, (piece) => disk.write(piece), progress, { at, mark, again, stop });
    } finally {
      await disk.close();
      if (stop?.aborted && !at) await forget(disk); // it was only looked at, and no download goes on from it
    }
    return kept(disk);
  }

  async get(path, name, bytes) {
    try {
      const { blob, forget } = await this.whole(path, bytes, this.progress(name));
      offer(name, blob, forget);
      this.note.textContent = `${name} is here.`;
    } catch (trouble) { this.tell(trouble); }
    this.bar.hidden = true;
  }

  preview(name) { new Preview(this, this.seen.findIndex((entry) => entry[0] === name)); }

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

// Where a download goes: to the disk as it comes, so that memory is never full of it, and on from the byte after a reload.
import { sha256, toText, utf8 } from './bytes.js';

const FORGET_AFTER = 7 * 86400e3; // milliseconds: what was never finished
const COPY = 20e6; // bytes a second, at the least, at which the browser copies a finished file

export const onDisk = () => Boolean(navigator.storage?.getDirectory && globalThis.Worker);

class Disk {
  constructor(name) {
    this.name = name;
    this.worker = new Worker('/disk.js');
    this.asked = new Map();
    this.number = 0;
    this.worker.onmessage = ({ data }) => {
      const { done, failed } = this.asked.get(data.number);
      this.asked.delete(data.number);
      if (data.trouble === undefined) done(data.done);
      else failed(new Error(data.trouble));
    };
    this.worker.onerror = () => {
      for (const { failed } of this.asked.values()) failed(new Error('this browser does not write'));
    };
  }

  ask(word, more = {}, moved = []) {
    return new Promise((done, failed) => {
      this.asked.set(++this.number, { done, failed });
      this.worker.postMessage({ number: this.number, word, ...more }, moved);
    });
  }

  write(bytes) { return this.ask('write', { bytes }, [bytes.buffer]); }

  async close() {
    const size = await this.ask('close');
    this.worker.terminate();
    return size;
  }
}

// A file of our own for this download, and how much of it is there.
export async function begin(path, mark) {
  const disk = new Disk(toText(await sha256(utf8(`${path}\0${mark}`))));
  return { disk, at: await disk.ask('open', { name: disk.name }) };
}

export function offer(name, blob, forget = () => {}) {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: address, download: name }).click();
  setTimeout(() => { URL.revokeObjectURL(address); forget(); }, 60000 + blob.size / COPY * 1000);
}

export async function forget(disk) {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(disk.name).catch(() => {});
}

// What was put there, whole, and what forgets it.
export async function kept(disk) {
  const root = await navigator.storage.getDirectory();
  const blob = await (await root.getFileHandle(disk.name)).getFile();
  return { blob, forget: () => forget(disk) };
}

// Files of downloads that nobody came back for.
export async function tidy(before = Date.now() - FORGET_AFTER) {
  if (!onDisk()) return;
  const root = await navigator.storage.getDirectory();
  for await (const [name, entry] of root.entries()) {
    if (entry.kind === 'file' && (await entry.getFile()).lastModified < before) await root.removeEntry(name).catch(() => {});
  }
}

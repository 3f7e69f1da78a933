// A worker: puts a download on the disk piece by piece, where it is found again after a reload. Messages have a number,
// which the answer repeats. The file is the page's own (OPFS), until the page hands the whole of it to the browser.
let file = null, at = 0;

const WORDS = {
  async open({ name }) {
    const root = await navigator.storage.getDirectory();
    file = await (await root.getFileHandle(name, { create: true })).createSyncAccessHandle();
    at = file.getSize();
    return at;
  },
  cut({ size }) { file.truncate(size); at = size; return at; },
  write({ bytes }) { at += file.write(bytes, { at }); return bytes.length; },
  close() { file.flush(); file.close(); return at; },
};

addEventListener('message', async ({ data }) => {
  try {
    postMessage({ number: data.number, done: await WORDS[data.word](data) });
  } catch (trouble) {
    postMessage({ number: data.number, trouble: trouble.name === 'QuotaExceededError' ? 'this disk is full' : trouble.message });
  }
});

// Files over streams: cut transfers go on from the byte.
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
// `at` and `mark` are what is here already: how many bytes, of which state of the file. When it is another file by now,
// `again` is told. `stop`, a signal, ends it.
export function download(session, path, write, progress, { at = 0, mark = '', again = () => {}, stop } = {}) {
  return new Promise((done, failed) => {
    stop?.throwIfAborted();
    const stream = session.open({ service: 'files', do: 'get', path, at, mark });
    stop?.addEventListener('abort', () => { stream.reset(); failed(stop.reason); });
    let whole = 0, got = at, writing = Promise.resolve();
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

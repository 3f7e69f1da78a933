// In a frame without an origin, made for one file: draws it. Nothing in it runs, and it reaches nobody.
const place = document.getElementById('shown');
const tell = (words) => parent.postMessage(words, '*');
const LOOKED_AT = 1 << 13; // bytes in which no text has a zero

function element(name, properties) { return Object.assign(document.createElement(name), properties); }

// Waits for what is drawn by the browser itself.
function drawn(made, event) {
  return new Promise((done, failed) => {
    made.addEventListener(event, done);
    made.addEventListener('error', () => failed(new Error('this browser cannot read it')));
    place.replaceChildren(made);
  });
}

function decoded(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  if (bytes.subarray(0, LOOKED_AT).includes(0)) throw new Error('it is no text');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }); // its last character may be cut
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

async function media(name, { blob, type }) {
  const made = element(name, { controls: true, preload: 'metadata', ariaLabel: 'Player' });
  made.src = URL.createObjectURL(blob.slice(0, blob.size, type));
  await drawn(made, 'loadedmetadata');
  return { seconds: made.duration, width: made.videoWidth, height: made.videoHeight };
}

const KINDS = {
  async picture({ blob, type, name }) {
    const made = new Image();
    made.alt = name;
    made.src = URL.createObjectURL(blob.slice(0, blob.size, type));
    await drawn(made, 'load');
    const button = element('button', { type: 'button', ariaLabel: `${name}: full size`, ariaPressed: 'false' });
    button.addEventListener('click', () => {
      button.ariaPressed = String(place.classList.toggle('full'));
    });
    button.append(made);
    place.replaceChildren(button);
    return { width: made.naturalWidth, height: made.naturalHeight };
  },
  async text({ blob, name }) {
    const text = decoded(new Uint8Array(await blob.arrayBuffer()));
    const made = element('pre', { tabIndex: 0, role: 'region', ariaLabel: name, textContent: text });
    place.replaceChildren(made);
    made.focus();
    return { characters: text.length };
  },
  sound: (given) => media('audio', given),
  film: (given) => media('video', given),
  async pdf({ blob }) { return (await import('/app/pdf.js')).show(blob, place); },
};

addEventListener('message', async ({ source, data }) => {
  if (source !== parent || !(data.blob instanceof Blob)) return;
  place.className = data.kind;
  try {
    tell({ shown: await KINDS[data.kind](data) });
  } catch (trouble) {
    tell({ trouble: trouble.message });
  }
});
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !document.fullscreenElement) tell({ close: true });
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && place.className === 'picture') tell({ step: by });
});
tell({ begin: true });

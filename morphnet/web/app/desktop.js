// In a frame without an origin: draws a desktop with noVNC, over a channel that is the page's messages.
import RFB from '/vendor/novnc/core/rfb.js';

const find = (id) => document.getElementById(id);
const tell = (words) => parent.postMessage(words, '*');
const KEYS = { Esc: 0xff1b, Tab: 0xff09, '↑': 0xff52, '↓': 0xff54, '←': 0xff51, '→': 0xff53 };
const HELD = { Ctrl: 0xffe3, Alt: 0xffe9 };
const BACKSPACE = 0xff08, ENTER = 0xff0d;
let channel = null, desktop = null;

// What noVNC takes for a WebSocket.
class Channel {
  constructor() {
    this.binaryType = 'arraybuffer';
    this.protocol = '';
    this.readyState = 'connecting';
    this.onopen = this.onmessage = this.onerror = this.onclose = () => {};
  }

  send(bytes) { if (this.readyState === 'open') tell({ sent: bytes.slice() }); }

  close() {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    tell({ close: true });
    this.onclose({ code: 1000, reason: '', wasClean: true });
  }
}

function over(why) {
  find('why').textContent = why;
  find('over').hidden = false;
  find('ask').hidden = true;
  find('again').focus();
}

function begin() {
  find('over').hidden = true;
  channel = new Channel();
  desktop = new RFB(find('screen'), channel, { shared: true });
  const mine = desktop;
  Object.assign(desktop, { scaleViewport: true, resizeSession: false, focusOnClick: true, background: '#282828' });
  desktop.addEventListener('connect', () => {
    const canvas = find('screen').querySelector('canvas');
    canvas.setAttribute('aria-label', 'Desktop at home');
    canvas.setAttribute('role', 'img');
    tell({ shown: { width: canvas.width, height: canvas.height } });
    desktop.focus();
  });
  desktop.addEventListener('disconnect', ({ detail }) => {
    if (mine === desktop) over(find('why').textContent || (detail.clean ? 'It has ended.' : 'The connection was lost.'));
  });
  desktop.addEventListener('securityfailure', ({ detail }) => {
    find('why').textContent = detail.reason ? `The VNC server says: ${detail.reason}.` : 'The VNC server lets nobody in.';
  });
  desktop.addEventListener('credentialsrequired', ({ detail }) => {
    find('who').hidden = !detail.types.includes('username');
    find('what').hidden = !detail.types.includes('password');
    find('ask').hidden = false;
    find(detail.types.includes('username') ? 'user' : 'password').focus();
  });
  desktop.addEventListener('clipboard', ({ detail }) => navigator.clipboard?.writeText(detail.text).catch(() => {}));
  tell({ begin: true });
}

addEventListener('message', ({ source, data }) => {
  if (source !== parent || !channel) return;
  if (data.open) { channel.readyState = 'open'; channel.onopen(); }
  if (data.bytes) {
    channel.onmessage({ data: data.bytes.buffer });
    tell({ drawn: data.bytes.length });
  }
  if (data.closed) {
    find('why').textContent ||= data.closed;
    if (channel.readyState === 'open') channel.close();
    else over(find('why').textContent);
  }
});

// No form: a frame without an origin sends none.
function enter() {
  find('ask').hidden = true;
  desktop.sendCredentials({ username: find('user').value, password: find('password').value });
  find('password').value = '';
}
find('connect').addEventListener('click', enter);
find('ask').addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.target.localName === 'input') enter(); });
// Whoever gives the frame the focus means the desktop.
addEventListener('focus', () => { if (document.activeElement === document.body) desktop?.focus(); });
find('again').addEventListener('click', () => {
  find('why').textContent = '';
  begin();
});

// A phone has a keyboard only where something is typed: we give it a field, and pass on what comes of it.
const typed = find('typed'), EMPTY = '  ';
const held = new Map();
function press(key) {
  desktop?.sendKey(key, null);
  for (const button of held.keys()) button.click();
}
typed.value = EMPTY;
typed.addEventListener('input', (event) => {
  if (event.isComposing) return;
  const now = typed.value;
  if (now.length < EMPTY.length) press(BACKSPACE);
  for (const letter of now.slice(EMPTY.length)) {
    const code = letter.codePointAt(0);
    press(letter === '\n' ? ENTER : code < 0x100 ? code : 0x1000000 + code);
  }
  typed.value = EMPTY;
});
find('type').addEventListener('click', () => typed.focus());
find('paste').addEventListener('click', async () => {
  try { desktop?.clipboardPasteFrom(await navigator.clipboard.readText()); } catch { /* the browser was told not to */ }
});
function key(label, done) {
  const made = Object.assign(document.createElement('button'), { type: 'button', textContent: label, className: 'key' });
  made.addEventListener('click', () => done(made));
  find('tools').insertBefore(made, find('paste'));
}
for (const [label, code] of Object.entries(HELD)) {
  key(label, (made) => {
    const down = !held.delete(made);
    if (down) held.set(made, code);
    made.setAttribute('aria-pressed', String(down));
    desktop?.sendKey(code, null, down);
  });
}
for (const [label, code] of Object.entries(KEYS)) key(label, () => press(code));
begin();

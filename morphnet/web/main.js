// Joins everything on the page.
import { Desktop } from './desktop.js';
import { Files } from './files.js';
import { Introduction } from './introduction.js';
import { Passkeys, usable } from './passkeys.js';
import { Presence } from './presence.js';
import { Session } from './streams.js';
import { Lines, Terminal } from './terminal.js';
import { Web } from './web.js';

const find = (id) => document.getElementById(id);
const home = location.hash.slice(1);

function state(words, good) {
  find('state').textContent = words;
  find('state').toggleAttribute('data-good', Boolean(good));
}

function services(session) {
  return new Promise((done, failed) => {
    const stream = session.open({});
    stream.onsaid = (words) => done(words.services);
    stream.onreset = (why) => failed(new Error(why));
  });
}

const TITLES = { files: 'Files', terminal: 'Terminal', vnc: 'Desktop', web: 'Web', tcp: 'Lines', passkeys: 'Passkeys' };
const APPS = {
  files: (session) => { const files = new Files(session, find('files')); files.show(); return files; },
  terminal: (session) => new Terminal(session, find('terminal')),
  vnc: (session) => new Desktop(session, find('vnc')),
  web: (session) => new Web(session, find('web')),
  tcp: (session) => new Lines(session, find('tcp')),
  passkeys: (session) => new Passkeys(session, find('passkeys'), home),
};

function enter(session, offered) {
  const opened = {};
  function show(name) {
    for (const each of Object.keys(APPS)) {
      find(each).hidden = each !== name;
      find(`open-${each}`)?.setAttribute('aria-pressed', String(each === name));
    }
    opened[name] ??= APPS[name](session);
    opened[name].focus?.();
  }
  const names = Object.keys(APPS).filter((name) => offered.includes(name));
  find('apps').replaceChildren(...names.map((name) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', id: `open-${name}` });
    button.textContent = TITLES[name];
    button.addEventListener('click', () => show(name));
    return button;
  }));
  find('login').hidden = true;
  find('apps').hidden = false;
  if (names.length) show(names[0]);
  return opened;
}

async function login(how) {
  const introduction = new Introduction(home), session = new Session();
  let presence = null;
  find('trouble').textContent = '';
  find('enter').disabled = find('passkey').disabled = true;
  state('Connecting', false);
  try {
    const connection = await how(introduction);
    find('password').value = '';
    presence = new Presence(introduction, session, state);
    presence.onlost = () => { find('login').hidden = false; };
    presence.start(connection);
    const apps = enter(session, await services(session));
    document.dispatchEvent(new CustomEvent('entered', { detail: { presence, session, apps } }));
  } catch (trouble) {
    presence?.end();
    state('Not connected', false);
    find('trouble').textContent = trouble.message;
  }
  find('enter').disabled = find('passkey').disabled = false;
}

find('which').textContent = home;
if (!/^[\w-]{43}$/.test(home)) find('trouble').textContent = 'This link is not whole: open the one that your home has printed.';
else if (!window.isSecureContext) find('trouble').textContent = 'This page needs HTTPS.';
else {
  find('login').addEventListener('submit', () => login((introduction) => introduction.login(find('password').value)));
  find('passkey').addEventListener('click', () => login((introduction) => introduction.loginByPasskey()));
  find('passkey').hidden = !usable();
}
find('login').addEventListener('submit', (event) => event.preventDefault());
find('password').focus();

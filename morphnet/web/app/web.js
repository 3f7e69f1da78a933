// In a frame without an origin: draws pages of machines at home. Nothing of theirs runs (the policy of this frame), and
// whatever they lead to is asked of the same machine, through the page.
const find = (id) => document.getElementById(id);
const tell = (words) => parent.postMessage(words, '*');
const NEVER = 'script, noscript, link, meta, base, iframe, frame, frameset, object, embed, template, portal, video, audio';
const NOTHING = 'data:,';
const AT_ONCE = 6, MOST_TURNS = 8;
const root = find('page').attachShadow({ mode: 'open' });
const asked = new Map(), jars = new Map(), known = new Map(), past = [];
let pages = {}, number = 0, showing = null, drawn = null, pictures = []; // `drawn` is what is seen, `showing` what comes

// Of one page, `name`, all along, whichever is chosen meanwhile: none may have something asked of another.
function ask(name, url, how = {}) {
  return new Promise((done, failed) => {
    const more = {}, cookies = [...(jars.get(name) ?? [])];
    if (cookies.length) more.cookie = cookies.map((each) => each.join('=')).join('; ');
    if (known.has(name)) more.authorization = known.get(name);
    asked.set(++number, (told) => {
      if (told.trouble) return failed(new Error(told.trouble));
      keep(name, told.cookies);
      done(told);
    });
    tell({ ask: number, name, path: url.pathname + url.search, method: 'GET', ...how, ...more });
  });
}

// Cookies are here as long as the frame is, and nowhere else.
function keep(name, told) {
  const jar = jars.get(name) ?? new Map();
  for (const each of told) {
    const [pair, ...rest] = each.split(';'), at = pair.indexOf('=');
    const over = rest.some((word) => /^\s*max-age=(0|-)/i.test(word) || Date.parse(/^\s*expires=(.*)/i.exec(word)?.[1]) < Date.now());
    if (over) jar.delete(pair.slice(0, at).trim());
    else if (at > 0) jar.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
  }
  jars.set(name, jar);
}

const ours = (name, url) => url.origin === new URL(pages[name]).origin;

// An answer, behind all that it is sent on to.
async function follow(name, url, how) {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const told = await ask(name, url, how);
    if (told.location === undefined || told.status < 300 || told.status > 399) return { told, url };
    const next = new URL(told.location, url);
    if (!ours(name, next)) throw new Error(`it leads elsewhere: ${next.href}`);
    [url, how] = [next, told.status === 307 || told.status === 308 ? how : {}];
  }
  throw new Error('it leads in a circle');
}

async function some(list, done) {
  const left = [...list];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left.length) await done(left.shift()).catch(() => {});
  }));
}

function picture(told) {
  const address = URL.createObjectURL(new Blob([told.bytes], { type: told.type }));
  pictures.push(address);
  return address;
}

function put(seen, mine) {
  drawn = mine;
  root.replaceChildren(seen);
}

function draw(told, mine) {
  const { name, url } = mine;
  const found = new DOMParser().parseFromString(new TextDecoder(/charset=["']?([\w-]+)/i.exec(told.type)?.[1] ?? 'utf-8')
    .decode(told.bytes), 'text/html');
  let base = url;
  try { base = new URL(found.querySelector('base')?.getAttribute('href') ?? '', url); } catch { /* it is none */ }
  const sheets = [...found.querySelectorAll('link[rel~="stylesheet" i][href]')].map((each) => [each, found.createElement('style')]);
  for (const [link, style] of sheets) link.replaceWith(style);
  const scripts = found.querySelector('script') !== null;
  for (const each of found.querySelectorAll(NEVER)) each.remove();
  for (const each of found.querySelectorAll('*')) {
    for (const { name } of [...each.attributes]) if (/^on|^(target|srcset|poster|background)$/i.test(name)) each.removeAttribute(name);
  }
  const images = [...found.querySelectorAll('img[src], input[type="image" i][src]')].map((each) => each.getAttribute('src'));
  for (const each of found.querySelectorAll('[src]')) {
    if (!/^data:/i.test(each.getAttribute('src'))) each.setAttribute('src', NOTHING);
  }
  const page = document.importNode(found.documentElement, true);
  const styles = page.querySelectorAll('style');
  mine.base = base;
  put(page, mine);
  const at = [...found.querySelectorAll('style')];
  const still = () => showing?.url === url;
  some(sheets, async ([link, style]) => {
    const from = new URL(link.getAttribute('href'), base);
    if (!ours(name, from)) return;
    const answer = await follow(name, from);
    if (still() && answer.told.status === 200) styles[at.indexOf(style)].textContent = new TextDecoder().decode(answer.told.bytes);
  });
  const places = page.querySelectorAll('img[src], input[type="image" i][src]');
  some(images.entries(), async ([number, src]) => {
    const from = new URL(src, base);
    if (from.protocol === 'data:' || !ours(name, from)) return;
    const answer = await follow(name, from);
    if (still() && answer.told.status === 200) places[number].src = picture(answer.told);
  });
  find('where').textContent = [found.title, url.pathname].filter(Boolean).join(' – ');
  return scripts;
}

async function go(name, url, how, back = false) {
  const mine = showing = { name, url, base: url };
  find('pages').value = name; // a link of what is still seen leads back to where that is from
  find('note').textContent = 'Asking';
  find('login').hidden = true;
  try {
    const { told, url: last } = await follow(name, url, how);
    if (showing !== mine) return;
    for (const each of pictures.splice(0)) URL.revokeObjectURL(each);
    mine.url = mine.base = last;
    find('note').textContent = told.status < 400 ? '' : `It answers ${told.status}.`;
    if (told.status === 401 && /^basic\b/i.test(told.asks)) { find('login').hidden = false; find('user').focus(); }
    if (/^text\/html|xhtml/i.test(told.type)) {
      if (draw(told, mine)) find('note').textContent += ' What this page does by scripts does not run here.';
    } else show(told, mine);
    if (!back && !how?.method) past.push(last);
    if (last.hash) root.getElementById(last.hash.slice(1))?.scrollIntoView();
    else find('page').scrollTop = 0;
    tell({ shown: { path: last.pathname, status: told.status } });
  } catch (trouble) {
    if (showing === mine) find('note').textContent = `That did not work: ${trouble.message}.`;
  }
}

function show(told, mine) {
  const { url } = mine;
  find('where').textContent = url.pathname;
  if (/^image\//i.test(told.type)) put(Object.assign(new Image(), { src: picture(told), alt: url.pathname }), mine);
  else if (/^text\/|json|xml/i.test(told.type)) {
    put(Object.assign(document.createElement('pre'), { textContent: new TextDecoder().decode(told.bytes) }), mine);
  } else {
    tell({ save: told.bytes, name: decodeURIComponent(url.pathname.split('/').at(-1)) || 'file' });
    find('note').textContent = 'It was handed to the browser as a download.';
  }
}

function lead(link) {
  const { name, base } = drawn;
  let url = null;
  try { url = new URL(link, base); } catch { return; }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return;
  if (ours(name, url)) go(name, url);
  else find('note').textContent = `It leads elsewhere: ${url.href}`;
}

root.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href], area[href]');
  if (!link) return;
  event.preventDefault();
  const href = link.getAttribute('href') ?? '';
  if (href.startsWith('#')) root.getElementById(href.slice(1))?.scrollIntoView();
  else lead(href);
});
root.addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.target, by = event.submitter, { name: page, base } = drawn;
  const sent = new URLSearchParams();
  for (const [name, value] of new FormData(form, by)) if (typeof value === 'string') sent.append(name, value);
  const url = new URL(by?.getAttribute('formaction') ?? form.getAttribute('action') ?? '', base);
  if (!ours(page, url)) { find('note').textContent = `It leads elsewhere: ${url.href}`; return; }
  if ((by?.getAttribute('formmethod') ?? form.getAttribute('method') ?? '').toLowerCase() === 'post') {
    go(page, url, { method: 'POST', sent: sent.toString(), type: 'application/x-www-form-urlencoded' });
  } else {
    url.search = sent.toString();
    go(page, url);
  }
});
find('back').addEventListener('click', () => {
  if (past.length > 1) { past.pop(); go(showing.name, past.at(-1), undefined, true); }
});
find('again').addEventListener('click', () => showing && go(showing.name, showing.url, undefined, true));
function begin() {
  const name = find('pages').value;
  past.length = 0;
  if (name) go(name, new URL(pages[name]));
}
find('pages').addEventListener('change', begin);
function enter() {
  known.set(showing.name, `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${find('user').value}:${find('password').value}`)))}`);
  find('password').value = '';
  go(showing.name, showing.url);
}
find('enter').addEventListener('click', enter);
find('login').addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.target.localName === 'input') enter(); });
addEventListener('message', ({ source, data }) => {
  if (source !== parent) return;
  if (data.pages) {
    pages = data.pages;
    find('pages').replaceChildren(...Object.keys(pages).map((name) => new Option(name)));
    find('pages').hidden = find('pages').length < 2;
    begin();
  } else if (asked.has(data.ask)) {
    const done = asked.get(data.ask);
    asked.delete(data.ask);
    done(data);
  }
});
tell({ begin: true });

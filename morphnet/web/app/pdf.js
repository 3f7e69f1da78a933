// Draws a PDF, page by page as they come into sight. A frame without an origin has no workers, so the parser is here, too.
import '/vendor/pdfjs/pdf.worker.js';
import { getDocument } from '/vendor/pdfjs/pdf.js';

const MOST_PAGES = 1000, WIDEST = 1000, SHARPEST = 2; // CSS pixels; device pixels for each

class Page {
  constructor(file, number, like) {
    this.file = file;
    this.number = number;
    this.canvas = document.createElement('canvas');
    this.canvas.ariaLabel = `Page ${number} of ${file.numPages}`;
    this.canvas.role = 'img';
    this.drawing = null;
    this.fit(like);
  }

  fit({ width, height }) { this.canvas.style.aspectRatio = `${width} / ${height}`; }

  async draw() {
    const drawing = this.drawing ??= { task: null };
    if (drawing.task) return;
    const page = await this.file.getPage(this.number), plain = page.getViewport({ scale: 1 });
    this.fit(plain);
    if (drawing !== this.drawing || drawing.task) return;
    const scale = this.canvas.clientWidth * Math.min(devicePixelRatio, SHARPEST) / plain.width;
    const viewport = page.getViewport({ scale });
    this.canvas.width = Math.round(viewport.width);
    this.canvas.height = Math.round(viewport.height);
    drawing.task = page.render({ canvas: this.canvas, viewport });
    await drawing.task.promise;
    const said = (await page.getTextContent()).items.map((item) => item.str + (item.hasEOL ? '\n' : '')).join('');
    this.canvas.ariaLabel = `Page ${this.number} of ${this.file.numPages}: ${said}`.trim();
  }

  // Its pixels are not kept while nobody sees them.
  forget() {
    this.drawing?.task?.cancel();
    this.drawing = null;
    this.canvas.width = this.canvas.height = 0;
  }
}

export async function show(blob, place) {
  const loading = getDocument({
    data: new Uint8Array(await blob.arrayBuffer()), useWasm: false, wasmUrl: '/vendor/pdfjs/', enableXfa: false,
  });
  loading.onPassword = () => loading.destroy();
  let file;
  try {
    file = await loading.promise;
  } catch (trouble) {
    throw new Error(loading.destroyed ? 'it wants a password' : `it is no PDF that can be read (${trouble.message})`);
  }
  const first = (await file.getPage(1)).getViewport({ scale: 1 });
  const pages = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const page = pages.get(target);
      if (isIntersecting) page.draw().catch(() => {});
      else page.forget();
    }
  }, { rootMargin: '50% 0%' });
  place.style.setProperty('--widest', `${WIDEST}px`);
  for (let number = 1; number <= Math.min(file.numPages, MOST_PAGES); number++) {
    const page = new Page(file, number, first);
    pages.set(page.canvas, page);
    place.append(page.canvas);
    seen.observe(page.canvas);
  }
  place.tabIndex = 0;
  place.focus();
  await pages.values().next().value.draw();
  return { pages: file.numPages };
}

// In a frame without an origin: draws what it is told, tells what is typed. The page carries both.
'use strict';
(() => {
  const terminal = new Terminal({ scrollback: 10000, cursorBlink: true, screenReaderMode: false });
  const fit = new FitAddon.FitAddon();
  let replay = 0; // bytes of the past: a terminal's answers to them were given long ago
  const tell = (words) => parent.postMessage(words, '*');
  terminal.loadAddon(fit);
  terminal.open(document.getElementById('screen'));
  terminal.onData((typed) => { if (replay <= 0) tell({ typed }); });
  terminal.onResize(({ rows, cols }) => tell({ rows, columns: cols }));
  addEventListener('message', ({ source, data }) => {
    if (source !== parent) return;
    if (data.begin) { terminal.reset(); replay = data.replay; }
    if (data.note) terminal.write(`\r\n\x1b[7m ${data.note.replace(/[^ -~]/g, '?')} \x1b[0m\r\n`);
    if (data.bytes) {
      terminal.write(data.bytes, () => {
        replay -= data.bytes.length;
        tell({ drawn: data.bytes.length });
      });
    }
  });
  const screen = document.getElementById('screen');
  const refit = () => { if (screen.clientHeight) fit.fit(); }; // not while another app is shown
  new ResizeObserver(refit).observe(screen);
  refit();
  tell({ rows: terminal.rows, columns: terminal.cols });
  addEventListener('focus', () => terminal.focus());
  terminal.focus();
})();

// The desktop app: noVNC in a frame, and a VNC server at home.
import { Carrier } from './carrier.js';

export class Desktop extends Carrier {
  constructor(session, place) { super(session, place, 'desktop', 'Desktop'); }

  heard(said) {
    if (said.sent) { if (this.stream?.open) this.write(said.sent); }
    else if (said.drawn) this.stream?.took(said.drawn);
    else if (said.close) this.stream?.reset();
    else if (said.begin) this.begin();
    else if (said.shown) this.shown = said.shown; // its name and size
  }

  begin() {
    this.stream?.reset();
    this.shown = null;
    const stream = this.open({ service: 'vnc' });
    stream.onsaid = (words) => words.open && this.tell({ open: true });
    stream.onend = () => this.tell({ closed: 'The VNC server has ended the connection.' });
    stream.onreset = (why) => this.tell({ closed: `That did not work: ${why}.` });
  }
}

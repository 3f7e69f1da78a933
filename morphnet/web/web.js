// The web app: pages of machines at home, drawn in a frame; this end asks for them.
import { Carrier } from './carrier.js';
import { join, utf8 } from './bytes.js';
import { offer } from './saving.js';

const LONGEST = 64 << 20; // bytes of one answer

export class Web extends Carrier {
  constructor(session, place) { super(session, place, 'web', 'Web', 'allow-scripts allow-forms'); }

  heard(said) {
    if (said.ask !== undefined) this.ask(said);
    else if (said.save) offer(said.name, new Blob([said.save]));
    else if (said.begin) {
      this.session.open({ service: 'web', do: 'list' }).onsaid = ({ pages }) => this.tell({ pages });
    } else if (said.shown) this.shown = said.shown;
  }

  // Whatever the frame says: this service, and of its words those that a request has.
  ask({ ask, name, method, path, sent, type, cookie, authorization }) {
    const stream = this.session.open({ name, method, path, type, cookie, authorization, service: 'web' });
    const pieces = [];
    let told = {}, size = 0;
    stream.onsaid = (words) => { told = words; };
    stream.onbytes = (bytes) => {
      pieces.push(bytes.slice());
      size += bytes.length;
      if (size > LONGEST) {
        stream.reset();
        this.tell({ ask, trouble: 'it is too long to be shown' });
      } else stream.took(bytes.length);
    };
    stream.onend = () => this.tell({ ask, ...told, bytes: join(...pieces) });
    stream.onreset = (trouble) => this.tell({ ask, trouble });
    if (sent) {
      const bytes = utf8(sent);
      if (stream.write(bytes) < bytes.length) {
        stream.reset();
        this.tell({ ask, trouble: 'that is more than may be sent at once' });
        return;
      }
    }
    stream.end();
  }
}

/* Makes runs of what a TUN gave: wire/offload.py. */
#include "tun.h"

enum { MOST_READS = 256, MOST_JOINED = 61000 };

typedef struct {
    Py_buffer view;
    const uint8_t *packet; /* behind the virtio_net_hdr */
    size_t size, slice;    /* bytes of the packet; of the payload in each slice, 0 for one whole packet */
    Look look;
    uint32_t flow;
    int good, partial;
    int next;             /* the packet that goes on behind this one in the same run, or -1 */
    int head, last, many; /* of the run: its first packet; in there, its last one, and how many datagrams */
    int packets, open;    /* in the first: of the run; whether it may go on */
    int joined;           /* in the first: its payloads are made slices; else the packets stay whole */
} Read;

static int read_packet(Read *r) {
    const uint8_t *v = r->view.buf;
    uint16_t slice;
    r->next = -1, r->many = 1, r->slice = 0, r->open = 0, r->joined = 0;
    if (r->view.len < VNET)
        return 0;
    r->packet = v + VNET, r->size = r->view.len - VNET;
    memcpy(&slice, v + 4, 2); /* gso_size, in host order */
    if (!look(r->packet, r->size, &r->look))
        return 0;
    r->partial = v[0] & NEEDS_CSUM;
    r->flow = flow_of(r->packet, &r->look);
    if (!v[1] || !slice || r->size <= (size_t)r->look.headers + slice)
        return 1;
    if ((r->look.protocol != TCP && r->look.protocol != UDP) || r->look.headers == r->look.at)
        return 0; /* an offload that we never asked for */
    r->slice = slice, r->joined = 1;
    r->many = (r->size - r->look.headers - 1) / slice + 1;
    return r->many <= MOST_DATAGRAMS;
}

static int proper(const Read *r) { /* it has a payload, and the length that its IP header says */
    return r->look.ported && r->size > (size_t)r->look.headers && r->size <= MOST_PLAINTEXT &&
           slice_size(r->packet) == (r->look.version == 4 ? r->size : r->size - 40);
}

static int joinable(const Read *r) { /* as it should be; its checksum is not made yet or, of a UDP packet, right */
    const uint8_t *p = r->packet;
    const Look *l = &r->look;
    if (!proper(r))
        return 0;
    if (l->protocol == TCP) /* with nothing special */
        return r->partial && l->headers >= l->at + 20 && (p[l->at + 13] & ~(PSH | ECE)) == ACK;
    size_t length = r->size - l->at;
    if (r->slice || word(p + l->at + 4) != length)
        return 0;
    return r->partial || (word(p + l->at + 6) && sum(pseudo(l, length), p + l->at, length) == 0xFFFF);
}

static int ends(const Read *r, size_t slice) { /* nothing can be joined behind it */
    return (r->size - r->look.headers) % slice != 0;
}

static int goes_on(const Read *a, const Read *b, size_t sent) { /* what TCP sends behind so many bytes of payload */
    const uint8_t *p = a->packet + a->look.at, *q = b->packet + b->look.at;
    uint32_t at = (uint32_t)word(p + 4) << 16 | word(p + 6), then = (uint32_t)word(q + 4) << 16 | word(q + 6);
    return then == (uint32_t)(at + sent) && !memcmp(p + 8, q + 8, 5) && (p[13] | PSH) == (q[13] | PSH) &&
           !memcmp(p + 14, q + 14, 2) && !memcmp(p + 18, q + 18, a->look.headers - a->look.at - 18);
}

static int alike(const Read *a, const Read *b, int many) { /* but for what every packet has of its own */
    const uint8_t *p = a->packet, *q = b->packet;
    size_t at = a->look.at;
    if (a->look.version != b->look.version || at != (size_t)b->look.at || memcmp(p + at, q + at, 4))
        return 0;
    if (a->look.version == 6)
        return !memcmp(p, q, 4) && !memcmp(p + 6, q + 6, at - 6);
    int numbered = p[6] & DONT_FRAGMENT || word(q + 4) == ((word(p + 4) + many) & 0xFFFF);
    return numbered && !memcmp(p, q, 2) && !memcmp(p + 6, q + 6, 4) && !memcmp(p + 12, q + 12, at - 12);
}

static size_t size_of_slice(const Read *r) {
    return r->slice ? r->slice : r->size - r->look.headers;
}

static int joins(const Read *first, const Read *r) { /* its payload can be more slices */
    size_t slice = size_of_slice(first), sent = first->many * slice, payload = r->size - r->look.headers;
    return joinable(r) && first->look.headers == r->look.headers &&
           (r->slice ? r->slice == slice : payload <= slice) && first->look.headers + sent + payload <= MOST_JOINED &&
           alike(first, r, first->many) && (first->look.protocol == UDP || goes_on(first, r, sent));
}

static int takes(Read *first, int packets, const Read *r) { /* whether `r` goes on behind the run of so many packets */
    if (!first->open || first->many + r->many > MOST_DATAGRAMS)
        return 0;
    int join = (first->joined || (packets == 1 && joinable(first))) && joins(first, r);
    if (!join && (first->joined || r->slice || r->size != first->size || r->partial != first->partial ||
                  (packets + 1) * first->size > MOST_JOINED))
        return 0;
    first->many += r->many;
    first->joined = join;
    first->open = !join || !ends(r, size_of_slice(first));
    return 1;
}

static void arrange(Read *reads, int count) { /* put packets that can travel as one run behind one another */
    for (int i = 0; i < count; i++) {
        Read *r = &reads[i];
        r->head = i, r->last = i, r->packets = 1;
        r->open = r->good && (!r->slice || (r->look.protocol == TCP && joinable(r) && !ends(r, r->slice)));
        if (!r->good)
            continue;
        for (int j = i - 1; j >= 0; j--) {
            Read *first = &reads[j];
            if (!first->good || first->head != j || first->flow != r->flow)
                continue;
            if (takes(first, first->packets, r)) {
                first->packets++;
                reads[first->last].next = i;
                r->head = j, first->last = i;
            } else
                first->open = 0; /* or a later one would overtake this one */
            break;
        }
    }
}

static PyObject *made(const Read *reads, const Read *r) { /* what wire/offload.py calls a Cut */
    const uint8_t *p = r->packet;
    size_t heads = r->joined ? r->look.headers : 0;
    size_t slice = r->slice ? r->slice : r->size - heads, total = r->size - heads;
    int flags = (r->partial || (r->joined && r->packets > 1) ? PARTIAL : 0) | (heads ? SEGMENT : 0);
    for (int next = r->next; next >= 0; next = reads[next].next)
        total += reads[next].size - heads;
    PyObject *head = PyBytes_FromStringAndSize((const char *)p, heads);
    PyObject *body = PyBytes_FromStringAndSize(NULL, total);
    PyObject *to = PyBytes_FromStringAndSize((const char *)r->look.addresses + r->look.width, r->look.width);
    if (!head || !body || !to) {
        Py_XDECREF(head), Py_XDECREF(body), Py_XDECREF(to);
        return NULL;
    }
    uint8_t *begin = (uint8_t *)PyBytes_AS_STRING(head), *out = (uint8_t *)PyBytes_AS_STRING(body);
    if (heads) /* no sharing: a new object unless it is empty */
        set_word(begin + (r->look.version == 4 ? 2 : 4), slice);
    for (;; r = &reads[r->next]) {
        memcpy(out, r->packet + heads, r->size - heads);
        out += r->size - heads;
        if (heads && r->look.protocol == TCP) /* its wish for haste moves to the end: RFC 1122 section 4.2.2.2 */
            begin[r->look.at + 13] |= r->packet[r->look.at + 13] & PSH;
        if (r->next < 0)
            break;
    }
    return Py_BuildValue("NNNniI", to, head, body, (Py_ssize_t)slice, flags, (unsigned)reads[r->head].flow);
}

PyObject *gather(PyObject *self, PyObject *batch) {
    Py_ssize_t count = PySequence_Size(batch), held = 0;
    if (count < 0)
        return NULL;
    if (count > MOST_READS)
        return refuse("more packets than a batch holds");
    Read *reads = PyMem_Malloc((count ? count : 1) * sizeof *reads);
    PyObject *out = reads ? PyList_New(0) : PyErr_NoMemory();
    for (; out && held < count; held++) {
        PyObject *packet = PySequence_GetItem(batch, held);
        int got = packet && PyObject_GetBuffer(packet, &reads[held].view, PyBUF_SIMPLE) == 0;
        Py_XDECREF(packet); /* the buffer keeps what it is of */
        if (!got) {
            Py_CLEAR(out);
            break;
        }
        reads[held].good = read_packet(&reads[held]);
    }
    if (out)
        arrange(reads, count);
    for (Py_ssize_t i = 0; out && i < count; i++) {
        if (reads[i].good && reads[i].head != i)
            continue;
        PyObject *each = reads[i].good ? made(reads, &reads[i]) : Py_NewRef(Py_None);
        if (!each || PyList_Append(out, each) < 0)
            Py_CLEAR(out);
        Py_XDECREF(each);
    }
    while (held)
        PyBuffer_Release(&reads[--held].view);
    PyMem_Free(reads);
    return out;
}

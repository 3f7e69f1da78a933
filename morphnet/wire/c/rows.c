/* Datagrams of many flows, one behind the other, opened at once: wire/rows.py. */
#include "rows.h"
#include "counting.h"
#include "key.h"
#include "tun.h"

enum { FRAGMENT = 16, LAST = 4, COMPRESSED = 3, PLACE = 2 }; /* flags; of a place: its low bits, and how many they are */

typedef struct {
    Py_ssize_t header, aad, number, flags, sequence, lane, place; /* offsets; the first two: bytes */
    Py_buffer data;
    Py_ssize_t size, gap;
} Row;

static const uint8_t *header_of(const Row *r, Py_ssize_t i) {
    return (const uint8_t *)r->data.buf + i * r->size;
}

static Py_ssize_t length_of(const Row *r, Py_ssize_t i) { /* bytes of datagram number i */
    Py_ssize_t left = r->data.len - i * r->size, whole = r->size - r->gap;
    return left < whole ? left : whole;
}

static uint32_t sequence_of(const Row *r, const uint8_t *h) {
    h += r->sequence;
    return (uint32_t)h[0] << 16 | h[1] << 8 | h[2];
}

static int belongs(const Row *r, Py_ssize_t i) { /* its header is the first one's, but for what each flow has of its own */
    uint8_t expected[MOST_HEADER];
    const uint8_t *h = header_of(r, i), number[3] = {(uint8_t)r->number, 4, 1};
    memcpy(expected, r->data.buf, r->header);
    count_up(expected, number, 3, i);
    memcpy(expected + r->sequence, h + r->sequence, 3);
    expected[r->lane] = h[r->lane], expected[r->place] = h[r->place];
    expected[r->flags] = (expected[r->flags] & ~(SEGMENT | LAST | PARTIAL)) | (h[r->flags] & (SEGMENT | LAST | PARTIAL));
    return !memcmp(expected, h, r->header) && !(h[r->flags] & FRAGMENT) && !(h[r->place] & COMPRESSED);
}

static Py_ssize_t unit(const Row *r, Py_ssize_t i, Py_ssize_t count) { /* datagrams of the packet that begins there */
    const uint8_t *h = header_of(r, i);
    if (!(h[r->flags] & SEGMENT))
        return 1;
    for (Py_ssize_t many = 0; !(h[r->place] >> PLACE) && i + many < count; many++) {
        const uint8_t *next = header_of(r, i + many);
        if (!(next[r->flags] & SEGMENT) || next[r->place] >> PLACE != many || next[r->lane] != h[r->lane] ||
            sequence_of(r, next) != ((sequence_of(r, h) + many) & 0xFFFFFF))
            return 0;
        if (next[r->flags] & LAST)
            return many + 1;
    }
    return 0; /* it is not all here */
}

static int row_sound(const Row *r) {
    int within = r->header >= 1 && r->header <= MOST_HEADER && r->aad >= 0 && r->aad <= r->header && r->number >= 0 &&
                 r->number <= r->header - 4 && r->sequence >= 0 && r->sequence <= r->header - 3 && r->flags >= 0 &&
                 r->flags < r->header && r->lane >= 0 && r->lane < r->header && r->place >= 0 && r->place < r->header;
    return within && r->gap >= 0 && r->gap <= r->size && r->size - r->gap >= r->header + TAG &&
           r->size <= MOST_PLAINTEXT && r->data.len >= r->header + TAG && r->data.len <= 2 * MOST_PLAINTEXT;
}

static Py_ssize_t counted(const Row *r, Py_ssize_t most) { /* datagrams of packets that are all there */
    Py_ssize_t count = 0, whole = 0, many;
    while (count < most && count < MOST_DATAGRAMS && r->data.len - count * r->size >= r->header + TAG &&
           belongs(r, count))
        count++;
    while (whole < count && (many = unit(r, whole, count)))
        whole += many;
    return whole;
}

PyObject *count_row(PyObject *self, PyObject *args) {
    Row r;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "(nnnnnnn)y*nnn", &r.header, &r.aad, &r.number, &r.flags, &r.sequence, &r.lane,
                          &r.place, &r.data, &r.size, &r.gap, &most))
        return NULL;
    PyObject *answer = row_sound(&r) ? PyLong_FromSsize_t(counted(&r, most)) : refuse("layout and size do not fit together");
    PyBuffer_Release(&r.data);
    return answer;
}

static int open_text(Key *key, const Row *r, const Py_buffer *nonce, Py_ssize_t i, uint8_t *to) {
    const uint8_t *in = header_of(r, i);
    Py_ssize_t plain = length_of(r, i) - r->header - TAG;
    uint8_t own[NONCE];
    memcpy(own, nonce->buf, NONCE);
    count_up(own, NUMBER, 3, i);
    Text sealed = {own, in, in + r->header, r->aad, plain, to};
    return key->cipher->open(key->cipher, key->state, &sealed, in + r->header + plain);
}

static PyObject *told(const Row *r, Py_ssize_t i, Py_ssize_t many, PyObject *packet) { /* packet: (packet, source) or None */
    const uint8_t *h = header_of(r, i);
    return Py_BuildValue("Niin", packet, (int)h[r->lane], (int)sequence_of(r, h), many);
}

/* The packet of `many` datagrams from number i on, as `told`. NULL with *forged set, or with an exception. */
static PyObject *open_unit(Key *key, const Row *r, const Py_buffer *nonce, Py_ssize_t i, Py_ssize_t many, int *forged) {
    Py_ssize_t plain = length_of(r, i) - r->header - TAG, last = length_of(r, i + many - 1) - r->header - TAG;
    int flags = header_of(r, i)[r->flags], slices = flags & SEGMENT;
    PyObject *made = PyByteArray_FromStringAndSize(NULL, VNET + (many - 1) * plain + last);
    if (!made)
        return NULL;
    uint8_t *buffer = (uint8_t *)PyByteArray_AS_STRING(made), *out = buffer + VNET, *at = out;
    Py_ssize_t heads = 0;
    uint8_t slice[MOST_PLAINTEXT];
    for (Py_ssize_t k = 0; k < many; k++) {
        Py_ssize_t size = k + 1 < many ? plain : last;
        if (!open_text(key, r, nonce, i + k, k ? slice : out)) {
            *forged = 1;
            Py_DECREF(made);
            return NULL;
        }
        Look l;
        if (!k && slices)
            heads = look(out, size, &l) && l.headers <= size ? l.headers : -1;
        heads = k && size < heads ? -1 : heads;
        if (k && heads >= 0)
            memcpy(at, slice + heads, size - heads);
        at += k ? size - (heads < 0 ? size : heads) : size;
    }
    if (!slices)
        return told(r, i, many, whole(out, plain, flags, made));
    Look l;
    memset(buffer, 0, VNET);
    if (heads < 0 || !finish_packet(buffer, at - out, 0, 1, many, &l)) {
        Py_DECREF(made);
        return told(r, i, many, Py_NewRef(Py_None));
    }
    PyObject *source = PyBytes_FromStringAndSize((const char *)l.addresses, l.width);
    if (!source || PyByteArray_Resize(made, VNET + (at - out)) < 0) {
        Py_XDECREF(source), Py_DECREF(made);
        return NULL;
    }
    PyObject *packet = Py_BuildValue("NN", made, source);
    return packet ? told(r, i, many, packet) : NULL;
}

static PyObject *open_units(Key *key, const Row *r, const Py_buffer *nonce) {
    Py_ssize_t count = (r->data.len - 1) / r->size + 1, many;
    if (counted(r, count) != count)
        return refuse("datagrams that make no row");
    if (!begin(key))
        return NULL;
    int forged = 0;
    PyObject *out = PyList_New(0);
    for (Py_ssize_t i = 0; out && i < count; i += many) {
        many = unit(r, i, count);
        PyObject *each = open_unit(key, r, nonce, i, many, &forged);
        if (!each || PyList_Append(out, each) < 0)
            Py_CLEAR(out);
        Py_XDECREF(each);
    }
    key->busy = 0;
    if (forged)
        PyErr_SetString(Forged, "tag");
    return out;
}

PyObject *key_open_row(Key *key, PyObject *args) {
    Row r;
    Py_buffer nonce;
    if (!PyArg_ParseTuple(args, "(nnnnnnn)y*y*nn", &r.header, &r.aad, &r.number, &r.flags, &r.sequence, &r.lane,
                          &r.place, &nonce, &r.data, &r.size, &r.gap))
        return NULL;
    PyObject *answer = row_sound(&r) && nonce.len == NONCE ? open_units(key, &r, &nonce)
                                                          : refuse("layout, nonce and size do not fit together");
    PyBuffer_Release(&nonce);
    PyBuffer_Release(&r.data);
    return answer;
}

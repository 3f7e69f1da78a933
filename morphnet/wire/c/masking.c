/* Masks runs of datagrams, and takes the mask off: wire/shapes/masking.py. */
#include "masking.h"

enum { BLOCK = 16, MOST_FRONT = 64, MOST_BLOCKS = 24, MOST_PADDING = 255, MOST_BEFORE = 32, DRAWN = 0x1f };
enum { SHOWN_ID = 8, LONG_OR_SHORT = 0xc0, SHORT = 0x40 };

typedef struct {
    Py_buffer data, stream, before;
    Py_ssize_t size, front, count, width; /* width: bytes of the stream for each datagram */
} Run;

static int sound(Run *r) { /* or an exception */
    if (r->front < 1 || r->front > MOST_FRONT || r->size < r->front + BLOCK || r->size > MOST_PLAINTEXT)
        return refuse("front and size do not fit together") != NULL;
    r->count = r->data.len ? (r->data.len - 1) / r->size + 1 : 0;
    if (r->count < 1 || r->count > MOST_DATAGRAMS || r->data.len - (r->count - 1) * r->size < r->front + BLOCK)
        return refuse("no run") != NULL;
    return 1;
}

static int wide(Run *r, Py_ssize_t least) { /* whether the stream has that much for each, or an exception */
    r->width = r->stream.len / r->count;
    if (r->width * r->count != r->stream.len || r->width < least)
        return refuse("a stream of another length") != NULL;
    return 1;
}

static Py_ssize_t length(const Run *r, Py_ssize_t i) { /* of datagram number i */
    Py_ssize_t left = r->data.len - i * r->size;
    return left < r->size ? left : r->size;
}

static void mix(uint8_t *to, const uint8_t *one, const uint8_t *other, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < size; i++)
        to[i] = one[i] ^ other[i];
}

static void spread(uint8_t *to, const uint8_t *sample, Py_ssize_t blocks) { /* the sample, once for each block */
    for (Py_ssize_t block = 0; block < blocks; block++, to += BLOCK) {
        memcpy(to, sample, BLOCK);
        to[BLOCK - 1] ^= (uint8_t)block;
    }
}

PyObject *mask_samples(PyObject *self, PyObject *args) {
    Run r;
    Py_ssize_t blocks;
    if (!PyArg_ParseTuple(args, "y*nnn", &r.data, &r.size, &r.front, &blocks))
        return NULL;
    PyObject *out = NULL;
    if (sound(&r) && (blocks < 1 || blocks > MOST_BLOCKS))
        refuse("more blocks than a mask has");
    else if (!PyErr_Occurred())
        out = PyBytes_FromStringAndSize(NULL, r.count * blocks * BLOCK);
    uint8_t *to = out ? (uint8_t *)PyBytes_AS_STRING(out) : NULL;
    for (Py_ssize_t i = 0; out && i < r.count; i++, to += blocks * BLOCK)
        spread(to, (const uint8_t *)r.data.buf + i * r.size + r.front, blocks);
    PyBuffer_Release(&r.data);
    return out;
}

/*
 * Memory for what is as long as most runs, over and over: to ask for it each time cost as much as all the rest, for the
 * kernel takes it back and gives it anew. What nobody but us holds on to is free.
 */
enum { KEPT = 8, ROOM = 1 << 17, WORTH = 1 << 13 };
static PyObject *kept[KEPT];

static PyObject *view(PyObject *whole, Py_ssize_t from, Py_ssize_t to) { /* steals `whole` */
    PyObject *all = PyMemoryView_FromObject(whole), *part = all ? PySequence_GetSlice(all, from, to) : NULL;
    Py_XDECREF(all);
    Py_DECREF(whole);
    return part;
}

static PyObject *room(Py_ssize_t size, uint8_t **to) { /* bytes, or a view of what is kept */
    for (int i = 0; size >= WORTH && size <= ROOM && i < KEPT; i++) {
        if (!kept[i] && !(kept[i] = PyByteArray_FromStringAndSize(NULL, ROOM)))
            return NULL;
        if (Py_REFCNT(kept[i]) == 1) {
            *to = (uint8_t *)PyByteArray_AS_STRING(kept[i]);
            return view(Py_NewRef(kept[i]), 0, size);
        }
    }
    PyObject *out = PyBytes_FromStringAndSize(NULL, size);
    *to = out ? (uint8_t *)PyBytes_AS_STRING(out) : NULL;
    return out;
}

static PyObject *dressed(const Run *r, Py_ssize_t padding) {
    Py_ssize_t shown = r->before.len;
    uint8_t *to;
    PyObject *out = room(r->data.len + r->count * (shown + 1 + padding), &to);
    for (Py_ssize_t i = 0; out && i < r->count; i++) {
        const uint8_t *in = (const uint8_t *)r->data.buf + i * r->size;
        const uint8_t *mask = (const uint8_t *)r->stream.buf + i * r->width;
        Py_ssize_t body = length(r, i) - r->front;
        if (shown) {
            memcpy(to, r->before.buf, shown);
            *to ^= *mask & DRAWN;
        }
        to += shown;
        *to++ = (uint8_t)padding ^ mask[shown];
        mix(to, in, mask + shown + 1, r->front);
        memcpy(to + r->front, in + r->front, body);
        to += r->front + body;
        memcpy(to, mask + r->width - padding, padding);
        to += padding;
    }
    return out;
}

PyObject *mask_on(PyObject *self, PyObject *args) {
    Run r;
    Py_ssize_t padding;
    if (!PyArg_ParseTuple(args, "y*nny*ny*", &r.data, &r.size, &r.front, &r.stream, &padding, &r.before))
        return NULL;
    PyObject *out = NULL;
    if (sound(&r)) {
        if (padding < 0 || padding > MOST_PADDING || r.before.len > MOST_BEFORE)
            refuse("more padding, or more before it, than there may be");
        else if (wide(&r, r.before.len + 1 + r.front + padding))
            out = dressed(&r, padding);
    }
    PyBuffer_Release(&r.data);
    PyBuffer_Release(&r.stream);
    PyBuffer_Release(&r.before);
    return out;
}

/* What the cipher makes of the samples, the first of which is here, and each other a step behind the one before. */
static PyObject *stream_of(PyObject *cipher, const uint8_t *at, Py_ssize_t count, Py_ssize_t step, Py_ssize_t blocks) {
    PyObject *asked = PyBytes_FromStringAndSize(NULL, count * blocks * BLOCK);
    for (Py_ssize_t i = 0; asked && i < count; i++)
        spread((uint8_t *)PyBytes_AS_STRING(asked) + i * blocks * BLOCK, at + i * step, blocks);
    PyObject *made = asked ? PyObject_CallOneArg(cipher, asked) : NULL;
    Py_XDECREF(asked);
    if (made && (!PyBytes_Check(made) || PyBytes_GET_SIZE(made) != count * blocks * BLOCK)) {
        Py_CLEAR(made);
        refuse("a stream of another length");
    }
    return made;
}

int coat_sound(const Coat *c) {
    if (c->padding < 0 || c->padding > MOST_PADDING || c->lead - 1 > MOST_BEFORE)
        return refuse("more padding, or more before it, than there may be") != NULL;
    return 1;
}

int put_on(const Coat *c, uint8_t *to, Py_ssize_t total, Py_ssize_t step, Py_ssize_t front) {
    Py_ssize_t count = (total - 1) / step + 1, shown = c->lead - 1;
    Py_ssize_t width = (c->lead + front + c->padding + BLOCK - 1) / BLOCK * BLOCK;
    PyObject *made = stream_of(c->cipher, to + c->lead + front, count, step, width / BLOCK);
    const uint8_t *mask = made ? (uint8_t *)PyBytes_AS_STRING(made) : NULL;
    for (Py_ssize_t i = 0; made && i < count; i++, to += step, total -= step, mask += width) {
        if (shown) {
            memcpy(to, c->before, shown);
            *to ^= *mask & DRAWN;
        }
        to[shown] = (uint8_t)c->padding ^ mask[shown];
        mix(to + c->lead, to + c->lead, mask + c->lead, front);
        memcpy(to + (total < step ? total : step) - c->padding, mask + width - c->padding, c->padding);
    }
    Py_XDECREF(made);
    return made != NULL;
}

static int is_known(PyObject *known, const uint8_t *shown, const uint8_t *mask) { /* -1 with an exception */
    uint8_t id[SHOWN_ID] = {0};
    mix(id, shown, mask ? mask : id, SHOWN_ID);
    PyObject *name = PyBytes_FromStringAndSize((char *)id, SHOWN_ID);
    int found = name ? PySequence_Contains(known, name) : -1;
    Py_XDECREF(name);
    return found;
}

/* How many datagrams from number `first` on are dressed alike, -1 with an exception; front counts what is before it. */
static Py_ssize_t alike(const Run *r, Py_ssize_t first, Py_ssize_t before, PyObject *known, Py_ssize_t *total) {
    const uint8_t *in = (uint8_t *)r->data.buf + first * r->size, *mask = (uint8_t *)r->stream.buf + first * r->width;
    Py_ssize_t padding = in[before] ^ mask[before], i = first;
    for (*total = 0; i < r->count; i++, in += r->size, mask += r->width) {
        Py_ssize_t left = length(r, i) - padding;
        if ((in[before] ^ mask[before]) != padding || left < r->front + BLOCK)
            break;
        if (i > first && before && (*in & LONG_OR_SHORT) != SHORT)
            break;
        *total += left - before - 1;
    }
    if (i > first + 1) { /* the last may be a plain one, when its sender has just taken the mask off */
        int plain = is_known(known, in - r->size, NULL);
        if (plain < 0)
            return -1;
        if (plain)
            *total -= length(r, --i) - padding - before - 1;
    }
    return i - first;
}

static PyObject *undressed(const Run *r, Py_ssize_t at, Py_ssize_t before, PyObject *known, PyObject *from) {
    const uint8_t *in = (uint8_t *)r->data.buf + at, *mask = (uint8_t *)r->stream.buf + at / r->size * r->width;
    Py_ssize_t padding = in[before] ^ mask[before], head = before + 1, first = at / r->size, total;
    int ours = is_known(known, in + head, mask + head);
    Py_ssize_t count = ours > 0 ? alike(r, first, before, known, &total) : ours;
    if (count < 0)
        return NULL;
    if (!count)
        Py_RETURN_NONE;
    Py_ssize_t end = at + count * r->size;
    if (end > r->data.len)
        end = r->data.len;
    if (PyMemoryView_Check(from) && !r->data.readonly) { /* what came is ours to write to: nothing moves */
        uint8_t *to = (uint8_t *)r->data.buf + at + head;
        for (Py_ssize_t i = 0; i < count; i++, to += r->size, mask += r->width)
            mix(to, to, mask + head, r->front - head);
        PyObject *part = PySequence_GetSlice(from, at + head, end - padding);
        return part ? Py_BuildValue("Nnnn", part, count > 1 ? r->size : end - at - head - padding, end,
                                    count > 1 ? head + padding : 0) : NULL;
    }
    PyObject *out = PyBytes_FromStringAndSize(NULL, total);
    uint8_t *to = out ? (uint8_t *)PyBytes_AS_STRING(out) : NULL;
    for (Py_ssize_t i = first; out && i < first + count; i++, in += r->size, mask += r->width) {
        Py_ssize_t body = length(r, i) - padding - r->front;
        mix(to, in + head, mask + head, r->front - head);
        memcpy(to + r->front - head, in + r->front, body);
        to += r->front - head + body;
    }
    PyObject *seen = out ? PyMemoryView_FromObject(out) : NULL;
    Py_XDECREF(out);
    return seen ? Py_BuildValue("Nnnn", seen, r->size - head - padding, end, (Py_ssize_t)0) : NULL;
}

PyObject *mask_take(PyObject *self, PyObject *args) {
    Run r = {0};
    Py_ssize_t before, least;
    PyObject *from, *cipher, *known, *out = NULL;
    if (!PyArg_ParseTuple(args, "OnO(nnn)O", &from, &r.size, &cipher, &r.front, &before, &least, &known) ||
        PyObject_GetBuffer(from, &r.data, PyBUF_SIMPLE) < 0)
        return NULL;
    if (before < 0 || before > MOST_BEFORE || r.front < SHOWN_ID + 1 || r.front > MOST_FRONT ||
        least < before + r.front + BLOCK || r.size > MOST_PLAINTEXT)
        refuse("front and what is before it do not fit");
    else {
        Py_ssize_t over = r.size >= least ? r.data.len % r.size : 0;
        r.front += before;
        if (over < least)
            r.data.len -= over; /* nothing of ours ends so; the buffer is released by what it holds, not by its length */
        if (r.size < least || r.data.len < least || r.data.len > r.size * MOST_DATAGRAMS)
            out = Py_NewRef(Py_None);
        else if (sound(&r)) {
            Py_ssize_t blocks = (r.front + BLOCK - 1) / BLOCK;
            PyObject *made = stream_of(cipher, (uint8_t *)r.data.buf + r.front, r.count, r.size, blocks);
            if (made) {
                r.stream.buf = PyBytes_AS_STRING(made);
                r.stream.len = PyBytes_GET_SIZE(made);
                r.width = blocks * BLOCK;
                out = undressed(&r, 0, before, known, from);
                Py_DECREF(made);
            }
        }
    }
    PyBuffer_Release(&r.data);
    return out;
}

PyObject *mask_off(PyObject *self, PyObject *args) {
    Run r;
    Py_ssize_t at, before;
    PyObject *from, *known, *out = NULL;
    if (!PyArg_ParseTuple(args, "Onny*(nn)O", &from, &r.size, &at, &r.stream, &r.front, &before, &known))
        return NULL;
    if (PyObject_GetBuffer(from, &r.data, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&r.stream);
        return NULL;
    }
    if (before < 0 || before > MOST_BEFORE || r.front < SHOWN_ID + 1 || r.front > MOST_FRONT)
        refuse("front and what is before it do not fit");
    else {
        r.front += before;
        if (!sound(&r) || !wide(&r, r.front))
            ;
        else if (at < 0 || at >= r.count * r.size || at % r.size)
            refuse("not the beginning of a datagram");
        else
            out = undressed(&r, at, before, known, from);
    }
    PyBuffer_Release(&r.data);
    PyBuffer_Release(&r.stream);
    return out;
}

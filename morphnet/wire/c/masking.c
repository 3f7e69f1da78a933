/* Masks runs of datagrams, and takes the mask off: wire/shapes/masking.py. */
#include "masking.h"

enum { BLOCK = 16, MOST_FRONT = 64, MOST_BLOCKS = 24, MOST_PADDING = 255, MOST_BEFORE = 32, DRAWN = 0x1f };

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
    for (Py_ssize_t i = 0; out && i < r.count; i++)
        for (Py_ssize_t block = 0; block < blocks; block++, to += BLOCK) {
            memcpy(to, (const uint8_t *)r.data.buf + i * r.size + r.front, BLOCK);
            to[BLOCK - 1] ^= (uint8_t)block;
        }
    PyBuffer_Release(&r.data);
    return out;
}

static PyObject *dressed(const Run *r, Py_ssize_t padding) {
    Py_ssize_t shown = r->before.len;
    PyObject *out = PyBytes_FromStringAndSize(NULL, r->data.len + r->count * (shown + 1 + padding));
    uint8_t *to = out ? (uint8_t *)PyBytes_AS_STRING(out) : NULL;
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

static PyObject *undressed(const Run *r, Py_ssize_t before) { /* front counts what is before it */
    const uint8_t *in = r->data.buf, *mask = r->stream.buf;
    Py_ssize_t padding = in[before] ^ mask[before], count = 0, total = 0, head = before + 1;
    for (; count < r->count; count++, in += r->size, mask += r->width) {
        Py_ssize_t left = length(r, count) - padding;
        if ((in[before] ^ mask[before]) != padding || left < r->front + BLOCK)
            break;
        total += left - head;
    }
    if (!count)
        Py_RETURN_NONE;
    PyObject *out = PyBytes_FromStringAndSize(NULL, total);
    uint8_t *to = out ? (uint8_t *)PyBytes_AS_STRING(out) : NULL;
    in = r->data.buf, mask = r->stream.buf;
    for (Py_ssize_t i = 0; out && i < count; i++, in += r->size, mask += r->width) {
        Py_ssize_t body = length(r, i) - padding - r->front;
        mix(to, in + head, mask + head, r->front - head);
        memcpy(to + r->front - head, in + r->front, body);
        to += r->front - head + body;
    }
    return out ? Py_BuildValue("Nn", out, r->size - head - padding) : NULL;
}

PyObject *mask_off(PyObject *self, PyObject *args) {
    Run r;
    Py_ssize_t before;
    if (!PyArg_ParseTuple(args, "y*nny*n", &r.data, &r.size, &r.front, &r.stream, &before))
        return NULL;
    PyObject *out = NULL;
    if (before < 0 || before > MOST_BEFORE || r.front < 2 || r.front > MOST_FRONT)
        refuse("front and what is before it do not fit");
    else {
        r.front += before;
        out = sound(&r) && wide(&r, r.front) ? undressed(&r, before) : NULL;
    }
    PyBuffer_Release(&r.data);
    PyBuffer_Release(&r.stream);
    return out;
}

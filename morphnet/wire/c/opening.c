/* Opens datagrams, one or a run of them. */
#include "counting.h"
#include "key.h"
#include "packet.h"
#include "tun.h"

enum { MOST_HEADS = 512 }; /* bytes of headers in front of a slice: longer ones are opened one by one */

typedef struct {
    Py_buffer nonce, data;
    Py_ssize_t header, aad, size, gap; /* size: from one to the next; gap: bytes at the end of that which are no part */
} Train;

static Py_ssize_t plain_of(const Train *t, Py_ssize_t i) { /* bytes that datagram number i holds */
    Py_ssize_t left = t->data.len - i * t->size, whole = t->size - t->gap;
    return (left < whole ? left : whole) - t->header - TAG;
}

static int open_at(Key *key, const Train *t, Py_ssize_t i, uint8_t *to) { /* datagram number i */
    const uint8_t *in = (const uint8_t *)t->data.buf + i * t->size;
    Py_ssize_t plain = plain_of(t, i);
    uint8_t nonce[NONCE];
    memcpy(nonce, t->nonce.buf, NONCE);
    count_up(nonce, NUMBER, 3, i);
    Text sealed = {nonce, in, in + t->header, t->aad, plain, to};
    return key->cipher->open(key->cipher, key->state, &sealed, in + t->header + plain);
}

static int open_joined(Key *key, const Train *t, uint8_t *out, size_t *heads) { /* 1, 0 forged, -1 no slices */
    uint8_t end[MOST_HEADS];
    Py_ssize_t count = (t->data.len - 1) / t->size + 1, plain = plain_of(t, 0), last = plain_of(t, count - 1);
    Look l;
    if (!open_at(key, t, 0, out))
        return 0;
    if (!look(out, plain, &l) || l.headers <= l.at || l.headers >= plain || l.headers > MOST_HEADS || last < l.headers ||
        l.headers + (Py_ssize_t)slice_size(out) != plain)
        return -1;
    *heads = l.headers;
    uint8_t *to = out + plain - l.headers; /* the headers of each lie on what the one before will write */
    memcpy(end, to, l.headers);
    for (Py_ssize_t i = count - 1; i; i--)
        if (!open_at(key, t, i, to + (i - 1) * (plain - l.headers)))
            return 0;
    memcpy(to, end, l.headers);
    return 1;
}

static int sound(const Train *t, Py_ssize_t least) { /* `least` datagrams or more, or an exception */
    Py_ssize_t around = t->header + TAG;
    if (t->header < 1 || t->header > MOST_HEADER || t->aad < 0 || t->aad > t->header || t->nonce.len != NONCE)
        return refuse("header, additional data and nonce do not fit together") != NULL;
    if (t->gap < 0 || t->gap > t->size || t->size - t->gap < around || t->size > MOST_PLAINTEXT || t->data.len < around || t->data.len > 2 * MOST_PLAINTEXT)
        return refuse("no datagrams") != NULL;
    Py_ssize_t count = (t->data.len - 1) / t->size + 1;
    if (count < least || count > MOST_DATAGRAMS || t->data.len - (count - 1) * t->size < around)
        return refuse("datagrams that make no train") != NULL;
    return 1;
}

PyObject *key_open(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*", &t.header, &t.aad, &t.nonce, &t.data))
        return NULL;
    PyObject *out = NULL;
    t.size = t.data.len;
    t.gap = 0;
    if (sound(&t, 1) && (out = PyBytes_FromStringAndSize(NULL, t.size - t.header - TAG))) {
        if (!begin(key))
            Py_CLEAR(out);
        else {
            int done = open_at(key, &t, 0, (uint8_t *)PyBytes_AS_STRING(out));
            key->busy = 0;
            if (!done) {
                Py_CLEAR(out);
                PyErr_SetString(Forged, "tag");
            }
        }
    }
    PyBuffer_Release(&t.nonce);
    PyBuffer_Release(&t.data);
    return out;
}

/* Datagram number i: bytes, or a super packet with these flags. NULL with *forged set, or with an exception. */
static PyObject *open_one(Key *key, const Train *t, Py_ssize_t i, const int *flags, int *forged) {
    Py_ssize_t size = plain_of(t, i);
    PyObject *made = flags ? PyByteArray_FromStringAndSize(NULL, VNET + size) : PyBytes_FromStringAndSize(NULL, size);
    if (!made)
        return NULL;
    uint8_t *to = (uint8_t *)(flags ? PyByteArray_AS_STRING(made) + VNET : PyBytes_AS_STRING(made));
    if (open_at(key, t, i, to))
        return flags ? whole(to, size, *flags, made) : made;
    *forged = 1;
    Py_DECREF(made);
    return NULL;
}

static PyObject *open_each(Key *key, Train *t, const int *flags) { /* all, or none; the train is released */
    int forged = 0, mine = sound(t, 1) && begin(key);
    Py_ssize_t count = mine ? (t->data.len - 1) / t->size + 1 : 0;
    PyObject *out = mine ? PyList_New(count) : NULL;
    for (Py_ssize_t i = 0; out && i < count; i++) {
        PyObject *each = open_one(key, t, i, flags, &forged);
        if (each)
            PyList_SET_ITEM(out, i, each);
        else
            Py_CLEAR(out);
    }
    if (mine)
        key->busy = 0;
    if (forged)
        PyErr_SetString(Forged, "tag");
    PyBuffer_Release(&t->nonce);
    PyBuffer_Release(&t->data);
    return out;
}

PyObject *key_open_all(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*nn", &t.header, &t.aad, &t.nonce, &t.data, &t.size, &t.gap))
        return NULL;
    return open_each(key, &t, NULL);
}

PyObject *key_open_whole(Key *key, PyObject *args) {
    Train t;
    int flags;
    if (!PyArg_ParseTuple(args, "(nn)y*y*nni", &t.header, &t.aad, &t.nonce, &t.data, &t.size, &t.gap, &flags))
        return NULL;
    return open_each(key, &t, &flags);
}

static PyObject *open_train(Key *key, const Train *t) {
    Py_ssize_t count = (t->data.len - 1) / t->size + 1, text = (count - 1) * plain_of(t, 0) + plain_of(t, count - 1);
    PyObject *out = PyByteArray_FromStringAndSize(NULL, VNET + text);
    if (!out || !begin(key))
        return Py_XDECREF(out), NULL;
    uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(out);
    size_t heads = 0;
    int done;
    Py_BEGIN_ALLOW_THREADS
    memset(to, 0, VNET);
    done = open_joined(key, t, to + VNET, &heads);
    Py_END_ALLOW_THREADS
    key->busy = 0;
    if (done == 1 && PyByteArray_Resize(out, VNET + text - (count - 1) * heads) == 0)
        return Py_BuildValue("Nn", out, (Py_ssize_t)heads);
    Py_DECREF(out);
    if (done == 0)
        PyErr_SetString(Forged, "tag");
    return done == -1 ? Py_NewRef(Py_None) : NULL;
}

PyObject *key_open_run(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*nn", &t.header, &t.aad, &t.nonce, &t.data, &t.size, &t.gap))
        return NULL;
    PyObject *answer = sound(&t, 2) ? open_train(key, &t) : NULL;
    PyBuffer_Release(&t.nonce);
    PyBuffer_Release(&t.data);
    return answer;
}

/*
 * Seals a run of datagrams. A caller says which bytes stand in front of each ciphertext (`first`, and `ending` for the
 * last one), how many of them are additional data (`aad`), and which of their fields count up. Where the run is masked as
 * well, each is sealed where it will stay: between what goes before its header and its padding.
 */
#include "counting.h"
#include "key.h"
#include "masking.h"

typedef struct {
    Py_buffer fields, first, ending, nonce, head, body;
    Py_ssize_t aad, size, count;
    Coat coat; /* all 0 where nothing is masked */
} Load;

static int seal_all(Key *key, const Load *l, uint8_t *out) {
    size_t header = l->first.len, heads = l->head.len, rest = l->body.len;
    const uint8_t *body = l->body.buf;
    for (Py_ssize_t i = 0; i < l->count; i++) {
        size_t slice = i + 1 < l->count ? (size_t)l->size : rest;
        uint8_t nonce[NONCE], *text = out + header;
        out += l->coat.lead;
        text += l->coat.lead;
        memcpy(nonce, l->nonce.buf, NONCE);
        count_up(nonce, NUMBER, 3, i);
        memcpy(out, i + 1 < l->count ? l->first.buf : l->ending.buf, header);
        count_up(out, l->fields.buf, l->fields.len, i);
        memcpy(text, l->head.buf, heads);
        memcpy(text + heads, body, slice);
        Text sealed = {nonce, out, text, l->aad, heads + slice, text};
        if (!key->cipher->seal(key->cipher, key->state, &sealed, text + heads + slice))
            return 0;
        out += header + heads + slice + TAG + l->coat.padding;
        body += slice;
        rest -= slice;
    }
    return 1;
}

static PyObject *seal_load(Key *key, Load *l) {
    Py_ssize_t header = l->first.len;
    if (!fits(&l->fields, header) || l->ending.len != header || l->aad < 0 || l->aad > header || l->nonce.len != NONCE)
        return refuse("header, additional data, fields and nonce do not fit together");
    if (l->size < 1 || l->size > MOST_PLAINTEXT || l->head.len > MOST_PLAINTEXT || l->body.len > 2 * MOST_PLAINTEXT)
        return refuse("more than a run holds");
    l->count = l->body.len ? (l->body.len - 1) / l->size + 1 : 1;
    if (l->count > MOST_DATAGRAMS)
        return refuse("more datagrams than a run holds");
    Py_ssize_t around = l->coat.lead + header + l->head.len + TAG + l->coat.padding;
    PyObject *out = PyByteArray_FromStringAndSize(NULL, l->count * around + l->body.len);
    if (!out || !begin(key))
        return Py_XDECREF(out), NULL;
    uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(out);
    int done;
    Py_BEGIN_ALLOW_THREADS
    done = seal_all(key, l, to);
    Py_END_ALLOW_THREADS
    key->busy = 0;
    if (!done) {
        Py_CLEAR(out);
        PyErr_SetString(PyExc_RuntimeError, "the cipher failed");
    }
    return out;
}

static void release(Load *l) {
    Py_buffer *held[] = {&l->fields, &l->first, &l->ending, &l->nonce, &l->head, &l->body};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        PyBuffer_Release(held[i]);
}

PyObject *key_seal(Key *key, PyObject *args) {
    Load l = {0};
    if (!PyArg_ParseTuple(args, "(y*y*y*n)y*y*y*n", &l.fields, &l.first, &l.ending, &l.aad, &l.nonce, &l.head, &l.body,
                          &l.size))
        return NULL;
    PyObject *out = seal_load(key, &l);
    release(&l);
    return out;
}

PyObject *key_seal_masked(Key *key, PyObject *args) {
    Load l = {0};
    Py_buffer before;
    if (!PyArg_ParseTuple(args, "(y*y*y*n)y*y*y*n(y*nO)", &l.fields, &l.first, &l.ending, &l.aad, &l.nonce, &l.head,
                          &l.body, &l.size, &before, &l.coat.padding, &l.coat.cipher))
        return NULL;
    l.coat.before = before.buf;
    l.coat.lead = before.len + 1;
    PyObject *out = coat_sound(&l.coat) ? seal_load(key, &l) : NULL;
    Py_ssize_t each = l.coat.lead + l.first.len + l.head.len + l.size + TAG + l.coat.padding;
    if (out && !put_on(&l.coat, (uint8_t *)PyByteArray_AS_STRING(out), Py_SIZE(out), each, l.first.len))
        Py_CLEAR(out);
    release(&l);
    PyBuffer_Release(&before);
    return out;
}

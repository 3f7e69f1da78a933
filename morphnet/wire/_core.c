/*
 * Sealing and opening runs of datagrams with AES-256-GCM: the loops of wire/pure.py, without the interpreter.
 *
 * Nothing here knows the protocol. A caller says which bytes stand in front of each ciphertext (`first`, and `ending`
 * for the last one), how many of them are additional data (`aad`), and which of their fields count up from datagram to
 * datagram: `fields` is a row of (offset, width, step), each in a byte; the fields follow one another, are big-endian and wrap at
 * their width. The last 8 bytes of the nonce count up by one.
 *
 * The cipher is that of a library found at run time: Intel's ipsec-mb, or OpenSSL's libcrypto. Their few functions are
 * declared here, so that no header but Python's is needed; wire/core.py tests each against a known answer before use.
 *
 * Source: docs/protocol section 2; intel-ipsec-mb.h (aes_gcm_enc_dec_t), EVP_EncryptInit(3).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET = 32, NONCE = 12, TAG = 16, MOST_PREFIX = 64, MOST_DATAGRAMS = 64, MOST_PLAINTEXT = 65535 };
static const char CIPHER[] = "morphnet.wire._core.Cipher";
enum { GET_TAG = 0x10, SET_TAG = 0x11 }; /* EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG */
enum { AREA = 4096 }; /* bytes for ipsec-mb's key schedule (it uses 1008), and as many for its context (80) */

/* -- ciphers: every function returns 1 for success ---------------------------------------------------------------- */

typedef struct {
    const uint8_t *nonce, *aad, *in;
    size_t aad_size, size;
    uint8_t *out;
} Text;

typedef void (*MbPass)(const void *, void *, uint8_t *, const uint8_t *, uint64_t, const uint8_t *, const uint8_t *,
                       uint64_t, uint8_t *, uint64_t);

typedef struct Cipher { /* in a capsule; each key holds on to it */
    int (*prepare)(const struct Cipher *, void *state[2], const uint8_t *secret);
    int (*seal)(const struct Cipher *, void *state[2], const Text *, uint8_t *tag);
    int (*open)(const struct Cipher *, void *state[2], const Text *, const uint8_t *tag);
    void (*forget)(const struct Cipher *, void *state[2]); /* and clear the key */
    struct {
        void (*expand)(const void *, void *);
        MbPass seal, open;
    } mb;
    struct {
        void *(*make)(void);
        void (*drop)(void *);
        const void *(*aes)(void);
        int (*init)(void *, const void *, void *, const uint8_t *, const uint8_t *, int);
        int (*update)(void *, uint8_t *, int *, const uint8_t *, int);
        int (*finish)(void *, uint8_t *, int *);
        int (*control)(void *, int, int, void *);
    } evp;
} Cipher;

static int mb_prepare(const Cipher *c, void *state[2], const uint8_t *secret) {
    if (posix_memalign(&state[0], 64, 2 * AREA))
        return state[0] = NULL, 0;
    memset(state[0], 0, 2 * AREA);
    state[1] = (uint8_t *)state[0] + AREA;
    c->mb.expand(secret, state[0]);
    return 1;
}

static int mb_seal(const Cipher *c, void *state[2], const Text *t, uint8_t *tag) {
    c->mb.seal(state[0], state[1], t->out, t->in, t->size, t->nonce, t->aad, t->aad_size, tag, TAG);
    return 1;
}

static int mb_open(const Cipher *c, void *state[2], const Text *t, const uint8_t *tag) {
    uint8_t right[TAG], differs = 0;
    c->mb.open(state[0], state[1], t->out, t->in, t->size, t->nonce, t->aad, t->aad_size, right, TAG);
    for (int i = 0; i < TAG; i++) /* all of them, always: the time tells nothing */
        differs |= right[i] ^ tag[i];
    return !differs;
}

static void mb_forget(const Cipher *c, void *state[2]) {
    (void)c;
    if (state[0])
        explicit_bzero(state[0], 2 * AREA);
    free(state[0]);
}

static int evp_prepare(const Cipher *c, void *state[2], const uint8_t *secret) {
    for (int sealing = 0; sealing < 2; sealing++)
        if (!(state[sealing] = c->evp.make()) ||
            !c->evp.init(state[sealing], c->evp.aes(), NULL, secret, NULL, sealing))
            return 0;
    return 1;
}

static int evp_pass(const Cipher *c, void *context, const Text *t, int sealing) {
    int done;
    return c->evp.init(context, NULL, NULL, NULL, t->nonce, sealing) &&
           c->evp.update(context, NULL, &done, t->aad, (int)t->aad_size) &&
           (!t->size || c->evp.update(context, t->out, &done, t->in, (int)t->size));
}

static int evp_seal(const Cipher *c, void *state[2], const Text *t, uint8_t *tag) {
    uint8_t none[TAG];
    int done;
    return evp_pass(c, state[1], t, 1) && c->evp.finish(state[1], none, &done) &&
           c->evp.control(state[1], GET_TAG, TAG, tag);
}

static int evp_open(const Cipher *c, void *state[2], const Text *t, const uint8_t *tag) {
    uint8_t none[TAG], copy[TAG];
    int done;
    memcpy(copy, tag, TAG);
    return evp_pass(c, state[0], t, 0) && c->evp.control(state[0], SET_TAG, TAG, copy) &&
           c->evp.finish(state[0], none, &done) > 0;
}

static void evp_forget(const Cipher *c, void *state[2]) {
    c->evp.drop(state[0]); /* which takes NULL too */
    c->evp.drop(state[1]);
}

static int find(void *library, const char *name, const char *variant, void *slot) {
    char full[80];
    snprintf(full, sizeof full, "%s%s", name, variant);
    void *found = dlsym(library, full);
    memcpy(slot, &found, sizeof found);
    return found != NULL;
}

static int fill(Cipher *c, void *library, const char *variant) {
    if (*variant) {
        c->prepare = mb_prepare, c->seal = mb_seal, c->open = mb_open, c->forget = mb_forget;
        return find(library, "aes_gcm_pre_256_", variant, &c->mb.expand) &&
               find(library, "aes_gcm_enc_256_", variant, &c->mb.seal) &&
               find(library, "aes_gcm_dec_256_", variant, &c->mb.open);
    }
    c->prepare = evp_prepare, c->seal = evp_seal, c->open = evp_open, c->forget = evp_forget;
    return find(library, "EVP_CIPHER_CTX_new", "", &c->evp.make) &&
           find(library, "EVP_CIPHER_CTX_free", "", &c->evp.drop) &&
           find(library, "EVP_aes_256_gcm", "", &c->evp.aes) && find(library, "EVP_CipherInit_ex", "", &c->evp.init) &&
           find(library, "EVP_CipherUpdate", "", &c->evp.update) &&
           find(library, "EVP_CipherFinal_ex", "", &c->evp.finish) &&
           find(library, "EVP_CIPHER_CTX_ctrl", "", &c->evp.control);
}

static int able(const char *variant) { /* whether this processor runs that variant of ipsec-mb's code */
#if defined(__x86_64__)
    if (!strcmp(variant, "vaes_avx512"))
        return __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
               __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    if (!strcmp(variant, "avx_gen4"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#endif
    return !*variant;
}

static void drop(PyObject *capsule) { /* the library stays loaded */
    free(PyCapsule_GetPointer(capsule, CIPHER));
}

static PyObject *load(PyObject *self, PyObject *args) {
    const char *library, *variant;
    if (!PyArg_ParseTuple(args, "ss", &library, &variant))
        return NULL;
    void *opened = able(variant) ? dlopen(library, RTLD_NOW | RTLD_LOCAL) : NULL;
    Cipher *made = opened ? calloc(1, sizeof *made) : NULL;
    PyObject *capsule = made && fill(made, opened, variant) ? PyCapsule_New(made, CIPHER, drop) : NULL;
    if (capsule)
        return capsule;
    free(made);
    if (opened)
        dlclose(opened);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* -- counting ------------------------------------------------------------------------------------------------------ */

static void count_up(uint8_t *prefix, const uint8_t *fields, size_t size, unsigned steps) {
    for (const uint8_t *field = fields; field < fields + size; field += 3) {
        uint64_t carry = (uint64_t)field[2] * steps;
        for (int i = field[0] + field[1] - 1; i >= field[0] && carry; i--, carry >>= 8) {
            carry += prefix[i];
            prefix[i] = (uint8_t)carry;
        }
    }
}

static const uint8_t NUMBER[3] = {4, 8, 1}; /* of a nonce */

static int fits(const Py_buffer *fields, Py_ssize_t prefix) {
    const uint8_t *at = fields->buf;
    int good = fields->len % 3 == 0 && prefix >= 1 && prefix <= MOST_PREFIX, end = 0;
    for (Py_ssize_t i = 0; good && i < fields->len; i += 3) {
        good = at[i] >= end && at[i + 1] >= 1 && at[i + 1] <= 8;
        end = at[i] + at[i + 1];
    }
    return good && end <= prefix;
}

static PyObject *refuse(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

/* -- keys ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *capsule;
    const Cipher *cipher;
    void *state[2];
    int busy; /* a thread works with it, without the interpreter's lock */
} Key;

static PyObject *key_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *capsule;
    Py_buffer secret;
    if (!PyArg_ParseTuple(args, "Oy*", &capsule, &secret))
        return NULL;
    const Cipher *cipher = PyCapsule_GetPointer(capsule, CIPHER);
    Key *key = NULL;
    if (cipher && secret.len != SECRET)
        refuse("a key has 32 bytes");
    else if (cipher && (key = (Key *)type->tp_alloc(type, 0))) {
        key->capsule = Py_NewRef(capsule);
        key->cipher = cipher;
        if (!cipher->prepare(cipher, key->state, secret.buf)) {
            Py_CLEAR(key);
            PyErr_NoMemory();
        }
    }
    PyBuffer_Release(&secret);
    return (PyObject *)key;
}

static void key_free(Key *key) {
    key->cipher->forget(key->cipher, key->state);
    Py_DECREF(key->capsule);
    Py_TYPE(key)->tp_free((PyObject *)key);
}

static int begin(Key *key) {
    if (key->busy)
        PyErr_SetString(PyExc_RuntimeError, "the key is in use by another thread");
    return !key->busy && (key->busy = 1);
}

typedef struct {
    Py_buffer fields, first, ending, nonce, head, body;
    Py_ssize_t aad, size, count;
} Load;

static int seal_all(Key *key, const Load *l, uint8_t *out) {
    size_t prefix = l->first.len, heads = l->head.len, rest = l->body.len;
    const uint8_t *body = l->body.buf;
    for (Py_ssize_t i = 0; i < l->count; i++) {
        size_t slice = i + 1 < l->count ? (size_t)l->size : rest;
        uint8_t nonce[NONCE], *text = out + prefix;
        memcpy(nonce, l->nonce.buf, NONCE);
        count_up(nonce, NUMBER, 3, i);
        memcpy(out, i + 1 < l->count ? l->first.buf : l->ending.buf, prefix);
        count_up(out, l->fields.buf, l->fields.len, i);
        memcpy(text, l->head.buf, heads);
        memcpy(text + heads, body, slice);
        Text sealed = {nonce, out, text, l->aad, heads + slice, text};
        if (!key->cipher->seal(key->cipher, key->state, &sealed, text + heads + slice))
            return 0;
        out += prefix + heads + slice + TAG;
        body += slice;
        rest -= slice;
    }
    return 1;
}

static PyObject *seal_load(Key *key, Load *l) {
    Py_ssize_t prefix = l->first.len;
    if (!fits(&l->fields, prefix) || l->ending.len != prefix || l->aad < 0 || l->aad > prefix || l->nonce.len != NONCE)
        return refuse("prefix, additional data, fields and nonce do not fit together");
    if (l->size < 1 || l->size > MOST_PLAINTEXT || l->head.len > MOST_PLAINTEXT || l->body.len > 2 * MOST_PLAINTEXT)
        return refuse("more than a run holds");
    l->count = l->body.len ? (l->body.len - 1) / l->size + 1 : 1;
    if (l->count > MOST_DATAGRAMS)
        return refuse("more datagrams than a run holds");
    PyObject *out = PyByteArray_FromStringAndSize(NULL, l->count * (prefix + l->head.len + TAG) + l->body.len);
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

static PyObject *key_seal(Key *key, PyObject *args) {
    Load l;
    if (!PyArg_ParseTuple(args, "(y*y*y*n)y*y*y*n", &l.fields, &l.first, &l.ending, &l.aad, &l.nonce, &l.head, &l.body,
                          &l.size))
        return NULL;
    PyObject *out = seal_load(key, &l);
    Py_buffer *held[] = {&l.fields, &l.first, &l.ending, &l.nonce, &l.head, &l.body};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        PyBuffer_Release(held[i]);
    return out;
}

typedef struct {
    Py_buffer nonce, data, out;
    Py_ssize_t prefix, aad, size, start, heads, count;
} Train;

static int open_all(Key *key, const Train *t) {
    Py_ssize_t whole = t->size - t->prefix - TAG;
    for (Py_ssize_t i = t->count - 1; i >= 0; i--) { /* the head of each lies on what the one before will write */
        const uint8_t *in = (const uint8_t *)t->data.buf + i * t->size;
        Py_ssize_t left = t->data.len - i * t->size;
        Py_ssize_t plain = left < t->size ? left - t->prefix - TAG : whole;
        uint8_t nonce[NONCE];
        memcpy(nonce, t->nonce.buf, NONCE);
        count_up(nonce, NUMBER, 3, i);
        uint8_t *to = (uint8_t *)t->out.buf + t->start + i * (whole - t->heads);
        Text sealed = {nonce, in, in + t->prefix, t->aad, plain, to};
        if (!key->cipher->open(key->cipher, key->state, &sealed, in + t->prefix + plain))
            return 0;
    }
    return 1;
}

static PyObject *open_train(Key *key, Train *t) {
    Py_ssize_t around = t->prefix + TAG;
    if (t->prefix < 1 || t->prefix > MOST_PREFIX || t->aad < 0 || t->aad > t->prefix || t->nonce.len != NONCE)
        return refuse("prefix, additional data and nonce do not fit together");
    if (t->size < around || t->size > MOST_PLAINTEXT || t->data.len < around || t->data.len > 2 * MOST_PLAINTEXT)
        return refuse("no datagrams");
    t->count = (t->data.len - 1) / t->size + 1;
    Py_ssize_t last = t->data.len - (t->count - 1) * t->size - around, step = t->size - around - t->heads;
    if (t->count > MOST_DATAGRAMS || last < 0 || t->heads < 0 || step < (t->count > 1))
        return refuse("datagrams that make no train");
    Py_ssize_t whole = t->count > 1 ? t->size - around : 0, end = (t->count - 1) * step + last;
    if (end < (t->count - 2) * step + whole)
        end = (t->count - 2) * step + whole; /* a short last one may end before the head of its neighbour */
    if (t->start < 0 || t->start > t->out.len || end > t->out.len - t->start)
        return refuse("no room for what is inside");
    const char *out = t->out.buf, *in = t->data.buf;
    if (in < out + t->out.len && out < in + t->data.len)
        return refuse("the datagrams lie where they should be opened to");
    if (!begin(key))
        return NULL;
    int done;
    Py_BEGIN_ALLOW_THREADS
    done = open_all(key, t);
    Py_END_ALLOW_THREADS
    key->busy = 0;
    return PyBool_FromLong(done);
}

static PyObject *key_open(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*nw*(nn)", &t.prefix, &t.aad, &t.nonce, &t.data, &t.size, &t.out, &t.start, &t.heads))
        return NULL;
    PyObject *answer = open_train(key, &t);
    PyBuffer_Release(&t.nonce);
    PyBuffer_Release(&t.data);
    PyBuffer_Release(&t.out);
    return answer;
}

static int starts(const uint8_t *at, const Py_buffer *prefix, const Py_buffer *fields, Py_ssize_t steps) {
    uint8_t expected[MOST_PREFIX];
    memcpy(expected, prefix->buf, prefix->len);
    count_up(expected, fields->buf, fields->len, steps);
    return memcmp(expected, at, prefix->len) == 0;
}

static PyObject *count_following(PyObject *self, PyObject *args) {
    Py_buffer fields, first, ending, tail, data;
    Py_ssize_t size, most, count = 1;
    if (!PyArg_ParseTuple(args, "(y*y*y*y*)y*nn", &fields, &first, &ending, &tail, &data, &size, &most))
        return NULL;
    int good = fits(&fields, first.len) && ending.len == first.len && tail.len == first.len && size >= first.len + TAG;
    for (; good && count < most && data.len - count * size >= first.len + TAG; count++) {
        const uint8_t *at = (const uint8_t *)data.buf + count * size;
        int whole = data.len - count * size >= size;
        if (whole && starts(at, &first, &fields, count))
            continue;
        count += starts(at, whole ? &ending : &tail, &fields, count);
        break;
    }
    Py_buffer *held[] = {&fields, &first, &ending, &tail, &data};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        PyBuffer_Release(held[i]);
    return good ? PyLong_FromSsize_t(count) : refuse("prefixes, fields and size do not fit together");
}

/* -- module ---------------------------------------------------------------------------------------------------------- */

static PyMethodDef key_methods[] = {
    {"seal", (PyCFunction)key_seal, METH_VARARGS, NULL},
    {"open", (PyCFunction)key_open, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject KeyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "morphnet.wire._core.Key",
    .tp_basicsize = sizeof(Key),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Key(cipher, secret): one AES-256-GCM key of 32 bytes, with what the cipher makes of it once.",
    .tp_new = key_new,
    .tp_dealloc = (destructor)key_free,
    .tp_methods = key_methods,
};

static PyMethodDef functions[] = {
    {"load", load, METH_VARARGS, NULL},
    {"count_following", count_following, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) {
    const char *wish = getenv("MORPHNET_CORE");
    if (wish && strcmp(wish, "pure") == 0) {
        PyErr_SetString(PyExc_ImportError, "MORPHNET_CORE=pure");
        return NULL;
    }
    PyObject *module = PyType_Ready(&KeyType) < 0 ? NULL : PyModule_Create(&definition);
    if (module && PyModule_AddObjectRef(module, "Key", (PyObject *)&KeyType) < 0)
        Py_CLEAR(module);
    return module;
}

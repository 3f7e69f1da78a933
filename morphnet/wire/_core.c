/*
 * The loops over the datagrams of a run, without the interpreter: sealing and opening them with AES-256-GCM (as in
 * wire/pure.py), making runs of what a TUN gave and finishing what it is given (as in wire/offload.py).
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

/* -- a look into an IP packet: wire/ip.py -------------------------------------------------------------------------- */

enum { VNET = 10, TCP = 6, UDP = 17, MOST_EXTENSIONS = 8 };

typedef struct {
    int version, protocol, ported; /* ported: there is a TCP or UDP header, and it is whole */
    Py_ssize_t at, headers;        /* offset of the transport header, and of what is behind it */
    const uint8_t *addresses;      /* source and destination, side by side */
    size_t width;                  /* bytes of one of them */
} Look;

static int look(const uint8_t *p, Py_ssize_t size, Look *l) {
    int whole = 1;
    l->version = size ? p[0] >> 4 : 0;
    if (l->version == 4 && size >= 20) {
        l->at = (p[0] & 15) * 4, l->protocol = p[9], l->addresses = p + 12, l->width = 4;
        whole = !(p[6] & 0x3F || p[7]);
        if (l->at < 20 || l->at > size)
            return 0;
    } else if (l->version == 6 && size >= 40) {
        l->at = 40, l->protocol = p[6], l->addresses = p + 8, l->width = 16;
        for (int i = 0; i < MOST_EXTENSIONS; i++) {
            if (l->protocol == 44) { /* a fragment */
                l->protocol = l->at + 8 <= size ? p[l->at] : l->protocol;
                l->at += 8, whole = 0;
                break;
            }
            int extension = l->protocol == 0 || l->protocol == 43 || l->protocol == 60 || l->protocol == 135 ||
                            l->protocol == 139 || l->protocol == 140;
            if (!extension || l->at + 8 > size)
                break;
            l->protocol = p[l->at];
            l->at += 8 * (p[l->at + 1] + 1);
        }
    } else
        return 0;
    l->headers = l->at;
    l->ported = whole && ((l->protocol == TCP && l->at + 20 <= size) || (l->protocol == UDP && l->at + 8 <= size));
    if (l->ported)
        l->headers += l->protocol == UDP ? 8 : (p[l->at + 12] >> 4) * 4;
    return 1;
}

static uint32_t crc_table[256]; /* CRC-32 as zlib has it, filled when the module is made */

static uint32_t crc(uint32_t state, const uint8_t *p, size_t size) {
    while (size--)
        state = crc_table[(state ^ *p++) & 0xFF] ^ state >> 8;
    return state;
}

static uint32_t flow_of(const uint8_t *p, const Look *l) {
    uint8_t protocol = l->protocol;
    uint32_t state = crc(crc(~0u, &protocol, 1), l->addresses, 2 * l->width);
    return ~(l->ported ? crc(state, p + l->at, 4) : state);
}

static unsigned word(const uint8_t *p) {
    return p[0] << 8 | p[1];
}

static void set_word(uint8_t *p, unsigned value) {
    p[0] = value >> 8, p[1] = value;
}

static unsigned sum(uint64_t total, const uint8_t *p, size_t size) { /* of big-endian words, folded: wire/virtio.py */
    for (; size >= 4; p += 4, size -= 4)
        total += (uint64_t)word(p) + word(p + 2);
    if (size >= 2)
        total += word(p), p += 2, size -= 2;
    if (size)
        total += p[0] << 8;
    while (total >> 16)
        total = (total & 0xFFFF) + (total >> 16);
    return total;
}

static unsigned pseudo(const Look *l, size_t length) {
    return sum(l->protocol + length, l->addresses, 2 * l->width);
}

static size_t slice_size(const uint8_t *p) { /* a slice carries it in the length of its IP header */
    return word(p + (*p >> 4 == 4 ? 2 : 4));
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

enum { MOST_HEADS = 512 }; /* bytes of headers in front of a slice: longer ones are opened one by one */
static PyObject *Forged;

typedef struct {
    Py_buffer nonce, data;
    Py_ssize_t prefix, aad, size;
} Train;

static int open_at(Key *key, const Train *t, Py_ssize_t i, uint8_t *to) { /* datagram number i */
    const uint8_t *in = (const uint8_t *)t->data.buf + i * t->size;
    Py_ssize_t left = t->data.len - i * t->size;
    Py_ssize_t plain = (left < t->size ? left : t->size) - t->prefix - TAG;
    uint8_t nonce[NONCE];
    memcpy(nonce, t->nonce.buf, NONCE);
    count_up(nonce, NUMBER, 3, i);
    Text sealed = {nonce, in, in + t->prefix, t->aad, plain, to};
    return key->cipher->open(key->cipher, key->state, &sealed, in + t->prefix + plain);
}

static int open_joined(Key *key, const Train *t, uint8_t *out, size_t *heads) { /* 1, 0 forged, -1 no slices */
    uint8_t end[MOST_HEADS];
    Py_ssize_t around = t->prefix + TAG, plain = t->size - around, count = (t->data.len - 1) / t->size + 1;
    Py_ssize_t last = t->data.len - (count - 1) * t->size - around;
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
    Py_ssize_t around = t->prefix + TAG;
    if (t->prefix < 1 || t->prefix > MOST_PREFIX || t->aad < 0 || t->aad > t->prefix || t->nonce.len != NONCE)
        return refuse("prefix, additional data and nonce do not fit together") != NULL;
    if (t->size < around || t->size > MOST_PLAINTEXT || t->data.len < around || t->data.len > 2 * MOST_PLAINTEXT)
        return refuse("no datagrams") != NULL;
    Py_ssize_t count = (t->data.len - 1) / t->size + 1;
    if (count < least || count > MOST_DATAGRAMS || t->data.len - (count - 1) * t->size < around)
        return refuse("datagrams that make no train") != NULL;
    return 1;
}

static PyObject *key_open(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*", &t.prefix, &t.aad, &t.nonce, &t.data))
        return NULL;
    PyObject *out = NULL;
    t.size = t.data.len;
    if (sound(&t, 1) && (out = PyBytes_FromStringAndSize(NULL, t.size - t.prefix - TAG))) {
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

static PyObject *open_train(Key *key, const Train *t) {
    Py_ssize_t count = (t->data.len - 1) / t->size + 1, text = t->data.len - count * (t->prefix + TAG);
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

static PyObject *key_open_run(Key *key, PyObject *args) {
    Train t;
    if (!PyArg_ParseTuple(args, "(nn)y*y*n", &t.prefix, &t.aad, &t.nonce, &t.data, &t.size))
        return NULL;
    PyObject *answer = sound(&t, 2) ? open_train(key, &t) : NULL;
    PyBuffer_Release(&t.nonce);
    PyBuffer_Release(&t.data);
    return answer;
}

/* -- which datagrams carry one another on -------------------------------------------------------------------------- */

static int starts(const uint8_t *at, const uint8_t *prefix, size_t size, const Py_buffer *fields, Py_ssize_t steps) {
    uint8_t expected[MOST_PREFIX];
    memcpy(expected, prefix, size);
    count_up(expected, fields->buf, fields->len, steps);
    return memcmp(expected, at, size) == 0;
}

static PyObject *count_following(PyObject *self, PyObject *args) {
    Py_buffer fields, data;
    Py_ssize_t prefix, flags_at, length_at, aad, size, most, count = 1;
    int last;
    if (!PyArg_ParseTuple(args, "(y*nnnni)y*nn", &fields, &prefix, &flags_at, &length_at, &aad, &last, &data, &size, &most))
        return NULL;
    int good = fits(&fields, prefix) && size >= prefix + TAG && data.len >= prefix && flags_at >= 0 &&
               flags_at < prefix && length_at < prefix - 1 && aad >= 0 && aad <= prefix;
    for (; good && count < most && data.len - count * size >= prefix + TAG; count++) {
        const uint8_t *at = (const uint8_t *)data.buf + count * size;
        Py_ssize_t length = data.len - count * size < size ? data.len - count * size : size;
        if (length == size && starts(at, data.buf, prefix, &fields, count))
            continue;
        uint8_t ending[MOST_PREFIX];
        memcpy(ending, data.buf, prefix);
        ending[flags_at] |= last;
        if (length_at >= 0)
            set_word(ending + length_at, length - aad);
        count += starts(at, ending, prefix, &fields, count);
        break;
    }
    PyBuffer_Release(&fields);
    PyBuffer_Release(&data);
    return good ? PyLong_FromSsize_t(count) : refuse("layout and size do not fit together");
}

/* -- from a TUN and to a TUN: wire/offload.py ---------------------------------------------------------------------- */

enum { NEEDS_CSUM = 1, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };
enum { SEGMENT = 2, PARTIAL = 8, FIN_PSH = 0x09, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80, DONT_FRAGMENT = 0x40 };
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

static PyObject *gather(PyObject *self, PyObject *batch) {
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

static void offer_checksum(uint8_t *buffer, const Look *l, size_t total, int gso, size_t slice) {
    uint16_t words[4] = {gso ? l->headers : 0, slice, l->at, l->protocol == TCP ? 16 : 6};
    set_word(buffer + VNET + l->at + words[3], pseudo(l, total - l->at));
    buffer[0] = NEEDS_CSUM, buffer[1] = gso;
    memcpy(buffer + 2, words, sizeof words);
}

static int finish_packet(uint8_t *buffer, size_t total, unsigned place, int last, size_t count, Look *l) {
    uint8_t *p = buffer + VNET;
    if (!look(p, total, l) || (l->protocol != TCP && l->protocol != UDP) || l->headers == l->at)
        return 0;
    size_t slice = slice_size(p), headers = l->headers;
    if (total > 65535 || total <= headers || !count || total > headers + count * slice ||
        total <= headers + (count - 1) * slice)
        return 0;
    if (l->version == 4) {
        set_word(p + 2, total);
        set_word(p + 4, word(p + 4) + place);
        set_word(p + 10, 0);
        set_word(p + 10, sum(0, p, l->at) ^ 0xFFFF);
    } else
        set_word(p + 4, total - 40);
    int gso = l->protocol == UDP ? GSO_UDP_L4 : l->version == 4 ? GSO_TCPV4 : GSO_TCPV6;
    uint8_t *t = p + l->at;
    if (l->protocol == UDP)
        set_word(t + 4, total - l->at);
    else {
        uint32_t sequence = (uint32_t)word(t + 4) << 16 | word(t + 6);
        sequence += place * slice;
        set_word(t + 4, sequence >> 16), set_word(t + 6, sequence);
        t[13] &= ~((last ? 0 : FIN_PSH) | (place ? CWR : 0));
        gso |= t[13] & CWR ? GSO_ECN : 0;
    }
    offer_checksum(buffer, l, total, count > 1 ? gso : 0, count > 1 ? slice : 0);
    return 1;
}

static PyObject *finish(PyObject *self, PyObject *args) {
    Py_buffer packet;
    Py_ssize_t place, count;
    int last;
    Look l;
    if (!PyArg_ParseTuple(args, "w*npn", &packet, &place, &last, &count))
        return NULL;
    PyObject *source = Py_None;
    if (packet.len > VNET && place >= 0 && place <= 0xFFFF && count >= 0 && count <= MOST_DATAGRAMS &&
        finish_packet(packet.buf, packet.len - VNET, place, last, count, &l))
        source = PyBytes_FromStringAndSize((const char *)l.addresses, l.width);
    else
        Py_INCREF(source);
    PyBuffer_Release(&packet);
    return source;
}

static PyObject *whole(const uint8_t *packet, Py_ssize_t size, int flags, PyObject *made) { /* (packet, source) or None */
    Look l;
    uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(made);
    if (!look(packet, size, &l) || (flags & PARTIAL && l.headers == l.at)) {
        Py_DECREF(made);
        return Py_NewRef(Py_None);
    }
    memset(to, 0, VNET);
    if (flags & PARTIAL)
        offer_checksum(to, &l, size, 0, 0);
    return Py_BuildValue("Ny#", made, l.addresses, (Py_ssize_t)l.width);
}

static PyObject *single(PyObject *self, PyObject *args) {
    Py_buffer packet;
    int flags;
    if (!PyArg_ParseTuple(args, "y*i", &packet, &flags))
        return NULL;
    PyObject *answer = NULL, *made = PyByteArray_FromStringAndSize(NULL, VNET + packet.len);
    if (made) {
        uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(made) + VNET;
        memcpy(to, packet.buf, packet.len);
        answer = whole(to, packet.len, flags, made);
    }
    PyBuffer_Release(&packet);
    return answer;
}

static PyObject *key_open_whole(Key *key, PyObject *args) {
    Train t;
    int flags, done = 1;
    if (!PyArg_ParseTuple(args, "(nn)y*y*ni", &t.prefix, &t.aad, &t.nonce, &t.data, &t.size, &flags))
        return NULL;
    int mine = sound(&t, 1) && begin(key);
    PyObject *out = mine ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0, at = 0; out && at < t.data.len; i++, at += t.size) {
        Py_ssize_t size = (t.data.len - at < t.size ? t.data.len - at : t.size) - t.prefix - TAG;
        PyObject *made = PyByteArray_FromStringAndSize(NULL, VNET + size), *each = NULL;
        if (made) {
            uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(made) + VNET;
            if ((done = open_at(key, &t, i, to)))
                each = whole(to, size, flags, made);
            else
                Py_DECREF(made);
        }
        if (!each || PyList_Append(out, each) < 0)
            Py_CLEAR(out);
        Py_XDECREF(each);
    }
    if (mine)
        key->busy = 0;
    if (!done)
        PyErr_SetString(Forged, "tag");
    PyBuffer_Release(&t.nonce);
    PyBuffer_Release(&t.data);
    return out;
}

/* -- module ---------------------------------------------------------------------------------------------------------- */

static PyMethodDef key_methods[] = {
    {"seal", (PyCFunction)key_seal, METH_VARARGS, NULL},
    {"open", (PyCFunction)key_open, METH_VARARGS, NULL},
    {"open_run", (PyCFunction)key_open_run, METH_VARARGS, NULL},
    {"open_whole", (PyCFunction)key_open_whole, METH_VARARGS, NULL},
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
    {"gather", gather, METH_O, NULL},
    {"finish", finish, METH_VARARGS, NULL},
    {"single", single, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) {
    const char *wish = getenv("MORPHNET_CORE");
    if (wish && strcmp(wish, "pure") == 0) {
        PyErr_SetString(PyExc_ImportError, "MORPHNET_CORE=pure");
        return NULL;
    }
    for (uint32_t i = 0; i < 256; i++) {
        crc_table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            crc_table[i] = crc_table[i] >> 1 ^ (crc_table[i] & 1 ? 0xEDB88320 : 0);
    }
    PyObject *errors = PyImport_ImportModule("morphnet.errors");
    Forged = errors ? PyObject_GetAttrString(errors, "Forged") : NULL;
    Py_XDECREF(errors);
    PyObject *module = !Forged || PyType_Ready(&KeyType) < 0 ? NULL : PyModule_Create(&definition);
    if (module && PyModule_AddObjectRef(module, "Key", (PyObject *)&KeyType) < 0)
        Py_CLEAR(module);
    return module;
}

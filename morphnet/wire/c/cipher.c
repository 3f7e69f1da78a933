/* The two libraries, and what each calls its functions. */
#include <dlfcn.h>

#include "cipher.h"

enum { GET_TAG = 0x10, SET_TAG = 0x11 }; /* EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG */
enum { AREA = 4096 }; /* bytes for ipsec-mb's key schedule (it uses 1008), and as many for its context (80) */

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

PyObject *load(PyObject *self, PyObject *args) {
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

/*
 * AES-256-GCM by a library that is found at run time: Intel's ipsec-mb, or OpenSSL's libcrypto. Their few functions are
 * declared here, so that no header but Python's is needed; wire/core.py tests each against a known answer before use.
 *
 * Source: intel-ipsec-mb.h (aes_gcm_enc_dec_t), EVP_EncryptInit(3).
 */
#ifndef MORPHNET_CIPHER_H
#define MORPHNET_CIPHER_H

#include "core.h"

enum { SECRET = 32, NONCE = 12, TAG = 16 };
#define CIPHER "morphnet.wire._core.Cipher" /* the name of its capsule */

typedef struct {
    const uint8_t *nonce, *aad, *in;
    size_t aad_size, size;
    uint8_t *out;
} Text;

typedef void (*MbPass)(const void *, void *, uint8_t *, const uint8_t *, uint64_t, const uint8_t *, const uint8_t *,
                       uint64_t, uint8_t *, uint64_t);

typedef struct Cipher { /* in a capsule; each key holds on to it; every function returns 1 for success */
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

PyObject *load(PyObject *self, PyObject *args);

#endif

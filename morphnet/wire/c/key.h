/* A key: what a cipher makes of 32 bytes once, and what is sealed and opened with it. */
#ifndef MORPHNET_KEY_H
#define MORPHNET_KEY_H

#include "cipher.h"

typedef struct {
    PyObject_HEAD
    PyObject *capsule;
    const Cipher *cipher;
    void *state[2];
    int busy; /* a thread works with it, without the interpreter's lock */
} Key;

int begin(Key *key); /* take it for this thread, or raise */
PyObject *key_seal(Key *key, PyObject *args);
PyObject *key_seal_masked(Key *key, PyObject *args);
PyObject *key_open(Key *key, PyObject *args);
PyObject *key_open_all(Key *key, PyObject *args);
PyObject *key_open_run(Key *key, PyObject *args);
PyObject *key_open_whole(Key *key, PyObject *args);
extern PyTypeObject KeyType;

#endif

/* Masks runs of datagrams: wire/shapes/masking.py. */
#ifndef MORPHNET_MASKING_H
#define MORPHNET_MASKING_H

#include "core.h"

typedef struct { /* what a run is masked with where it is */
    const uint8_t *before;
    Py_ssize_t lead, padding; /* bytes in front of each header, and behind each tag */
    PyObject *cipher;         /* called once, with the samples of all */
} Coat;

int coat_sound(const Coat *c); /* or an exception */
int put_on(const Coat *c, uint8_t *to, Py_ssize_t total, Py_ssize_t step, Py_ssize_t front); /* the same */
PyObject *mask_samples(PyObject *self, PyObject *args);
PyObject *mask_on(PyObject *self, PyObject *args);
PyObject *mask_take(PyObject *self, PyObject *args);
PyObject *mask_off(PyObject *self, PyObject *args);

#endif

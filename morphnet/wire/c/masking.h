/* Masks runs of datagrams: wire/shapes/masking.py. */
#ifndef MORPHNET_MASKING_H
#define MORPHNET_MASKING_H

#include "core.h"

PyObject *mask_samples(PyObject *self, PyObject *args);
PyObject *mask_on(PyObject *self, PyObject *args);
PyObject *mask_off(PyObject *self, PyObject *args);

#endif

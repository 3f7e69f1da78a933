/* Datagrams of many flows, one behind the other: wire/rows.py. */
#ifndef MORPHNET_ROWS_H
#define MORPHNET_ROWS_H

#include "key.h"

PyObject *count_row(PyObject *self, PyObject *args);
PyObject *key_open_row(Key *key, PyObject *args);

#endif

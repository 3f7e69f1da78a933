/* Masks of WebSocket frames: wire/pure.py. */
#ifndef MORPHNET_UNMASK_H
#define MORPHNET_UNMASK_H

#include "core.h"

PyObject *unmask(PyObject *self, PyObject *args);

#endif

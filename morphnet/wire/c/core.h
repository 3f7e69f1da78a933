/*
 * The loops over the datagrams of a run, without the interpreter: sealing and opening them with AES-256-GCM (as in
 * wire/pure.py), making runs of what a TUN gave and finishing what it is given (as in wire/offload.py).
 *
 * Nothing here knows the protocol.
 *
 * Source: docs/protocol section 2.
 */
#ifndef MORPHNET_CORE_H
#define MORPHNET_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden) /* what files share stays in the module; Python finds PyInit__core all the same */

enum { MOST_HEADER = 64, MOST_DATAGRAMS = 64, MOST_PLAINTEXT = 65535 };

extern PyObject *Forged; /* morphnet.errors.Forged */

PyObject *refuse(const char *why); /* with ValueError */

#endif

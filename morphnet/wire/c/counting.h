/*
 * Fields that count up from datagram to datagram: `fields` is a row of (offset, width, step), each in a byte; the fields
 * follow one another, are big-endian and wrap at their width. The last 8 bytes of a nonce count up by one.
 */
#ifndef MORPHNET_COUNTING_H
#define MORPHNET_COUNTING_H

#include "core.h"

static inline void count_up(uint8_t *header, const uint8_t *fields, size_t size, unsigned steps) {
    for (const uint8_t *field = fields; field < fields + size; field += 3) {
        uint64_t carry = (uint64_t)field[2] * steps;
        for (int i = field[0] + field[1] - 1; i >= field[0] && carry; i--, carry >>= 8) {
            carry += header[i];
            header[i] = (uint8_t)carry;
        }
    }
}

static const uint8_t NUMBER[3] = {4, 8, 1}; /* of a nonce */

int fits(const Py_buffer *fields, Py_ssize_t header); /* whether they lie in a header of that size, in order */
PyObject *count_following(PyObject *self, PyObject *args);

#endif

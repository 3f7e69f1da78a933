/* Which datagrams carry one another on: wire/pure.py. */
#include "cipher.h"
#include "counting.h"
#include "packet.h"

int fits(const Py_buffer *fields, Py_ssize_t header) {
    const uint8_t *at = fields->buf;
    int good = fields->len % 3 == 0 && header >= 1 && header <= MOST_HEADER, end = 0;
    for (Py_ssize_t i = 0; good && i < fields->len; i += 3) {
        good = at[i] >= end && at[i + 1] >= 1 && at[i + 1] <= 8;
        end = at[i] + at[i + 1];
    }
    return good && end <= header;
}

static int starts(const uint8_t *at, const uint8_t *header, size_t size, const Py_buffer *fields, Py_ssize_t steps) {
    uint8_t expected[MOST_HEADER];
    memcpy(expected, header, size);
    count_up(expected, fields->buf, fields->len, steps);
    return memcmp(expected, at, size) == 0;
}

PyObject *count_following(PyObject *self, PyObject *args) {
    Py_buffer fields, data;
    Py_ssize_t header, flags_at, length_at, aad, size, gap, most, count = 1;
    int last;
    if (!PyArg_ParseTuple(args, "(y*nnnni)y*nnn", &fields, &header, &flags_at, &length_at, &aad, &last, &data, &size, &gap, &most))
        return NULL;
    int good = fits(&fields, header) && gap >= 0 && gap <= size && size - gap >= header + TAG && data.len >= header && flags_at >= 0 &&
               flags_at < header && length_at < header - 1 && aad >= 0 && aad <= header;
    for (; good && count < most && data.len - count * size >= header + TAG; count++) {
        const uint8_t *at = (const uint8_t *)data.buf + count * size;
        Py_ssize_t left = data.len - count * size, whole = size - gap, length = left < whole ? left : whole;
        if (length == whole && starts(at, data.buf, header, &fields, count))
            continue;
        uint8_t ending[MOST_HEADER];
        memcpy(ending, data.buf, header);
        ending[flags_at] |= last;
        if (length_at >= 0)
            set_word(ending + length_at, length - aad);
        count += starts(at, ending, header, &fields, count);
        break;
    }
    PyBuffer_Release(&fields);
    PyBuffer_Release(&data);
    return good ? PyLong_FromSsize_t(count) : refuse("layout and size do not fit together");
}

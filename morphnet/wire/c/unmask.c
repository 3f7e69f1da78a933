/* Puts the mask of a WebSocket frame on, or takes it off: RFC 6455 section 5.3. */
#include "unmask.h"

PyObject *unmask(PyObject *self, PyObject *args) {
    Py_buffer payload, mask;
    if (!PyArg_ParseTuple(args, "y*y*", &payload, &mask))
        return NULL;
    PyObject *made = mask.len == 4 ? PyBytes_FromStringAndSize(NULL, payload.len) : refuse("a mask has four bytes");
    if (made) {
        const uint8_t *from = payload.buf;
        uint8_t *to = (uint8_t *)PyBytes_AS_STRING(made);
        uint64_t twice, word;
        memcpy(&twice, mask.buf, 4);
        memcpy((uint8_t *)&twice + 4, mask.buf, 4);
        Py_ssize_t i = 0;
        for (; i + 8 <= payload.len; i += 8) {
            memcpy(&word, from + i, 8);
            word ^= twice;
            memcpy(to + i, &word, 8);
        }
        for (; i < payload.len; i++)
            to[i] = from[i] ^ ((const uint8_t *)mask.buf)[i % 4];
    }
    PyBuffer_Release(&payload);
    PyBuffer_Release(&mask);
    return made;
}

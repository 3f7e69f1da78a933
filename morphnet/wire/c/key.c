/* A key as Python sees it. */
#include "key.h"
#include "rows.h"

static PyObject *key_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *capsule;
    Py_buffer secret;
    if (!PyArg_ParseTuple(args, "Oy*", &capsule, &secret))
        return NULL;
    const Cipher *cipher = PyCapsule_GetPointer(capsule, CIPHER);
    Key *key = NULL;
    if (cipher && secret.len != SECRET)
        refuse("a key has 32 bytes");
    else if (cipher && (key = (Key *)type->tp_alloc(type, 0))) {
        key->capsule = Py_NewRef(capsule);
        key->cipher = cipher;
        if (!cipher->prepare(cipher, key->state, secret.buf)) {
            Py_CLEAR(key);
            PyErr_NoMemory();
        }
    }
    PyBuffer_Release(&secret);
    return (PyObject *)key;
}

static void key_free(Key *key) {
    key->cipher->forget(key->cipher, key->state);
    Py_DECREF(key->capsule);
    Py_TYPE(key)->tp_free((PyObject *)key);
}

int begin(Key *key) {
    if (key->busy)
        PyErr_SetString(PyExc_RuntimeError, "the key is in use by another thread");
    return !key->busy && (key->busy = 1);
}

static PyMethodDef key_methods[] = {
    {"seal", (PyCFunction)key_seal, METH_VARARGS, NULL},
    {"seal_masked", (PyCFunction)key_seal_masked, METH_VARARGS, NULL},
    {"open", (PyCFunction)key_open, METH_VARARGS, NULL},
    {"open_all", (PyCFunction)key_open_all, METH_VARARGS, NULL},
    {"open_run", (PyCFunction)key_open_run, METH_VARARGS, NULL},
    {"open_row", (PyCFunction)key_open_row, METH_VARARGS, NULL},
    {"open_whole", (PyCFunction)key_open_whole, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject KeyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "morphnet.wire._core.Key",
    .tp_basicsize = sizeof(Key),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Key(cipher, secret): one AES-256-GCM key of 32 bytes, with what the cipher makes of it once.",
    .tp_new = key_new,
    .tp_dealloc = (destructor)key_free,
    .tp_methods = key_methods,
};

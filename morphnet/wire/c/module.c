/* The module morphnet.wire._core. */
#include "counting.h"
#include "key.h"
#include "masking.h"
#include "rows.h"
#include "tun.h"
#include "unmask.h"

PyObject *Forged;

PyObject *refuse(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

static PyMethodDef functions[] = {
    {"load", load, METH_VARARGS, NULL},
    {"count_following", count_following, METH_VARARGS, NULL},
    {"count_row", count_row, METH_VARARGS, NULL},
    {"gather", gather, METH_O, NULL},
    {"finish", finish, METH_VARARGS, NULL},
    {"single", single, METH_VARARGS, NULL},
    {"mask_samples", mask_samples, METH_VARARGS, NULL},
    {"mask_on", mask_on, METH_VARARGS, NULL},
    {"mask_undress", mask_off, METH_VARARGS, NULL},
    {"mask_take", mask_take, METH_VARARGS, NULL},
    {"unmask", unmask, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) {
    const char *wish = getenv("MORPHNET_CORE");
    if (wish && strcmp(wish, "pure") == 0) {
        PyErr_SetString(PyExc_ImportError, "MORPHNET_CORE=pure");
        return NULL;
    }
    fill_crc_table();
    PyObject *errors = PyImport_ImportModule("morphnet.errors");
    Forged = errors ? PyObject_GetAttrString(errors, "Forged") : NULL;
    Py_XDECREF(errors);
    PyObject *module = !Forged || PyType_Ready(&KeyType) < 0 ? NULL : PyModule_Create(&definition);
    if (module && PyModule_AddObjectRef(module, "Key", (PyObject *)&KeyType) < 0)
        Py_CLEAR(module);
    return module;
}

/* What passes a TUN: packets behind a virtio_net_hdr, wire/offload.py. */
#ifndef MORPHNET_TUN_H
#define MORPHNET_TUN_H

#include "packet.h"

enum { NEEDS_CSUM = 1, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };
enum { SEGMENT = 2, PARTIAL = 8, FIN_PSH = 0x09, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80, DONT_FRAGMENT = 0x40 };

PyObject *gather(PyObject *self, PyObject *batch);
PyObject *finish(PyObject *self, PyObject *args);
PyObject *single(PyObject *self, PyObject *args);
int finish_packet(uint8_t *buffer, size_t total, unsigned place, int last, size_t count, Look *l); /* 0: no slices */
PyObject *whole(const uint8_t *packet, Py_ssize_t size, int flags, PyObject *made); /* (packet, source) or None */

#endif

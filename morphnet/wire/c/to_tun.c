/* Finishes what a TUN is given: wire/offload.py. */
#include "tun.h"

static void offer_checksum(uint8_t *buffer, const Look *l, size_t total, int gso, size_t slice) {
    uint16_t words[4] = {gso ? l->headers : 0, slice, l->at, l->protocol == TCP ? 16 : 6};
    set_word(buffer + VNET + l->at + words[3], pseudo(l, total - l->at));
    buffer[0] = NEEDS_CSUM, buffer[1] = gso;
    memcpy(buffer + 2, words, sizeof words);
}

int finish_packet(uint8_t *buffer, size_t total, unsigned place, int last, size_t count, Look *l) {
    uint8_t *p = buffer + VNET;
    if (!look(p, total, l) || (l->protocol != TCP && l->protocol != UDP) || l->headers == l->at)
        return 0;
    size_t slice = slice_size(p), headers = l->headers;
    if (total > 65535 || total <= headers || !count || total > headers + count * slice ||
        total <= headers + (count - 1) * slice)
        return 0;
    if (l->version == 4) {
        set_word(p + 2, total);
        set_word(p + 4, word(p + 4) + place);
        set_word(p + 10, 0);
        set_word(p + 10, sum(0, p, l->at) ^ 0xFFFF);
    } else
        set_word(p + 4, total - 40);
    int gso = l->protocol == UDP ? GSO_UDP_L4 : l->version == 4 ? GSO_TCPV4 : GSO_TCPV6;
    uint8_t *t = p + l->at;
    if (l->protocol == UDP)
        set_word(t + 4, total - l->at);
    else {
        uint32_t sequence = (uint32_t)word(t + 4) << 16 | word(t + 6);
        sequence += place * slice;
        set_word(t + 4, sequence >> 16), set_word(t + 6, sequence);
        t[13] &= ~((last ? 0 : FIN_PSH) | (place ? CWR : 0));
        gso |= t[13] & CWR ? GSO_ECN : 0;
    }
    offer_checksum(buffer, l, total, count > 1 ? gso : 0, count > 1 ? slice : 0);
    return 1;
}

PyObject *finish(PyObject *self, PyObject *args) {
    Py_buffer packet;
    Py_ssize_t place, count;
    int last;
    Look l;
    if (!PyArg_ParseTuple(args, "w*npn", &packet, &place, &last, &count))
        return NULL;
    PyObject *source = Py_None;
    if (packet.len > VNET && place >= 0 && place <= 0xFFFF && count >= 0 && count <= MOST_DATAGRAMS &&
        finish_packet(packet.buf, packet.len - VNET, place, last, count, &l))
        source = PyBytes_FromStringAndSize((const char *)l.addresses, l.width);
    else
        Py_INCREF(source);
    PyBuffer_Release(&packet);
    return source;
}

PyObject *whole(const uint8_t *packet, Py_ssize_t size, int flags, PyObject *made) {
    Look l;
    uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(made);
    if (!look(packet, size, &l) || (flags & PARTIAL && l.headers == l.at)) {
        Py_DECREF(made);
        return Py_NewRef(Py_None);
    }
    memset(to, 0, VNET);
    if (flags & PARTIAL)
        offer_checksum(to, &l, size, 0, 0);
    return Py_BuildValue("Ny#", made, l.addresses, (Py_ssize_t)l.width);
}

PyObject *single(PyObject *self, PyObject *args) {
    Py_buffer packet;
    int flags;
    if (!PyArg_ParseTuple(args, "y*i", &packet, &flags))
        return NULL;
    PyObject *answer = NULL, *made = PyByteArray_FromStringAndSize(NULL, VNET + packet.len);
    if (made) {
        uint8_t *to = (uint8_t *)PyByteArray_AS_STRING(made) + VNET;
        memcpy(to, packet.buf, packet.len);
        answer = whole(to, packet.len, flags, made);
    }
    PyBuffer_Release(&packet);
    return answer;
}

/* A look into an IP packet, and its checksums: wire/ip.py, wire/virtio.py. */
#ifndef MORPHNET_PACKET_H
#define MORPHNET_PACKET_H

#include "core.h"

enum { VNET = 10, TCP = 6, UDP = 17, MOST_EXTENSIONS = 8 };

typedef struct {
    int version, protocol, ported; /* ported: there is a TCP or UDP header, and it is whole */
    Py_ssize_t at, headers;        /* offset of the transport header, and of what is behind it */
    const uint8_t *addresses;      /* source and destination, side by side */
    size_t width;                  /* bytes of one of them */
} Look;

int look(const uint8_t *packet, Py_ssize_t size, Look *l); /* 0: it is none */
uint32_t flow_of(const uint8_t *packet, const Look *l);
void fill_crc_table(void); /* once, before the first flow_of */
unsigned sum(uint64_t total, const uint8_t *p, size_t size); /* of big-endian words, folded */

static inline unsigned word(const uint8_t *p) {
    return p[0] << 8 | p[1];
}

static inline void set_word(uint8_t *p, unsigned value) {
    p[0] = value >> 8, p[1] = value;
}

static inline unsigned pseudo(const Look *l, size_t length) {
    return sum(l->protocol + length, l->addresses, 2 * l->width);
}

static inline size_t slice_size(const uint8_t *p) { /* a slice carries it in the length of its IP header */
    return word(p + (*p >> 4 == 4 ? 2 : 4));
}

#endif

/* A look into an IP packet: wire/ip.py. */
#include "packet.h"

int look(const uint8_t *p, Py_ssize_t size, Look *l) {
    int whole = 1;
    l->version = size ? p[0] >> 4 : 0;
    if (l->version == 4 && size >= 20) {
        l->at = (p[0] & 15) * 4, l->protocol = p[9], l->addresses = p + 12, l->width = 4;
        whole = !(p[6] & 0x3F || p[7]);
        if (l->at < 20 || l->at > size)
            return 0;
    } else if (l->version == 6 && size >= 40) {
        l->at = 40, l->protocol = p[6], l->addresses = p + 8, l->width = 16;
        for (int i = 0; i < MOST_EXTENSIONS; i++) {
            if (l->protocol == 44) { /* a fragment */
                l->protocol = l->at + 8 <= size ? p[l->at] : l->protocol;
                l->at += 8, whole = 0;
                break;
            }
            int extension = l->protocol == 0 || l->protocol == 43 || l->protocol == 60 || l->protocol == 135 ||
                            l->protocol == 139 || l->protocol == 140;
            if (!extension || l->at + 8 > size)
                break;
            l->protocol = p[l->at];
            l->at += 8 * (p[l->at + 1] + 1);
        }
    } else
        return 0;
    l->headers = l->at;
    l->ported = whole && ((l->protocol == TCP && l->at + 20 <= size) || (l->protocol == UDP && l->at + 8 <= size));
    if (l->ported)
        l->headers += l->protocol == UDP ? 8 : (p[l->at + 12] >> 4) * 4;
    return 1;
}

static uint32_t crc_table[256]; /* CRC-32 as zlib has it */

void fill_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        crc_table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            crc_table[i] = crc_table[i] >> 1 ^ (crc_table[i] & 1 ? 0xEDB88320 : 0);
    }
}

static uint32_t crc(uint32_t state, const uint8_t *p, size_t size) {
    while (size--)
        state = crc_table[(state ^ *p++) & 0xFF] ^ state >> 8;
    return state;
}

uint32_t flow_of(const uint8_t *p, const Look *l) {
    uint8_t protocol = l->protocol;
    uint32_t state = crc(crc(~0u, &protocol, 1), l->addresses, 2 * l->width);
    return ~(l->ported ? crc(state, p + l->at, 4) : state);
}

unsigned sum(uint64_t total, const uint8_t *p, size_t size) {
    for (; size >= 4; p += 4, size -= 4)
        total += (uint64_t)word(p) + word(p + 2);
    if (size >= 2)
        total += word(p), p += 2, size -= 2;
    if (size)
        total += p[0] << 8;
    while (total >> 16)
        total = (total & 0xFFFF) + (total >> 16);
    return total;
}

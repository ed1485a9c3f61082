/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 sequence at `s`, 0 where there is none. Stops at the terminator. */
static size_t sequence(const unsigned char *s)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t point = s[0] & (0x7fu >> length);

    if (length == 1)
        return s[0] >= 0x20 && s[0] != 0x7f;
    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (s[i] & 0x3f);
    }
    if ((length == 3 && point < 0x800) || (length == 4 && point < 0x10000) || point > 0x10ffff ||
        (point >= 0xd800 && point < 0xe000) || (point >= 0x80 && point < 0xa0))
        return 0; /* overlong, out of range, a surrogate, or a control character */
    return length;
}

void spc__text_clean(char *text)
{
    unsigned char *s = (unsigned char *)text;

    while (*s) {
        size_t length = sequence(s);

        if (!length)
            *s = '?';
        s += length ? length : 1;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that somebody else chose and a person reads on a terminal.  Pure.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/* 1 if the code point would move the cursor or reorder what stands around it. */
int text_is_unsafe(unsigned point);

/* The UTF-8 character at `text`, which ends with a zero: its length and *ret_point, or
 * 0 if there is no valid one (truncated, overlong, surrogate, above U+10FFFF). */
size_t text_decode(const unsigned char *text, unsigned *ret_point);

#endif

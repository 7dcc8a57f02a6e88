/* SPDX-License-Identifier: Apache-2.0 */
/* PEM, base64, JSON and hexadecimal: see text.h. */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PEM_LINE 64

static const char alphabets[2][65] = {
	[TEXT_BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			"0123456789+/",
	[TEXT_BASE64URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789-_",
};

void text_put(struct text *text, const void *bytes, size_t length)
{
	if (text->overflow || length > text->size - text->length) {
		text->overflow = 1;
		return;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void text_say(struct text *text, const char *string)
{
	text_put(text, string, strlen(string));
}

void text_number(struct text *text, uint64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%llu",
			      (unsigned long long)number);
	text_put(text, digits, (size_t)length);
}

void text_hex(struct text *text, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < length; i++) {
		char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
		text_put(text, pair, sizeof(pair));
	}
}

void text_base64(struct text *text, enum text_alphabet alphabet,
		 const void *bytes, size_t length)
{
	const char *letters = alphabets[alphabet];
	const uint8_t *from = bytes;
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t group = (uint32_t)from[i] << 16;
		if (left > 1)
			group |= (uint32_t)from[i + 1] << 8;
		if (left > 2)
			group |= from[i + 2];
		char four[4] = {
			letters[group >> 18], letters[group >> 12 & 63],
			left > 1 ? letters[group >> 6 & 63] : '=',
			left > 2 ? letters[group & 63] : '=',
		};
		size_t used = alphabet == TEXT_BASE64 || left > 2 ? 4 : left + 1;
		text_put(text, four, used);
	}
}

void text_json(struct text *text, const char *string)
{
	text_say(text, "\"");
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			text_say(text, "\\");
		text_put(text, string, 1);
	}
	text_say(text, "\"");
}

void text_pem(struct text *text, const char *label, const uint8_t *der,
	      size_t length)
{
	const size_t bytes = PEM_LINE / 4 * 3;
	text_say(text, "-----BEGIN ");
	text_say(text, label);
	text_say(text, "-----\n");
	for (size_t i = 0; i < length; i += bytes) {
		text_base64(text, TEXT_BASE64, der + i,
			    length - i < bytes ? length - i : bytes);
		text_say(text, "\n");
	}
	text_say(text, "-----END ");
	text_say(text, label);
	text_say(text, "-----\n");
}

/* The value of one base64 letter, or -1. */
static int letter_value(char letter)
{
	const char *at = letter ? strchr(alphabets[TEXT_BASE64], letter) : NULL;
	return at ? (int)(at - alphabets[TEXT_BASE64]) : -1;
}

/* One group of four letters to its one to three bytes.  Returns their number,
 * or -EINVAL. */
static int decode_group(const char *four, uint8_t *ret_bytes)
{
	int letters = four[3] != '=' ? 4 : four[2] != '=' ? 3 : 2;
	uint32_t group = 0;
	for (int i = 0; i < 4; i++) {
		int value = i < letters ? letter_value(four[i]) : 0;
		if (value < 0)
			return -EINVAL;
		group = group << 6 | (uint32_t)value;
	}
	for (int i = 0; i < 3; i++)
		ret_bytes[i] = (uint8_t)(group >> (16 - 8 * i));
	return letters - 1;
}

int text_unpem(const char *pem, size_t length, const char *label,
	       uint8_t *ret_der, size_t size, size_t *ret_length)
{
	char begin[64], end[64];
	int first = snprintf(begin, sizeof(begin), "-----BEGIN %s-----\n", label);
	int last = snprintf(end, sizeof(end), "-----END %s-----\n", label);
	size_t head = (size_t)first, tail = (size_t)last, done = 0;
	if (length < head + tail || memcmp(pem, begin, head) != 0 ||
	    memcmp(pem + length - tail, end, tail) != 0)
		return -EINVAL;

	size_t column = 0, stop = length - tail;
	int closed = 0;
	for (size_t at = head; at < stop;) {
		if (column == PEM_LINE || (column && pem[at] == '\n')) {
			if (pem[at++] != '\n')
				return -EINVAL;
			closed |= column < PEM_LINE;
			column = 0;
			continue;
		}
		uint8_t group[3];
		int bytes = stop - at >= 4 && !closed ?
				    decode_group(pem + at, group) : -EINVAL;
		if (bytes < 0)
			return bytes;
		if ((size_t)bytes > size - done)
			return -E2BIG;
		memcpy(ret_der + done, group, (size_t)bytes);
		done += (size_t)bytes;
		closed = bytes < 3;
		at += 4;
		column += 4;
	}
	if (column || !done)
		return -EINVAL;
	*ret_length = done;
	return 0;
}

/* Bytes of the UTF-8 character at `at`, or 0 if it is none or a control.
 * Overlong forms, surrogates and what lies above U+10FFFF are refused. */
static int character_length(const uint8_t *at)
{
	if (at[0] < 0x80)
		return at[0] >= 0x20 && at[0] != 0x7f;
	int length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	uint32_t code = at[0] & (0x7fU >> length);
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	for (int i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)	/* the closing zero, too */
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (code < least[length] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff) || (code >= 0x80 && code < 0xa0))
		return 0;
	return length;
}

int text_clean(const char *string)
{
	for (const uint8_t *at = (const uint8_t *)string; *at;) {
		int length = character_length(at);
		if (!length)
			return 0;
		at += length;
	}
	return 1;
}

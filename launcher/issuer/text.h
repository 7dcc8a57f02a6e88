/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing PEM, base64, JSON and hexadecimal into a buffer of fixed size, and
 * reading PEM back.  Pure.  What does not fit sets `overflow` and writes
 * nothing; the caller looks once, at the end.
 */
#ifndef ISSUER_TEXT_H
#define ISSUER_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes;
	size_t size, length;
	int overflow;
};

enum text_alphabet { TEXT_BASE64, TEXT_BASE64URL };

void text_put(struct text *text, const void *bytes, size_t length);
void text_say(struct text *text, const char *string);
void text_number(struct text *text, uint64_t number);
void text_hex(struct text *text, const uint8_t *bytes, size_t length);
/* Padding with TEXT_BASE64 only. */
void text_base64(struct text *text, enum text_alphabet alphabet,
		 const void *bytes, size_t length);
/* A JSON string with its quotes.  `string` has passed text_clean. */
void text_json(struct text *text, const char *string);
/* RFC 7468, lines of 64. */
void text_pem(struct text *text, const char *label, const uint8_t *der,
	      size_t length);

/* Reads exactly one PEM block as text_pem writes it, nothing around it.
 * Returns 0, -EINVAL, or -E2BIG when it does not fit. */
int text_unpem(const char *pem, size_t length, const char *label,
	       uint8_t *ret_der, size_t size, size_t *ret_length);

/* 1 if `string` is valid UTF-8 without control characters. */
int text_clean(const char *string);

#endif

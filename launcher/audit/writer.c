/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON by hand: see writer.h.  An agent chooses many of the bytes that
 * pass here (program names, paths, host names).  Log forging by a newline, a
 * quote or half a UTF-8 character, and terminal escapes in a log that somebody
 * shows with cat(1), must end here: every control character is escaped, C1 and
 * DEL too, and what is no UTF-8 becomes U+FFFD.
 */
#include "writer.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

static void put(struct writer *writer, const char *bytes, size_t length)
{
	if (writer->overflow || (size_t)(writer->end - writer->at) < length) {
		writer->overflow = 1;
		return;
	}
	memcpy(writer->at, bytes, length);
	writer->at += length;
}

static void put_word(struct writer *writer, const char *word)
{
	put(writer, word, strlen(word));
}

static void put_number(struct writer *writer, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(writer, digits + at, sizeof(digits) - at);
}

static void put_key(struct writer *writer, const char *key)
{
	if (writer->comma)
		put(writer, ",", 1);
	writer->comma = 1;
	if (!key)
		return;
	put(writer, "\"", 1);
	put_word(writer, key);
	put(writer, "\":", 2);
}

void writer_begin(struct writer *writer, char *buffer, size_t size)
{
	*writer = (struct writer){ .start = buffer, .at = buffer,
			       .end = buffer + size };
	writer_open(writer, NULL);
}

void writer_open(struct writer *writer, const char *key)
{
	put_key(writer, key);
	put(writer, "{", 1);
	writer->comma = 0;
}

void writer_close(struct writer *writer)
{
	put(writer, "}", 1);
	writer->comma = 1;
}

void writer_open_array(struct writer *writer, const char *key)
{
	put_key(writer, key);
	put(writer, "[", 1);
	writer->comma = 0;
}

void writer_close_array(struct writer *writer)
{
	put(writer, "]", 1);
	writer->comma = 1;
}

void writer_number(struct writer *writer, const char *key, uint64_t value)
{
	put_key(writer, key);
	/* Beyond the range that readers have for integers stands "very large". */
	put_number(writer, value > INT64_MAX ? INT64_MAX : value);
}

void writer_signed(struct writer *writer, const char *key, int64_t value)
{
	put_key(writer, key);
	if (value < 0)
		put(writer, "-", 1);
	put_number(writer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void writer_true(struct writer *writer, const char *key)
{
	put_key(writer, key);
	put_word(writer, "true");
}

void writer_word(struct writer *writer, const char *key, const char *value)
{
	writer_string_open(writer, key);
	put_word(writer, value);
	writer_string_close(writer);
}

/* How many bytes the character at `bytes` has, 0 if they are no UTF-8: no
 * overlong forms, no surrogates, nothing beyond U+10FFFF. */
static size_t character(const unsigned char *bytes, size_t length)
{
	static const struct {
		unsigned char low, high;	/* of the first byte */
		unsigned char second_low, second_high;
		unsigned char length;
	} forms[] = {
		{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (bytes[0] < forms[i].low || bytes[0] > forms[i].high)
			continue;
		if (forms[i].length > length)
			return 0;
		if (forms[i].length > 1 && (bytes[1] < forms[i].second_low ||
					    bytes[1] > forms[i].second_high))
			return 0;
		for (size_t j = 2; j < forms[i].length; j++)
			if ((bytes[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* Writes the character at `bytes` as JSON into `to`.  Returns the bytes it
 * takes there; *ret_used is what it took of the input. */
static size_t escape(const unsigned char *bytes, size_t length, char to[6],
		     size_t *ret_used)
{
	static const char hexadecimal[] = "0123456789abcdef";
	size_t used = character(bytes, length);
	unsigned code = used == 2 ? (bytes[0] & 0x1fU) << 6 | (bytes[1] & 0x3fU) :
				    bytes[0];

	*ret_used = used ? used : 1;
	if (!used || bytes[0] == 0) {
		memcpy(to, REPLACEMENT, 3);
		return 3;
	}
	if (code == '"' || code == '\\') {
		to[0] = '\\';
		to[1] = (char)code;
		return 2;
	}
	if (code < 0x20 || (code >= 0x7f && code < 0xa0 && used < 3)) {
		memcpy(to, "\\u00", 4);
		to[4] = hexadecimal[code >> 4];
		to[5] = hexadecimal[code & 15];
		return 6;
	}
	memcpy(to, bytes, used);
	return used;
}

static void remember_truncation(struct writer *writer, const char *key)
{
	for (unsigned i = 0; i < writer->truncated_count; i++)
		if (!strcmp(writer->truncated[i], key))
			return;
	if (writer->truncated_count < WRITER_TRUNCATIONS)
		writer->truncated[writer->truncated_count++] = key;
}

/* How many bytes from `from` on need nothing done to them. */
static size_t plain_run(const unsigned char *from, size_t length)
{
	size_t run = 0;

	while (run < length && from[run] >= 0x20 && from[run] < 0x7f &&
	       from[run] != '"' && from[run] != '\\')
		run++;
	return run;
}

void writer_part_bytes(struct writer *writer, const char *key, const char *bytes,
		     size_t length, size_t budget)
{
	const unsigned char *from = (const unsigned char *)bytes;
	size_t at = 0, spent = 0;

	while (at < length) {
		char to[6];
		size_t run = plain_run(from + at, length - at);
		if (run > budget - spent)
			run = budget - spent;
		put(writer, bytes + at, run);
		spent += run;
		at += run;
		if (at == length)
			return;
		size_t used, size = escape(from + at, length - at, to, &used);
		if (spent + size > budget) {
			remember_truncation(writer, key);
			return;
		}
		put(writer, to, size);
		spent += size;
		at += used;
	}
}

void writer_part_text(struct writer *writer, const char *key, const char *text,
		    size_t size, size_t budget)
{
	writer_part_bytes(writer, key, text, strnlen(text, size), budget);
}

void writer_part_word(struct writer *writer, const char *value)
{
	put_word(writer, value);
}

void writer_part_number(struct writer *writer, uint64_t value)
{
	put_number(writer, value);
}

void writer_string_open(struct writer *writer, const char *key)
{
	put_key(writer, key);
	put(writer, "\"", 1);
}

void writer_string_close(struct writer *writer)
{
	put(writer, "\"", 1);
}

void writer_text(struct writer *writer, const char *key, const char *text, size_t size,
	       size_t budget)
{
	if (size == 0 || text[0] == 0)
		return;
	writer_string_open(writer, key);
	writer_part_text(writer, key, text, size, budget);
	writer_string_close(writer);
}

void writer_truncations(struct writer *writer)
{
	if (!writer->truncated_count)
		return;
	writer_open_array(writer, "truncated");
	for (unsigned i = 0; i < writer->truncated_count; i++)
		writer_word(writer, NULL, writer->truncated[i]);
	writer_close_array(writer);
}

size_t writer_finish(struct writer *writer)
{
	writer_close(writer);
	put(writer, "\n", 1);
	return writer->overflow ? 0 : (size_t)(writer->at - writer->start);
}

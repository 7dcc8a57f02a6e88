/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON by hand: see json.h.  An agent chooses many of the bytes that
 * pass here (program names, paths, host names).  Log forging by a newline, a
 * quote or half a UTF-8 character, and terminal escapes in a log that somebody
 * shows with cat(1), must end here: every control character is escaped, C1 and
 * DEL too, and what is no UTF-8 becomes U+FFFD.
 */
#include "json.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

static void put(struct json *json, const char *bytes, size_t length)
{
	if (json->overflow || (size_t)(json->end - json->at) < length) {
		json->overflow = 1;
		return;
	}
	memcpy(json->at, bytes, length);
	json->at += length;
}

static void put_word(struct json *json, const char *word)
{
	put(json, word, strlen(word));
}

static void put_number(struct json *json, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(json, digits + at, sizeof(digits) - at);
}

static void put_key(struct json *json, const char *key)
{
	if (json->comma)
		put(json, ",", 1);
	json->comma = 1;
	if (!key)
		return;
	put(json, "\"", 1);
	put_word(json, key);
	put(json, "\":", 2);
}

void json_begin(struct json *json, char *buffer, size_t size)
{
	*json = (struct json){ .start = buffer, .at = buffer,
			       .end = buffer + size };
	json_open(json, NULL);
}

void json_open(struct json *json, const char *key)
{
	put_key(json, key);
	put(json, "{", 1);
	json->comma = 0;
}

void json_close(struct json *json)
{
	put(json, "}", 1);
	json->comma = 1;
}

void json_open_array(struct json *json, const char *key)
{
	put_key(json, key);
	put(json, "[", 1);
	json->comma = 0;
}

void json_close_array(struct json *json)
{
	put(json, "]", 1);
	json->comma = 1;
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	put_key(json, key);
	put_number(json, value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	put_key(json, key);
	if (value < 0)
		put(json, "-", 1);
	put_number(json, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_true(struct json *json, const char *key)
{
	put_key(json, key);
	put_word(json, "true");
}

void json_word(struct json *json, const char *key, const char *value)
{
	json_string_open(json, key);
	put_word(json, value);
	json_string_close(json);
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

static void remember_truncation(struct json *json, const char *key)
{
	for (unsigned i = 0; i < json->truncated_count; i++)
		if (!strcmp(json->truncated[i], key))
			return;
	if (json->truncated_count < JSON_TRUNCATIONS)
		json->truncated[json->truncated_count++] = key;
}

void json_part_bytes(struct json *json, const char *key, const char *bytes,
		     size_t length, size_t budget)
{
	const unsigned char *from = (const unsigned char *)bytes;
	size_t at = 0, spent = 0;

	while (at < length) {
		char to[6];
		size_t used, size = escape(from + at, length - at, to, &used);

		if (spent + size > budget) {
			remember_truncation(json, key);
			return;
		}
		put(json, to, size);
		spent += size;
		at += used;
	}
}

void json_part_text(struct json *json, const char *key, const char *text,
		    size_t size, size_t budget)
{
	json_part_bytes(json, key, text, strnlen(text, size), budget);
}

void json_part_word(struct json *json, const char *value)
{
	put_word(json, value);
}

void json_part_number(struct json *json, uint64_t value)
{
	put_number(json, value);
}

void json_string_open(struct json *json, const char *key)
{
	put_key(json, key);
	put(json, "\"", 1);
}

void json_string_close(struct json *json)
{
	put(json, "\"", 1);
}

void json_text(struct json *json, const char *key, const char *text, size_t size,
	       size_t budget)
{
	if (size == 0 || text[0] == 0)
		return;
	json_string_open(json, key);
	json_part_text(json, key, text, size, budget);
	json_string_close(json);
}

void json_truncations(struct json *json)
{
	if (!json->truncated_count)
		return;
	json_open_array(json, "truncated");
	for (unsigned i = 0; i < json->truncated_count; i++)
		json_word(json, NULL, json->truncated[i]);
	json_close_array(json);
}

size_t json_finish(struct json *json)
{
	json_close(json);
	put(json, "\n", 1);
	return json->overflow ? 0 : (size_t)(json->at - json->start);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing one JSON object into a buffer by hand: no allocation, no format
 * strings, and whatever the bytes are, the result is one line of valid JSON.
 * Pure.  Used by line.c and event.c; the tools read JSON with jansson.
 */
#ifndef AUDIT_JSON_H
#define AUDIT_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_TRUNCATIONS 8

struct json {
	char *start, *at, *end;
	int comma;	/* the next member needs one in front */
	int overflow;	/* something did not fit: the line must not be used */
	const char *truncated[JSON_TRUNCATIONS];	/* keys of shortened texts */
	unsigned truncated_count;
};

void json_begin(struct json *json, char *buffer, size_t size);

/* "key":{ … }; a NULL key opens the outermost object or one in an array. */
void json_open(struct json *json, const char *key);
void json_close(struct json *json);
/* "key":[ … ] */
void json_open_array(struct json *json, const char *key);
void json_close_array(struct json *json);

void json_number(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_true(struct json *json, const char *key);

/* "key":"value" of our own text, which needs no escaping. */
void json_word(struct json *json, const char *key, const char *value);

/* A zero-terminated text of at most `size` bytes; not written at all when it is
 * empty.  Takes at most `budget` bytes of the line; a longer one is cut at a
 * character and its key is remembered in `truncated`. */
void json_text(struct json *json, const char *key, const char *text, size_t size,
	       size_t budget);

/* A value in parts: json_string_open, any of the parts, json_string_close. */
void json_string_open(struct json *json, const char *key);
void json_string_close(struct json *json);
void json_part_word(struct json *json, const char *value);
void json_part_number(struct json *json, uint64_t value);
/* `length` bytes, zeros included (each becomes U+FFFD); `key` names the text in
 * `truncated`. */
void json_part_bytes(struct json *json, const char *key, const char *bytes,
		     size_t length, size_t budget);
void json_part_text(struct json *json, const char *key, const char *text,
		    size_t size, size_t budget);

/* The array of shortened keys, if there are any. */
void json_truncations(struct json *json);

/* Ends the line with a newline.  Returns its length, or 0 on overflow. */
size_t json_finish(struct json *json);

#endif

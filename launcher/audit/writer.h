/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing one JSON object into a buffer by hand: no allocation, no format
 * strings, and whatever the bytes are, the result is one line of valid JSON.
 * Pure.  Used by line.c and event.c; the tools read JSON with jansson.
 */
#ifndef AUDIT_WRITER_H
#define AUDIT_WRITER_H

#include <stddef.h>
#include <stdint.h>

#define WRITER_TRUNCATIONS 8

struct writer {
	char *start, *at, *end;
	int comma;	/* the next member needs one in front */
	int overflow;	/* something did not fit: the line must not be used */
	const char *truncated[WRITER_TRUNCATIONS];	/* keys of shortened texts */
	unsigned truncated_count;
};

void writer_begin(struct writer *writer, char *buffer, size_t size);

/* "key":{ … }; a NULL key opens the outermost object or one in an array. */
void writer_open(struct writer *writer, const char *key);
void writer_close(struct writer *writer);
/* "key":[ … ] */
void writer_open_array(struct writer *writer, const char *key);
void writer_close_array(struct writer *writer);

/* At most INT64_MAX is written. */
void writer_number(struct writer *writer, const char *key, uint64_t value);
void writer_signed(struct writer *writer, const char *key, int64_t value);
void writer_true(struct writer *writer, const char *key);

/* "key":"value" of our own text, which needs no escaping. */
void writer_word(struct writer *writer, const char *key, const char *value);

/* A zero-terminated text of at most `size` bytes; not written at all when it is
 * empty.  Takes at most `budget` bytes of the line; a longer one is cut at a
 * character and its key is remembered in `truncated`. */
void writer_text(struct writer *writer, const char *key, const char *text, size_t size,
	       size_t budget);

/* A value in parts: writer_string_open, any of the parts, writer_string_close. */
void writer_string_open(struct writer *writer, const char *key);
void writer_string_close(struct writer *writer);
void writer_part_word(struct writer *writer, const char *value);
void writer_part_number(struct writer *writer, uint64_t value);
/* `length` bytes, zeros included (each becomes U+FFFD); `key` names the text in
 * `truncated`. */
void writer_part_bytes(struct writer *writer, const char *key, const char *bytes,
		     size_t length, size_t budget);
void writer_part_text(struct writer *writer, const char *key, const char *text,
		    size_t size, size_t budget);

/* The array of shortened keys, if there are any. */
void writer_truncations(struct writer *writer);

/* Ends the line with a newline.  Returns its length, or 0 on overflow. */
size_t writer_finish(struct writer *writer);

#endif

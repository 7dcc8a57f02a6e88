/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the client prints.  Agents choose their names and tasks, and what
 * they choose ends up on an operator's terminal: control bytes, escape sequences
 * and characters that reorder text are printed as escapes.
 */
#ifndef AMBIT_SAY_H
#define AMBIT_SAY_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* From now on refusals are JSON lines: {"refused":{what, why, hint, status}}. */
void say_as_json(void);

/* "ambit: what: why (hint)" on stderr, as one line and one write.  `hint` may
 * be NULL or empty.  Returns `status`. */
int say_refusal(int status, const char *what, const char *hint,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "ambit: what: text" on stderr for what is worth knowing and no refusal; says
 * nothing when refusals are JSON. */
void say_note(const char *what, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* `text` as it may be shown; returns the characters printed. */
size_t say_text(FILE *to, const char *text);

/* One JSON object, one line, ASCII. */
void say_json(FILE *to, const json_t *value);

#define SAY_COLUMNS 8

/* A table on stdout: `cells` holds rows of `columns` texts (at most
 * SAY_COLUMNS), heads first. */
void say_table(const char *const *cells, size_t columns, size_t rows);

/* Flushes stdout.  Returns `status`, or 1 with a message when the output could
 * not be written. */
int say_finish(int status);

#endif

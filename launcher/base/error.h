/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error object.  Fixed size, so that the error path never allocates;
 * the first cause wins, context is put in front on the way up.  A function that
 * takes one returns 0 or a negative errno and fills it only when it fails.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

struct error {
	int code;		/* positive errno, 0 while nothing failed */
	char text[1024];	/* "<what>: <why>", no newline, valid UTF-8 */
};

/* Records `code` (positive errno) and the formatted text, unless an earlier
 * cause is there already.  Returns -code of the cause that stands. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and strerror(code) behind the text. */
int error_errno(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<formatted>: " in front of the text of a failed `error`.
 * Returns -error->code. */
int error_context(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif

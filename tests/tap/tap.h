/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small TAP emitter.  Children never print TAP; output is flushed line by
 * line, so that nothing is printed twice after fork.
 */
#ifndef TAP_H
#define TAP_H

/* Says how many tests come; call it first. */
void plan(int count);
/* As plan, when the count is only known at the end: prints "1..N" there. */
int done_testing(void);
/* One test: passes when `good`.  Returns `good`. */
int ok(int good, const char *format, ...) __attribute__((format(printf, 2, 3)));
int is_int(long long got, long long wanted, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* NULL equals only NULL. */
int is_string(const char *got, const char *wanted, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Passes when `got` contains `part`. */
int has_string(const char *got, const char *part, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void diag(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The test program can't go on. */
void bail_out(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#endif

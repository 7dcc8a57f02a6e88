/* SPDX-License-Identifier: Apache-2.0 */
/* A small TAP emitter: see tap.h. */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count, planned, failed;

void plan(int tests)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	planned = tests;
	printf("1..%d\n", tests);
}

int done_testing(void)
{
	if (!planned)
		printf("1..%d\n", count);
	fflush(stdout);
	return failed || (planned && planned != count) ? 1 : 0;
}

static void verdict(int good, const char *format, va_list arguments)
{
	if (!good)
		failed++;
	printf("%sok %d - ", good ? "" : "not ", ++count);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
}

#define VERDICT(good, format)                \
	do {                                 \
		va_list arguments;           \
		va_start(arguments, format); \
		verdict(good, format, arguments); \
		va_end(arguments);           \
	} while (0)

int ok(int good, const char *format, ...)
{
	VERDICT(good, format);
	return good;
}

int is_int(long long got, long long wanted, const char *format, ...)
{
	VERDICT(got == wanted, format);
	if (got != wanted)
		diag("got %lld, wanted %lld", got, wanted);
	return got == wanted;
}

int is_string(const char *got, const char *wanted, const char *format, ...)
{
	int good = got && wanted ? !strcmp(got, wanted) : got == wanted;
	VERDICT(good, format);
	if (!good)
		diag("got '%s', wanted '%s'", got ? got : "NULL",
		     wanted ? wanted : "NULL");
	return good;
}

int has_string(const char *got, const char *part, const char *format, ...)
{
	int good = got && strstr(got, part);
	VERDICT(good, format);
	if (!good)
		diag("got '%s', wanted '%s' in it", got ? got : "NULL", part);
	return good;
}

void diag(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("# ", stdout);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
	va_end(arguments);
}

void bail_out(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("Bail out! ", stdout);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
	va_end(arguments);
	exit(255);
}

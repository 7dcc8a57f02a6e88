/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's libjansson.a was compiled against glibc, with checks and a C23 reader of
 * numbers that go by names of glibc's own.  The client is linked with musl (the
 * Makefile says why), which does not have these names; what they stand for, it has.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __vsnprintf_chk(char *text, size_t size, int flag, size_t room,
		    const char *format, va_list arguments);
int __snprintf_chk(char *text, size_t size, int flag, size_t room,
		   const char *format, ...);
char *__strncpy_chk(char *to, const char *from, size_t size, size_t room);
long long __isoc23_strtoll(const char *text, char **ret_end, int base);

/* What the checks are there for: more is to be written than there is room. */
static void check(size_t size, size_t room)
{
	if (size > room)
		abort();
}

int __vsnprintf_chk(char *text, size_t size, int flag, size_t room,
		    const char *format, va_list arguments)
{
	(void)flag;
	check(size, room);
	return vsnprintf(text, size, format, arguments);
}

int __snprintf_chk(char *text, size_t size, int flag, size_t room,
		   const char *format, ...)
{
	va_list arguments;

	(void)flag;
	check(size, room);
	va_start(arguments, format);
	int length = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	return length;
}

char *__strncpy_chk(char *to, const char *from, size_t size, size_t room)
{
	check(size, room);
	return strncpy(to, from, size);
}

long long __isoc23_strtoll(const char *text, char **ret_end, int base)
{
	return strtoll(text, ret_end, base);
}

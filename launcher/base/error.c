/* SPDX-License-Identifier: Apache-2.0 */
/* The error object: see error.h. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
	if (error->code)
		return -error->code;
	error->code = code;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return -code;
}

int error_errno(struct error *error, int code, const char *format, ...)
{
	if (error->code)
		return -error->code;
	error->code = code;
	va_list arguments;
	va_start(arguments, format);
	int used = vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	if (used >= 0 && (size_t)used < sizeof(error->text))
		snprintf(error->text + used, sizeof(error->text) - (size_t)used,
			 ": %s", strerror(code));
	return -code;
}

int error_context(struct error *error, const char *format, ...)
{
	char front[256], cause[sizeof(error->text)];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(front, sizeof(front), format, arguments);
	va_end(arguments);
	memcpy(cause, error->text, sizeof(cause));
	int used = snprintf(error->text, sizeof(error->text), "%s: ", front);
	if (used >= 0 && (size_t)used < sizeof(error->text)) {
		size_t room = sizeof(error->text) - (size_t)used;
		size_t length = strnlen(cause, room - 1);
		memcpy(error->text + used, cause, length);
		error->text[(size_t)used + length] = 0;
	}
	return -error->code;
}

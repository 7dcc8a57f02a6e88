/* SPDX-License-Identifier: Apache-2.0 */
/* Printing: see say.h.  The messages are the client's contract with its users:
 * ambit(1), "DIAGNOSTICS". */
#include "say.h"

#include "../base/own.h"
#include "../base/text.h"
#include "pool.h"

#include <ambit/exit.h>
#include <stdarg.h>
#include <string.h>

static int refusals_as_json;

void say_as_json(void)
{
	refusals_as_json = 1;
}

size_t say_text(FILE *to, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t shown = 0;

	while (*at) {
		unsigned point;
		size_t length = text_decode(at, &point);
		int printed = 1;
		if (length == 0) {
			printed = fprintf(to, "\\x%02x", *at);
			length = 1;
		} else if (!text_is_unsafe(point)) {
			fwrite(at, 1, length, to);
		} else if (point == '\n') {
			printed = fprintf(to, "\\n");
		} else if (point < 0x80) {
			printed = fprintf(to, "\\x%02x", point);
		} else {
			printed = fprintf(to, "\\u{%x}", point);
		}
		shown += printed > 0 ? (size_t)printed : 0;
		at += length;
	}
	return shown;
}

void say_json(FILE *to, const json_t *value)
{
	OWN_JSON_TEXT char *line = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (line)
		fprintf(to, "%s\n", line);
	else
		fputs("ambit: out of memory\n", stderr);
}

/* One line in one write, so that lines of several processes do not mix. */
static void line(const char *what, const char *why, const char *hint)
{
	OWN_MEMORY char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	if (!to) {
		fprintf(stderr, "ambit: out of memory\n");
		return;
	}
	fputs("ambit: ", to);
	say_text(to, what);
	fputs(": ", to);
	say_text(to, why);
	if (hint && *hint) {
		fputs(" (", to);
		say_text(to, hint);
		fputs(")", to);
	}
	fputs("\n", to);
	if (fclose(to) == 0)
		fwrite(text, 1, length, stderr);
}

/* Argument bytes may be no UTF-8, which JSON can't carry. */
static json_t *json_text(const char *text)
{
	OWN_MEMORY char *safe = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&safe, &length);

	if (!to)
		return NULL;
	say_text(to, text);
	if (fclose(to))
		return NULL;
	return json_string(safe);
}

int say_refusal(int status, const char *what, const char *hint,
		const char *format, ...)
{
	char why[2048];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	if (!refusals_as_json) {
		line(what, why, hint);
		return status;
	}
	json_t *object = json_pack("{s:{s:o, s:o, s:o, s:i}}", "refused",
				   "what", json_text(what), "why", json_text(why),
				   "hint", json_text(hint ? hint : ""),
				   "status", status);
	say_json(stderr, object);
	json_decref(object);
	return status;
}

void say_note(const char *what, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	if (refusals_as_json)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	line(what, text, NULL);
}


void say_table(const char *const *cells, size_t columns, size_t rows)
{
	size_t widest[SAY_COLUMNS] = { 0 };
	OWN_MEMORY char *bytes = NULL;
	size_t length = 0;
	FILE *sink = open_memstream(&bytes, &length);

	if (!sink) {
		fputs("ambit: out of memory\n", stderr);
		return;
	}
	for (size_t i = 0; i < rows * columns; i++) {
		size_t shown = say_text(sink, cells[i]);
		if (shown > widest[i % columns])
			widest[i % columns] = shown;
	}
	fclose(sink);
	for (size_t i = 0; i < rows * columns; i++) {
		size_t shown = say_text(stdout, cells[i]);
		if (i % columns == columns - 1)
			fputs("\n", stdout);
		else
			printf("%*s", (int)(widest[i % columns] - shown + 2), "");
	}
}

int say_finish(int status)
{
	if (fflush(stdout) || ferror(stdout))
		return say_refusal(AMBIT_EXIT_FAILED, "standard output", NULL,
				   "%s", strerror(errno));
	return status;
}

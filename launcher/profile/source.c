/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to tree: see source.h.  Called by profile_parse only.  Assumes nothing
 * about the bytes; size, depth and number of nodes are bounded before memory is
 * spent on them.
 */
#include "source.h"

#include "../base/own.h"
#include "profile.h"

#include <stdint.h>
#include <string.h>
#include <yaml.h>

#define DEPTH 8		/* the deepest valid profile nests five */
#define MEMBERS 1024	/* of one list or mapping: keys are compared in pairs */

struct reader {
	const char *file;
	yaml_parser_t parser;
	struct source_node *root, *open;	/* the list or mapping being read */
	char *key;			/* read, its value comes next */
	unsigned key_line, key_column;
	unsigned depth;
	struct error *error;
};

static int fail(struct reader *reader, yaml_mark_t mark, const char *why)
{
	return error_set(reader->error, EINVAL, "%s:%zu:%zu: %s", reader->file,
			 mark.line + 1, mark.column + 1, why);
}

struct source_quote source_quote(const char *text)
{
	struct source_quote quote = { "" };
	size_t at = 0;

	for (; text[at] && at < 48; at++)
		quote.text[at] = text[at] >= ' ' && text[at] < 127 ? text[at] : '?';
	if (text[at])
		memcpy(quote.text + at, "...", 3);
	return quote;
}

/* Bytes of the UTF-8 character at `text`, 0 if it is none: no overlong forms,
 * no surrogates, nothing above U+10FFFF (RFC 3629). */
static size_t character(const unsigned char *text, size_t length, uint32_t *ret_code)
{
	static const struct {
		uint8_t mask, lead, bytes;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 1, 0 },
		{ 0xe0, 0xc0, 2, 0x80 },
		{ 0xf0, 0xe0, 3, 0x800 },
		{ 0xf8, 0xf0, 4, 0x10000 },
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if ((text[0] & forms[i].mask) != forms[i].lead)
			continue;
		uint32_t code = text[0] & (uint32_t)(uint8_t)~forms[i].mask;
		if (length < forms[i].bytes)
			return 0;
		for (size_t j = 1; j < forms[i].bytes; j++) {
			if ((text[j] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (text[j] & 0x3f);
		}
		if (code < forms[i].least || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return 0;
		*ret_code = code;
		return forms[i].bytes;
	}
	return 0;
}

/* Why this character may not stand in a profile; NULL if it may.  Characters
 * that turn the direction of text make a reviewer read another profile than the
 * one that is enforced (CVE-2021-42574). */
static const char *forbidden(uint32_t code)
{
	if (code == 0)
		return "NUL byte: text was expected";
	if (code == '\n' || code == '\t' || code == '\r')
		return NULL;
	if (code < ' ' || (code >= 0x7f && code < 0xa0))
		return "control character: text was expected";
	if ((code >= 0x202a && code <= 0x202e) || code == 0x200e ||
	    code == 0x200f || (code >= 0x2066 && code <= 0x2069) || code == 0x61c)
		return "character that turns the direction of text: text that "
		       "reads as it stands was expected";
	if (code == 0xfeff)
		return "byte order mark: plain UTF-8 was expected";
	return NULL;
}

/* Checks `length` bytes; counts `mark` on to the place of what is wrong. */
static const char *text_wrong(const char *text, size_t length, yaml_mark_t *mark)
{
	const unsigned char *bytes = (const unsigned char *)text;
	uint32_t code = 0;

	for (size_t at = 0, used; at < length; at += used) {
		used = character(bytes + at, length - at, &code);
		if (!used)
			return "not UTF-8: UTF-8 was expected";
		const char *why = forbidden(code);
		if (why)
			return why;
		mark->column++;
		if (code == '\n') {
			mark->line++;
			mark->column = 0;
		}
	}
	return NULL;
}

/* Hangs `node` into the open list or mapping.  Owns it from here on. */
static int hang(struct reader *reader, struct source_node *node, yaml_mark_t mark)
{
	struct source_node *open = reader->open;

	node->parent = open;
	node->key = reader->key;
	node->key_line = reader->key_line;
	node->key_column = reader->key_column;
	reader->key = NULL;
	reader->key_line = reader->key_column = 0;
	if (!open) {
		reader->root = node;
		return 0;
	}
	if (open->last)
		open->last->next = node;
	else
		open->first = node;
	open->last = node;
	if (++open->count > MEMBERS)
		return fail(reader, mark, "too many entries: at most 1024 were "
			    "expected");
	return 0;
}

static int add(struct reader *reader, enum source_kind kind, const char *text,
	       yaml_mark_t mark)
{
	struct source_node *node = calloc(1, sizeof(*node));

	if (!node)
		return error_errno(reader->error, ENOMEM, "%s", reader->file);
	node->kind = kind;
	node->line = (unsigned)mark.line + 1;
	node->column = (unsigned)mark.column + 1;
	if (text && !(node->text = strdup(text))) {
		source_free(node);
		return error_errno(reader->error, ENOMEM, "%s", reader->file);
	}
	int result = hang(reader, node, mark);
	if (result < 0 || kind == SOURCE_SCALAR)
		return result;
	reader->open = node;
	if (++reader->depth > DEPTH)
		return fail(reader, mark, "nested too deep: at most 8 levels were "
			    "expected");
	return 0;
}

static int take_key(struct reader *reader, const char *text, yaml_mark_t mark)
{
	const struct source_node *twin = source_member(reader->open, text);

	if (twin)
		return error_set(reader->error, EINVAL,
				 "%s:%zu:%zu: %s: key given twice: it stands in "
				 "line %u already", reader->file, mark.line + 1,
				 mark.column + 1, source_quote(text).text,
				 twin->key_line);
	reader->key = strdup(text);
	if (!reader->key)
		return error_errno(reader->error, ENOMEM, "%s", reader->file);
	reader->key_line = (unsigned)mark.line + 1;
	reader->key_column = (unsigned)mark.column + 1;
	return 0;
}

static int take_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	yaml_mark_t mark = event->start_mark, inside = mark;
	int plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (event->data.scalar.anchor)
		return fail(reader, mark, "anchor: profiles repeat what they mean");
	if (event->data.scalar.tag)
		return fail(reader, mark, "tag: plain values were expected");
	/* Escapes such as "\0" were not in the text that was checked first. */
	const char *why = text_wrong(text, length, &inside);
	if (why)
		return fail(reader, mark, why);
	if (plain && (length == 0 || !strcmp(text, "~") || !strcmp(text, "null")))
		return error_set(reader->error, EINVAL,
				 "%s:%zu:%zu: %s: nothing there: a value was "
				 "expected", reader->file, mark.line + 1,
				 mark.column + 1,
				 reader->key ? source_quote(reader->key).text :
					       "empty");
	if (reader->open && reader->open->kind == SOURCE_MAPPING && !reader->key)
		return take_key(reader, text, mark);
	return add(reader, SOURCE_SCALAR, text, mark);
}

static int take_open(struct reader *reader, enum source_kind kind,
		     const yaml_char_t *anchor, const yaml_char_t *tag,
		     yaml_mark_t mark)
{
	if (anchor)
		return fail(reader, mark, "anchor: profiles repeat what they mean");
	if (tag)
		return fail(reader, mark, "tag: plain values were expected");
	if (reader->open && reader->open->kind == SOURCE_MAPPING && !reader->key)
		return fail(reader, mark, "key: a word was expected");
	return add(reader, kind, NULL, mark);
}

static int take(struct reader *reader, const yaml_event_t *event)
{
	yaml_mark_t mark = event->start_mark;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (event->data.document_start.version_directive ||
		    event->data.document_start.tag_directives.start !=
			    event->data.document_start.tag_directives.end)
			return fail(reader, mark, "directive: a profile was "
				    "expected");
		if (reader->root)
			return fail(reader, mark, "second document: one profile "
				    "was expected");
		return 0;
	case YAML_ALIAS_EVENT:
		return fail(reader, mark, "alias: profiles repeat what they mean");
	case YAML_SCALAR_EVENT:
		return take_scalar(reader, event);
	case YAML_SEQUENCE_START_EVENT:
		return take_open(reader, SOURCE_LIST,
				 event->data.sequence_start.anchor,
				 event->data.sequence_start.tag, mark);
	case YAML_MAPPING_START_EVENT:
		return take_open(reader, SOURCE_MAPPING,
				 event->data.mapping_start.anchor,
				 event->data.mapping_start.tag, mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		reader->open = reader->open->parent;
		reader->depth--;
		return 0;
	default:
		return 0;
	}
}

/* What people mean who write what libyaml says this of. */
static const char *hint(const yaml_parser_t *parser)
{
	static const struct {
		const char *said, *hint;
	} hints[] = {
		/* Mostly a tab, which nobody sees. */
		{ "cannot start any token", ": spaces instead of tabs, and quotes "
		  "around what begins with @, ` or %, were expected" },
		{ "mapping values are not allowed", ": put quotes around a text "
		  "with \": \" in it" },
		{ "scanning an alias", ": put quotes around what begins with *, as "
		  "in \"*.example.com\"" },
		{ "scanning an anchor", ": put quotes around what begins with &" },
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		if ((parser->problem && strstr(parser->problem, hints[i].said)) ||
		    (parser->context && strstr(parser->context, hints[i].said)))
			return hints[i].hint;
	return "";
}

static int syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return error_errno(reader->error, ENOMEM, "%s", reader->file);
	return error_set(reader->error, EINVAL, "%s:%zu:%zu: not YAML: %s%s%s%s",
			 reader->file, parser->problem_mark.line + 1,
			 parser->problem_mark.column + 1,
			 parser->problem ? parser->problem : "a mapping was expected",
			 parser->context ? " " : "",
			 parser->context ? parser->context : "",
			 hint(parser));
}

static int run(struct reader *reader)
{
	for (;;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&reader->parser, &event))
			return syntax(reader);
		int last = event.type == YAML_STREAM_END_EVENT;
		int result = take(reader, &event);
		yaml_event_delete(&event);
		if (result < 0 || last)
			return result;
	}
}

int source_read(const char *file, const char *text, size_t length,
		struct source_node **ret_root, struct error *error)
{
	struct reader reader = { .file = file, .error = error };
	yaml_mark_t mark = { 0, 0, 0 };

	if (length > PROFILE_BYTES)
		return error_set(error, E2BIG, "%s:1:1: too large: at most 1 MiB "
				 "was expected", file);
	const char *why = text_wrong(text, length, &mark);
	if (why)
		return fail(&reader, mark, why);
	if (!yaml_parser_initialize(&reader.parser))
		return error_errno(error, ENOMEM, "%s", file);
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text,
				     length);
	int result = run(&reader);
	yaml_parser_delete(&reader.parser);
	free(reader.key);
	if (!result && !reader.root)
		result = error_set(error, EINVAL, "%s:1:1: empty: a profile was "
				   "expected", file);
	if (result < 0) {
		source_free(reader.root);
		return result;
	}
	*ret_root = reader.root;
	return 0;
}

const struct source_node *source_member(const struct source_node *mapping, const char *key)
{
	for (const struct source_node *at = mapping->first; at; at = at->next)
		if (at->key && !strcmp(at->key, key))
			return at;
	return NULL;
}

/* The member that `path` names next; *path moves behind it. */
static const struct source_node *step(const struct source_node *node, const char **path)
{
	size_t length = strcspn(*path, ".[");
	const struct source_node *at = node->first;

	if (**path == '[') {
		char *end;
		unsigned long index = strtoul(*path + 1, &end, 10);
		while (at && index--)
			at = at->next;
		*path = *end ? end + 1 : end;
	} else {
		while (at && !(at->key && !strncmp(at->key, *path, length) &&
			       !at->key[length]))
			at = at->next;
		*path += length;
	}
	if (**path == '.')
		(*path)++;
	return at;
}

const struct source_node *source_find(const struct source_node *root, const char *path)
{
	while (*path) {
		const struct source_node *next = step(root, &path);
		if (!next)
			return root;
		root = next;
	}
	return root;
}

void source_free(struct source_node *root)
{
	if (!root)
		return;
	for (struct source_node *at = root->first, *next; at; at = next) {
		next = at->next;
		source_free(at);
	}
	free(root->key);
	free(root->text);
	free(root);
}

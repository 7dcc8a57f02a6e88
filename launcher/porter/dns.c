/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages: see dns.h.  All reading goes through a reader that never passes
 * its end: after a read too far every further one gives zero and `broken` stays
 * set.
 */
#include "dns.h"

#include <string.h>

#define HEADER 12
#define OPT 11			/* bytes of one without options */
#define LABEL 63
#define POINTER 0xc0
#define HOPS 16			/* CNAME records followed */
#define RECORDS 512		/* of one answer */

#define FLAG_RESPONSE 0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_TRUNCATED 0x0200
#define FLAG_DESIRED 0x0100
#define FLAG_AVAILABLE 0x0080
#define RCODE 0x000f
#define CLASS_IN 1

struct reader {
	const uint8_t *bytes;
	size_t length, at;
	int broken;
};

static const uint8_t *take(struct reader *reader, size_t count)
{
	if (reader->broken || count > reader->length - reader->at) {
		reader->broken = 1;
		return NULL;
	}
	reader->at += count;
	return reader->bytes + reader->at - count;
}

static uint8_t take8(struct reader *reader)
{
	const uint8_t *from = take(reader, 1);

	return from ? *from : 0;
}

static uint16_t take16(struct reader *reader)
{
	const uint8_t *from = take(reader, 2);

	return from ? (uint16_t)(from[0] << 8 | from[1]) : 0;
}

static uint32_t take32(struct reader *reader)
{
	uint32_t high = take16(reader);

	return high << 16 | take16(reader);
}

/* ---- names -------------------------------------------------------------- */

struct name {
	char *text;		/* NAME_SIZE bytes */
	size_t length;
	int odd;
};

static char fold(uint8_t byte, int *odd)
{
	if (byte >= 'A' && byte <= 'Z')
		return (char)(byte - 'A' + 'a');
	if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
	    byte == '-' || byte == '_')
		return (char)byte;
	*odd = 1;
	return '?';
}

/* 253 characters of text are 255 bytes in a message. */
static void add_label(struct reader *reader, size_t count, struct name *name)
{
	const uint8_t *from = take(reader, count);
	size_t dot = name->length ? 1 : 0;

	if (!from || name->length + dot + count >= NAME_SIZE) {
		reader->broken = 1;
		return;
	}
	if (dot)
		name->text[name->length++] = '.';
	for (size_t i = 0; i < count; i++)
		name->text[name->length++] = fold(from[i], &name->odd);
}

/* A name without compression: one question has nothing to point to. */
static void read_plain(struct reader *reader, struct name *name)
{
	for (;;) {
		uint8_t count = take8(reader);
		if (count > LABEL)
			reader->broken = 1;
		if (reader->broken || !count)
			break;
		add_label(reader, count, name);
	}
	name->text[name->length] = 0;
}

/* A name of an answer.  A pointer must lead to before the place it stands in and
 * each to before the last, so that following them ends. */
static void read_name(struct reader *reader, char text[NAME_SIZE])
{
	struct name name = { text, 0, 0 };
	struct reader at = *reader;
	size_t before = at.at;
	int jumped = 0;

	for (;;) {
		uint8_t count = take8(&at);
		if (at.broken || (count > LABEL && (count & POINTER) != POINTER))
			at.broken = 1;
		if (at.broken || !count)
			break;
		if (count <= LABEL) {
			add_label(&at, count, &name);
			continue;
		}
		size_t target = (size_t)(count & ~POINTER) << 8 | take8(&at);
		if (!jumped)
			reader->at = at.at;
		jumped = 1;
		if (at.broken || target >= before || target < HEADER) {
			at.broken = 1;
			break;
		}
		before = at.at = target;
	}
	if (!jumped)
		reader->at = at.at;
	reader->broken |= at.broken;
	text[name.length] = 0;
}

/* ---- questions ----------------------------------------------------------- */

/* The one additional record that may be there.  Its options are not read. */
static int read_opt(struct reader *reader, struct dns_question *question)
{
	uint8_t root = take8(reader);
	uint16_t type = take16(reader), size = take16(reader);
	uint32_t flags = take32(reader);

	take(reader, take16(reader));
	if (reader->broken || root || type != DNS_OPT)
		return DNS_FORMERR;
	question->edns = 1;
	if (size > question->size)
		question->size = size < DNS_UDP_MOST ? size : DNS_UDP_MOST;
	return flags >> 16 & 0xff ? DNS_BADVERS : DNS_NOERROR;
}

int dns_read_question(const uint8_t *bytes, size_t length,
		      struct dns_question *ret_question)
{
	struct dns_question *question = ret_question;
	struct reader reader = { bytes, length, 0, 0 };
	struct name name = { question->name, 0, 0 };

	memset(question, 0, sizeof(*question));
	question->size = DNS_UDP;
	question->id = take16(&reader);
	uint16_t flags = take16(&reader), questions = take16(&reader);
	uint16_t answers = take16(&reader), authorities = take16(&reader);
	uint16_t additional = take16(&reader);
	if (reader.broken || flags & FLAG_RESPONSE)
		return -1;
	question->recursion = (flags & FLAG_DESIRED) != 0;
	if (flags & FLAG_OPCODE)
		return DNS_NOTIMP;
	if (questions != 1 || answers || authorities || additional > 1)
		return DNS_FORMERR;
	read_plain(&reader, &name);
	if (reader.broken)
		return DNS_FORMERR;
	question->odd = (uint8_t)name.odd;
	question->wire_length = (uint8_t)(reader.at - HEADER);
	memcpy(question->wire, bytes + HEADER, question->wire_length);
	question->type = take16(&reader);
	question->class = take16(&reader);
	int code = reader.broken ? DNS_FORMERR : DNS_NOERROR;
	if (!code && additional)
		code = read_opt(&reader, question);
	if (!code && reader.at != length)
		code = DNS_FORMERR;
	if (reader.broken)
		question->wire_length = 0;
	return code;
}

/* ---- questions to a resolver ----------------------------------------------- */

struct writer {
	uint8_t *bytes;
	size_t size, at;
};

static void put16(struct writer *writer, unsigned value)
{
	writer->bytes[writer->at++] = (uint8_t)(value >> 8);
	writer->bytes[writer->at++] = (uint8_t)value;
}

static void put_bytes(struct writer *writer, const void *from, size_t length)
{
	memcpy(writer->bytes + writer->at, from, length);
	writer->at += length;
}

static void put_header(struct writer *writer, unsigned id, unsigned flags,
		       unsigned questions, unsigned answers, unsigned additional)
{
	put16(writer, id);
	put16(writer, flags);
	put16(writer, questions);
	put16(writer, answers);
	put16(writer, 0);
	put16(writer, additional);
}

/* What comes before the options, which are `options` bytes. */
static void put_opt(struct writer *writer, unsigned rcode, size_t options)
{
	writer->bytes[writer->at++] = 0;
	put16(writer, DNS_OPT);
	put16(writer, DNS_UDP_MOST);
	put16(writer, rcode >> 4 << 8);
	put16(writer, 0);
	put16(writer, (unsigned)options);
}

/* The labels of `name`; each letter in upper case whose bit of `dice` is set. */
static void put_name(struct writer *writer, const char *name, const uint8_t *dice)
{
	uint8_t *length = &writer->bytes[writer->at++];

	*length = 0;
	for (size_t i = 0; name[i]; i++) {
		uint8_t byte = (uint8_t)name[i];
		if (byte == '.') {
			length = &writer->bytes[writer->at++];
			*length = 0;
			continue;
		}
		if (byte >= 'a' && byte <= 'z' && dice[i / 8] >> i % 8 & 1)
			byte = (uint8_t)(byte - 'a' + 'A');
		writer->bytes[writer->at++] = byte;
		++*length;
	}
	if (*length)
		writer->bytes[writer->at++] = 0;
}

size_t dns_write_question(uint8_t bytes[DNS_ASKING],
			  const uint8_t dice[DNS_DICE], const char *name,
			  uint16_t type, int edns)
{
	struct writer writer = { bytes, DNS_ASKING, 0 };

	put_header(&writer, (unsigned)dice[0] << 8 | dice[1], FLAG_DESIRED, 1, 0,
		   edns != 0);
	put_name(&writer, name, dice + 2);
	put16(&writer, type);
	put16(&writer, CLASS_IN);
	if (edns)
		put_opt(&writer, DNS_NOERROR, 0);
	return writer.at;
}

int dns_answers(const uint8_t *bytes, size_t length,
		const uint8_t question[DNS_ASKING])
{
	struct reader reader = { bytes, length, 0, 0 };
	size_t end = HEADER;

	while (question[end])
		end += 1U + question[end];
	end += 1 + 4;
	uint16_t id = take16(&reader), flags = take16(&reader);
	uint16_t questions = take16(&reader);
	return length >= end && id == (question[0] << 8 | question[1]) &&
	       (flags & (FLAG_RESPONSE | FLAG_OPCODE)) == FLAG_RESPONSE &&
	       questions == 1 &&
	       !memcmp(bytes + HEADER, question + HEADER, end - HEADER);
}

/* ---- answers of a resolver ------------------------------------------------ */

struct record {
	char owner[NAME_SIZE];
	uint16_t type, class, length;
	uint32_t ttl;
	size_t data;		/* where it begins */
};

static int read_record(struct reader *reader, struct record *ret_record)
{
	struct record *record = ret_record;

	read_name(reader, record->owner);
	record->type = take16(reader);
	record->class = take16(reader);
	record->ttl = take32(reader);
	/* RFC 2181, 8: the top bit set means zero. */
	if (record->ttl >> 31)
		record->ttl = 0;
	record->length = take16(reader);
	record->data = reader->at;
	take(reader, record->length);
	return !reader->broken;
}

static void add_address(const struct reader *reader, const struct record *record,
			struct dns_answer *answer)
{
	size_t length = record->type == DNS_A ? 4 : 16;

	if (record->length != length || answer->count == AMBIT_ANSWERS)
		return;
	uint8_t *to = answer->addresses[answer->count++];
	memset(to, 0, 16);
	if (length == 4)
		to[10] = to[11] = 0xff;
	memcpy(to + 16 - length, reader->bytes + record->data, length);
	if (record->ttl < answer->ttl)
		answer->ttl = record->ttl;
}

/* One pass over the records: takes the addresses of `name`; 1 if it found a
 * CNAME of it instead, which then stands in `name`. */
static int follow(struct reader reader, unsigned count, uint16_t type, char *name,
		  struct dns_answer *answer)
{
	char alias[NAME_SIZE];
	struct record record;

	for (unsigned i = 0; i < count && read_record(&reader, &record); i++) {
		if (record.class != CLASS_IN || strcmp(record.owner, name))
			continue;
		if (record.type == type)
			add_address(&reader, &record, answer);
		if (record.type != DNS_CNAME || answer->count)
			continue;
		struct reader at = reader;
		at.at = record.data;
		at.broken = 0;
		read_name(&at, alias);
		if (at.broken || at.at != record.data + record.length)
			return 0;
		if (record.ttl < answer->ttl)
			answer->ttl = record.ttl;
		memcpy(name, alias, sizeof(alias));
		return 1;
	}
	return 0;
}

int dns_read_answer(const uint8_t *bytes, size_t length, const char *name,
		    uint16_t type, struct dns_answer *ret_answer)
{
	struct reader reader = { bytes, length, 0, 0 };
	char asked[NAME_SIZE];

	memset(ret_answer, 0, sizeof(*ret_answer));
	ret_answer->ttl = UINT32_MAX >> 1;
	take16(&reader);
	uint16_t flags = take16(&reader), questions = take16(&reader);
	unsigned count = take16(&reader);
	take32(&reader);
	read_name(&reader, asked);
	uint16_t asked_type = take16(&reader);
	take16(&reader);
	if (reader.broken || !(flags & FLAG_RESPONSE) || questions != 1 ||
	    asked_type != type || strcmp(asked, name))
		return -1;
	ret_answer->rcode = flags & RCODE;
	ret_answer->truncated = (flags & FLAG_TRUNCATED) != 0;
	struct reader check = reader;
	struct record record;
	for (unsigned i = 0; i < count; i++)
		if (count > RECORDS || !read_record(&check, &record))
			return -1;
	for (int hop = 0; hop < HOPS; hop++)
		if (!follow(reader, count, type, asked, ret_answer))
			break;
	if (!ret_answer->count)
		ret_answer->ttl = 0;
	return 0;
}

/* ---- answers to agents --------------------------------------------------------------- */

static const char *extended_text(enum dns_extended extended)
{
	switch (extended) {
	case DNS_BLOCKED:
		return "the addresses are private or reserved";
	case DNS_PROHIBITED:
		return "no egress entry lists it";
	case DNS_UNSUPPORTED:
		return "only addresses are looked up";
	case DNS_UNREACHABLE:
		return "no resolver answered";
	default:
		return "";
	}
}

static void put_extended(struct writer *writer, enum dns_extended extended)
{
	const char *text = extended_text(extended);
	size_t length = strlen(text);

	put16(writer, 15);	/* RFC 8914 */
	put16(writer, (unsigned)(2 + length));
	put16(writer, extended);
	put_bytes(writer, text, length);
}

static void put_record(struct writer *writer, uint16_t type, uint32_t ttl,
		       const uint8_t address[16])
{
	size_t length = type == DNS_A ? 4 : 16;

	put16(writer, POINTER << 8 | HEADER);	/* the question's name */
	put16(writer, type);
	put16(writer, CLASS_IN);
	put16(writer, ttl >> 16);
	put16(writer, ttl & 0xffff);
	put16(writer, (unsigned)length);
	put_bytes(writer, address + 16 - length, length);
}

size_t dns_write_answer(uint8_t *bytes, size_t size,
			const struct dns_question *question, int rcode,
			const struct dns_answer *answer,
			enum dns_extended extended)
{
	struct writer writer = { bytes, size, 0 };
	int asked = question->wire_length != 0;
	size_t option = extended ? 6 + strlen(extended_text(extended)) : 0;
	size_t fixed = HEADER + (asked ? question->wire_length + 4U : 0) +
		       (question->edns ? OPT + option : 0);
	size_t each = 12 + (question->type == DNS_A ? 4 : 16);
	unsigned count = answer ? answer->count : 0, fits = 0;

	if (fixed > size)
		return 0;
	while (fits < count && fixed + (fits + 1) * each <= size)
		fits++;
	put_header(&writer, question->id,
		   FLAG_RESPONSE | FLAG_AVAILABLE | ((unsigned)rcode & RCODE) |
			   (question->recursion ? FLAG_DESIRED : 0U) |
			   (fits < count ? FLAG_TRUNCATED : 0U),
		   (unsigned)asked, fits, question->edns);
	if (asked) {
		put_bytes(&writer, question->wire, question->wire_length);
		put16(&writer, question->type);
		put16(&writer, question->class);
	}
	for (unsigned i = 0; i < fits; i++)
		put_record(&writer, question->type, answer->ttl,
			   answer->addresses[i]);
	if (question->edns)
		put_opt(&writer, (unsigned)rcode, option);
	if (question->edns && extended)
		put_extended(&writer, extended);
	return writer.at;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever bytes an agent chooses, and whatever a broken kernel or warden sends,
 * a record is one line of valid JSON, and it says what it would have said.
 */
#include "audit_fixture.h"

#include "audit/scan.h"
#include "audit/writer.h"

/* Texts at their worst: full to the last byte, of one kind of byte. */
static void fill(char *place, size_t size, unsigned char byte)
{
	memset(place, byte, size - 1);
	place[size - 1] = 0;
}

#define FILL(text, byte) fill((text), sizeof(text), (byte))

static void worst_case(unsigned char byte)
{
	struct audit_node bad_node = node;
	struct ambit_open bad = agent;
	struct ambit_endpoint bad_endpoint = endpoint;
	struct ambit_record record = record_make();
	size_t longest = 0;

	FILL(bad_node.hostname, byte);
	FILL(bad.id, byte);
	FILL(bad.name, byte);
	FILL(bad.profile, byte);
	FILL(bad.profile_sha256, byte);
	FILL(bad.spiffe_id, byte);
	FILL(bad.task, byte);
	FILL(bad.owner, byte);
	FILL(bad.purpose, byte);
	FILL(bad_endpoint.to, byte);
	FILL(bad_endpoint.tool, byte);
	memset(record.comm, byte, sizeof(record.comm));
	memset(record.path, byte, sizeof(record.path));
	record.attempt = AMBIT_ATTEMPT_UNIX_SEND;
	record.path_length = 255;
	record.verdict = AMBIT_DENIED;
	record.kseq = record.ktime_ns = record.cgroup_id = UINT64_MAX;
	const struct audit_connection made = { &record, &bad, &bad_endpoint };
	for (int is_unix = 0; is_unix < 2; is_unix++) {
		size_t length = audit_connection(line, &bad_node, &stamp, &made);
		json_t *object = parse(length);
		ok(object != NULL, "connection full of 0x%02x, %zu bytes", byte,
		   length);
		json_decref(object);
		if (length > longest)
			longest = length;
		record.path_length = 0;
		record.attempt = AMBIT_ATTEMPT_CONNECT;
	}
	for (unsigned kind = 1; kind <= AMBIT_EVENT_ADOPTED; kind++) {
		struct ambit_event event = event_make(kind);
		struct audit_totals totals = { UINT64_MAX, UINT64_MAX, UINT64_MAX,
					       UINT64_MAX, UINT64_MAX };
		FILL(event.profile, byte);
		FILL(event.profile_sha256, byte);
		FILL(event.command, byte);
		event.command[0] = '/';
		FILL(event.command_sha256, byte);
		FILL(event.reason, byte);
		FILL(event.credential, byte);
		FILL(event.credential_type, byte);
		FILL(event.credential_id, byte);
		FILL(event.audience, byte);
		FILL(event.seccomp_sha256, byte);
		FILL(event.subject, byte);
		size_t length = audit_event(line, &bad_node, &stamp, &event, &bad,
					    &totals);
		json_t *object = parse(length);
		if (!object)
			ok(0, "event %u full of 0x%02x", kind, byte);
		json_decref(object);
		if (length > longest)
			longest = length;
	}
	ok(longest <= AUDIT_LINE, "full of 0x%02x: %zu bytes at most", byte,
	   longest);
}

/* Any bytes at all, as a broken kernel or warden might send them. */
static void random_bytes(void)
{
	unsigned seed = 20261009;
	int good = 1;

	for (int round = 0; round < 5000 && good; round++) {
		struct ambit_record record;
		struct ambit_event event;
		struct ambit_open open;
		struct ambit_endpoint to;
		unsigned char *places[] = { (void *)&record, (void *)&event,
					    (void *)&open, (void *)&to };
		size_t sizes[] = { sizeof(record), sizeof(event), sizeof(open),
				   sizeof(to) };
		for (int i = 0; i < 4; i++)
			for (size_t j = 0; j < sizes[i]; j++)
				places[i][j] = (unsigned char)(
					(seed = seed * 1664525 + 1013904223) >> 21 &
					0xff);
		event.kind = 1 + event.kind % AMBIT_EVENT_ADOPTED;
		const struct audit_connection made = { &record,
						       round & 1 ? &open : NULL,
						       round & 2 ? &to : NULL };
		size_t length = audit_connection(line, &node, &stamp, &made);
		json_t *object = parse(length);
		good = good && object && memchr(line, '\n', length) ==
						 line + length - 1;
		struct audit_scanned scanned;
		good = good && !audit_scan(line, length - 1, &scanned) &&
		       scanned.connection && scanned.kseq == (record.kseq > INT64_MAX ?
			       INT64_MAX : record.kseq) &&
		       scanned.instance == record.instance && scanned.sequence == 42;
		json_decref(object);
		length = audit_event(line, &node, &stamp, &event,
				     round & 1 ? &open : NULL, NULL);
		object = parse(length);
		good = good && object && memchr(line, '\n', length) ==
						 line + length - 1;
		json_decref(object);
	}
	ok(good, "5000 records and events of random bytes are lines");
}

static void forgery(void)
{
	struct ambit_record record = record_make();
	struct audit_scanned scanned;
	struct ambit_open forger = agent;

	snprintf(record.comm, sizeof(record.comm), "%s", "x\"}\n{\"time\":1");
	snprintf(forger.task, sizeof(forger.task), "%s",
		 "\",\"sequence\":7,\"unmapped\":{\"record\":\"connection\"");
	const struct audit_connection made = { &record, &forger, NULL };
	size_t length = audit_connection(line, &node, &stamp, &made);
	json_t *object = parse(length);
	is_string(text(object, "actor.process.name"), "x\"}\n{\"time\":1",
		  "a name with quotes and a newline stays a name");
	is_string(text(object, "unmapped.task"), forger.task, "so does a task");
	is_int(audit_scan(line, length - 1, &scanned), 0, "scanned");
	is_int((long long)scanned.sequence, 42, "its own sequence, not the forged");
	is_int((long long)scanned.kseq, 9, "its own number");
	json_decref(object);
}

static void truncation(void)
{
	struct ambit_event event = event_make(AMBIT_EVENT_REFUSAL);

	FILL(event.reason, 0x01);
	json_t *object = parse(audit_event(line, &node, &stamp, &event, &agent,
					   NULL));
	is_string(json_string_value(json_array_get(json_object_get(
			  json_object_get(object, "unmapped"), "truncated"), 0)),
		  "status_detail", "a shortened text is named");
	json_decref(object);
	FILL(event.reason, 'x');
	object = parse(audit_event(line, &node, &stamp, &event, &agent, NULL));
	is_int((long long)strlen(text(object, "status_detail")),
	       sizeof(event.reason) - 1, "a plain reason is whole");
	ok(!json_object_get(json_object_get(object, "unmapped"), "truncated"),
	   "and nothing is named");
	json_decref(object);
}

static void utf8(void)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x90\x8c", "\xe2\x82\xac \xf0\x9f\x90\x8c" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf0\x8f\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },
		{ "\x1b[31m\x7f\xc2\x9b", "\x1b[31m\x7f\xc2\x9b" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct writer writer;
		/* Against the end of an allocation: over-reads are caught. */
		size_t length = strlen(cases[i].in);
		char *copy = malloc(length);
		memcpy(copy, cases[i].in, length);
		writer_begin(&writer, line, sizeof(line));
		writer_string_open(&writer, "t");
		writer_part_bytes(&writer, "t", copy, length, 1000);
		writer_string_close(&writer);
		json_t *object = parse(writer_finish(&writer));
		is_string(text(object, "t"), cases[i].out, "text %zu", i);
		json_decref(object);
		free(copy);
	}
	struct writer writer;
	char small[16];
	writer_begin(&writer, small, sizeof(small));
	writer_word(&writer, "key", "longer than the buffer");
	is_int((long long)writer_finish(&writer), 0, "overflow is noticed");
}

int main(void)
{
	static const unsigned char bytes[] = { 'a', '"', 0x01, 0x7f, 0xff, 0xc3,
					       '/', '\n' };

	for (size_t i = 0; i < sizeof(bytes); i++)
		worst_case(bytes[i]);
	random_bytes();
	forgery();
	truncation();
	utf8();
	return done_testing();
}

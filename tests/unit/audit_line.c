/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of record becomes one line of valid JSON with what OCSF 1.8.0 and
 * ambit-audit(5) require, whatever bytes the agent chose.
 */
#include "audit/writer.h"
#include "audit/line.h"
#include "audit/scan.h"
#include "tap.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct audit_node node = {
	"host.example.com", "0123456789abcdef0123456789abcdef",
	"11111111-2222-4333-8444-555555555555",
};

static const struct audit_stamp stamp = {
	.sequence = 42, .time_ms = 1790000000123, .logged_ms = 1790000000125,
	.uid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
};

static const struct ambit_open agent = {
	.instance = 0x8000000000000001, .cgroup_id = 77, .slot = 16, .uid = 2000000016,
	.id = "01890000-0000-7000-8000-000000000001", .name = "support-1",
	.profile = "support-agent",
	.profile_sha256 =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	.spiffe_id = "spiffe://example.com/agent/support-agent",
	.task = "case-7", .owner = "team@example.com", .purpose = "tests",
};

static const struct ambit_endpoint endpoint = {
	.instance = 0x8000000000000001, .id = 3, .to = "crm.example.com", .tool = "crm",
};

static struct ambit_record record_make(void)
{
	struct ambit_record record = {
		.instance = 0x8000000000000001, .kseq = 9, .ktime_ns = 123456789,
		.cgroup_id = 77, .socket_cookie = 5, .slot = 16, .pid = 4711,
		.uid = 2000000016, .rule = 3, .port = 443, .local_port = 50000,
		.attempt = AMBIT_ATTEMPT_CONNECT, .verdict = AMBIT_ALLOWED,
		.reason = AMBIT_REASON_RULE, .protocol = 6, .family = 2,
		.address = { [10] = 0xff, 0xff, 203, 0, 113, 7 },
		.local_address = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
		.comm = "python3",
	};
	return record;
}

static char line[AUDIT_LINE];

/* One line, parsed; NULL if it is not one. */
static json_t *parse(size_t length)
{
	json_error_t why;

	if (length == 0 || length > AUDIT_LINE || line[length - 1] != '\n')
		return NULL;
	for (size_t i = 0; i + 1 < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return NULL;
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
	if (!object)
		diag("%s at %d: %.*s", why.text, why.position, (int)length, line);
	return object;
}

static const char *text(const json_t *object, const char *path)
{
	char key[64];
	while (object && *path) {
		size_t length = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		object = json_object_get(object, key);
		path += length + (path[length] == '.');
	}
	return json_string_value(object);
}

static long long number(const json_t *object, const char *path)
{
	char key[64];
	while (object && *path) {
		size_t length = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		object = json_object_get(object, key);
		path += length + (path[length] == '.');
	}
	return json_is_integer(object) ? json_integer_value(object) : -1;
}

static const char *missing(const json_t *object)
{
	static const char *const numbers[] = {
		"activity_id", "category_uid", "class_uid", "type_uid", "time",
		"severity_id", "status_id", "action_id", "disposition_id",
		"metadata.sequence", "metadata.logged_time", "device.type_id",
	};
	static const char *const texts[] = {
		"message", "metadata.version", "metadata.product.name",
		"metadata.uid", "device.hostname", "device.uid",
		"unmapped.boot_id", "unmapped.record", "unmapped.instance",
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (number(object, numbers[i]) < 0)
			return numbers[i];
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!text(object, texts[i]))
			return texts[i];
	if (number(object, "type_uid") != number(object, "class_uid") * 100 +
						 number(object, "activity_id"))
		return "type_uid that fits";
	if (number(object, "category_uid") != number(object, "class_uid") / 1000)
		return "category_uid that fits";
	if (strcmp(text(object, "metadata.version"), "1.8.0"))
		return "version 1.8.0";
	if (json_array_size(json_object_get(json_object_get(object, "metadata"),
					    "profiles")) != 2)
		return "profiles";
	/* The class's own. */
	switch (number(object, "class_uid")) {
	case 1007:
		return !json_object_get(object, "process") ? "process" :
		       !json_object_get(object, "actor") ? "actor" : NULL;
	case 1008:
		return text(object, "log_name") ? NULL : "log_name";
	case 2003:
		return text(object, "compliance.control") &&
		       text(object, "finding_info.uid") ? NULL : "compliance";
	case 3004:
		return text(object, "entity.name") || text(object, "entity.uid") ?
			       NULL : "entity";
	case 4001:
		return number(object, "connection_info.direction_id") < 0 ?
			       "direction_id" : NULL;
	default:
		return "class of ours";
	}
}

static json_t *connection(const struct ambit_record *record, int known)
{
	const struct audit_connection made = { record, known ? &agent : NULL,
					       known ? &endpoint : NULL };
	return parse(audit_connection(line, &node, &stamp, &made));
}

static void allowed_and_denied(void)
{
	struct ambit_record record = record_make();
	json_t *object = connection(&record, 1);

	is_string(missing(object), NULL, "allowed: nothing is missing");
	is_int(number(object, "type_uid"), 400101, "allowed: Open");
	is_int(number(object, "action_id"), 1, "allowed: action");
	is_int(number(object, "time"), 1790000000123, "time");
	is_string(text(object, "dst_endpoint.ip"), "203.0.113.7", "address");
	is_string(text(object, "dst_endpoint.hostname"), "crm.example.com", "host");
	is_string(text(object, "dst_endpoint.svc_name"), "crm", "tool");
	is_int(number(object, "dst_endpoint.port"), 443, "port");
	is_string(text(object, "src_endpoint.ip"), "192.0.2.1", "source");
	is_string(text(object, "firewall_rule.uid"), "egress[3]", "rule");
	is_string(text(object, "policy.version"), agent.profile_sha256, "policy");
	is_string(text(object, "actor.user.uid"), agent.spiffe_id, "actor");
	is_string(text(object, "metadata.correlation_uid"), agent.id, "run id");
	is_string(text(object, "unmapped.stream"), agent.id, "stream");
	is_string(text(object, "unmapped.task"), "case-7", "task");
	is_int(number(object, "unmapped.kseq"), 9, "kseq");
	is_int(number(object, "connection_info.protocol_ver_id"), 4, "IPv4");
	is_string(text(object, "metadata.uid"),
		  "11111111-2222-4333-8444-555555555555/"
		  "01890000-0000-7000-8000-000000000001/9", "uid");
	is_string(text(object, "message"), "connect to crm.example.com at "
		  "203.0.113.7 port 443/tcp allowed: an entry allows it",
		  "message");
	json_decref(object);

	record.verdict = AMBIT_DENIED;
	record.reason = AMBIT_REASON_NO_RULE;
	record.rule = AMBIT_NO_RULE;
	const struct audit_connection made = { &record, &agent, NULL };
	object = parse(audit_connection(line, &node, &stamp, &made));
	is_string(missing(object), NULL, "denied: nothing is missing");
	is_int(number(object, "type_uid"), 400105, "denied: Refuse");
	is_int(number(object, "action_id"), 2, "denied: action");
	is_int(number(object, "disposition_id"), 26, "denied: Unauthorized");
	is_int(number(object, "status_id"), 2, "denied: failure");
	is_string(text(object, "status_code"), "EPERM", "denied: errno");
	is_string(text(object, "status_detail"), "no entry allows it", "reason");
	is_string(text(object, "unmapped.reason"), "NO_RULE", "typed reason");
	ok(json_is_true(json_object_get(object, "is_alert")), "denied: alert");
	ok(!json_object_get(object, "firewall_rule"), "denied: no rule");
	json_decref(object);

	record.reason = AMBIT_REASON_CUT;
	object = connection(&record, 0);
	is_string(missing(object), NULL, "unknown agent: nothing is missing");
	is_int(number(object, "disposition_id"), 2, "cut: Blocked");
	is_string(text(object, "unmapped.stream"), "instance-9223372036854775809",
		  "unknown agent: stream");
	is_string(text(object, "actor.process.name"), "python3",
		  "unknown agent: process");
	json_decref(object);
}

static void every_attempt(void)
{
	for (unsigned attempt = 0; attempt < 12; attempt++)
		for (unsigned reason = 0; reason < 16; reason++)
			for (unsigned verdict = 0; verdict < 2; verdict++) {
				struct ambit_record record = record_make();
				record.attempt = (uint8_t)attempt;
				record.reason = (uint8_t)reason;
				record.verdict = (uint8_t)verdict;
				json_t *object = connection(&record, attempt & 1);
				if (!object || missing(object))
					ok(0, "attempt %u reason %u verdict %u: %s",
					   attempt, reason, verdict,
					   object ? missing(object) : "no JSON");
				json_decref(object);
			}
	ok(1, "every attempt, reason and verdict");

	struct ambit_record record = record_make();
	record.attempt = AMBIT_ATTEMPT_BIND;
	json_t *object = connection(&record, 1);
	is_int(number(object, "type_uid"), 400107, "bind: Listen");
	is_int(number(object, "connection_info.direction_id"), 1, "bind: inbound");
	is_string(text(object, "firewall_rule.uid"), "listen[3]", "bind: rule");
	json_decref(object);

	record = record_make();
	record.attempt = AMBIT_ATTEMPT_UNIX_CONNECT;
	memcpy(record.path, "\0x\n\"\0y", 6);
	record.path_length = 6;
	object = connection(&record, 1);
	is_string(text(object, "dst_endpoint.name"), "@x\n\"\xef\xbf\xbdy",
		  "abstract name");
	ok(!json_object_get(json_object_get(object, "dst_endpoint"), "ip"),
	   "unix: no address");
	json_decref(object);

	record = record_make();
	memcpy(record.address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	record.family = 10;
	object = connection(&record, 1);
	is_string(text(object, "dst_endpoint.ip"), "2001:db8::1", "IPv6");
	is_int(number(object, "connection_info.protocol_ver_id"), 6, "IPv6");
	json_decref(object);
}

static struct ambit_event event_make(unsigned kind)
{
	struct ambit_event event = {
		.token = 1, .instance = agent.instance, .time_ms = 1790000000000,
		.not_before = 1790000000, .not_after = 1790003600, .kind = kind,
		.caller_uid = 1000, .caller_pid = 99, .pid = 4711,
		.profile = "support-agent", .command = "/usr/bin/python3",
		.reason = "because", .credential = "crm",
		.credential_type = "jwt-svid", .credential_id = "abc",
		.audience = "https://crm.example.com", .subject = "seccomp",
	};
	return event;
}

static void every_event(void)
{
#define ROW(name, number, word, critical) { AMBIT_EVENT_##name, #name },
	static const struct { unsigned kind; const char *name; } kinds[] = {
		AMBIT_EVENTS(ROW)
	};
#undef ROW
	static const int types[] = { 100806, 100807, 200301, 100702, 100701,
				     100701, 100702, 100702, 300407, 300409,
				     300408, 300401, 300403, 300404, 300499 };
	const struct audit_totals totals = { 5, 2, 2, 1, 3 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct ambit_event event = event_make(kinds[i].kind);
		json_t *object = parse(audit_event(line, &node, &stamp, &event,
						   &agent, &totals));
		is_string(object ? missing(object) : "JSON", NULL,
			  "%s: nothing is missing", kinds[i].name);
		is_int(number(object, "type_uid"), types[i], "%s: type",
		       kinds[i].name);
		is_string(text(object, "status_detail"), "because", "%s: reason",
			  kinds[i].name);
		json_decref(object);

		/* The least there can be. */
		struct ambit_event empty = { .kind = kinds[i].kind };
		object = parse(audit_event(line, &node, &stamp, &empty, NULL, NULL));
		ok(object != NULL, "%s without anything is JSON", kinds[i].name);
		json_decref(object);
	}
	struct ambit_event event = event_make(AMBIT_EVENT_REFUSAL);
	json_t *object = parse(audit_event(line, &node, &stamp, &event, NULL, NULL));
	is_int(number(object, "status_id"), 2, "refusal: failure");
	is_int(number(object, "action_id"), 2, "refusal: denied");
	is_int(number(object, "disposition_id"), 2, "refusal: blocked");
	is_string(text(object, "unmapped.profile"), "support-agent",
		  "refusal: the profile of the event");
	is_string(text(object, "actor.user.uid"), "1000", "refusal: who asked");
	json_decref(object);

	event = event_make(AMBIT_EVENT_EXIT);
	event.exit_code = -3;
	object = parse(audit_event(line, &node, &stamp, &event, &agent, &totals));
	is_int(json_integer_value(json_object_get(object, "exit_code")), -3,
	       "exit code");
	is_int(number(object, "unmapped.denied"), 2, "exit: totals");
	json_decref(object);

	event = event_make(AMBIT_EVENT_CREDENTIAL_ISSUED);
	object = parse(audit_event(line, &node, &stamp, &event, &agent, NULL));
	is_string(text(object, "entity.data.audience"), "https://crm.example.com",
		  "credential: audience");
	is_int(number(json_object_get(json_object_get(object, "entity"), "data"),
		      "not_after"), 1790003600, "credential: end");
	json_decref(object);
}

static void every_notice(void)
{
	for (int kind = 0; kind < AUDIT_NOTICE_COUNT; kind++) {
		struct audit_notice notice = {
			.kind = (enum audit_notice_kind)kind,
			.agent = kind & 1 ? &agent : NULL,
			.instance = 7, .message = "words", .error = kind ? 28 : 0,
			.numbers = { { "count", 3 }, { "kseq_before", 9 },
				     { "lost_total", 4 } },
		};
		size_t length = audit_notice(line, &node, &stamp, &notice);
		json_t *object = parse(length);
		is_string(object ? missing(object) : "JSON", NULL,
			  "notice %d: nothing is missing", kind);
		is_int(number(object, "unmapped.count"), 3, "notice %d: number",
		       kind);
		json_decref(object);
		if (kind != AUDIT_NOTICE_LOSS)
			continue;
		struct audit_scanned scanned;
		is_int(audit_scan(line, length - 1, &scanned), 0, "loss: scanned");
		ok(scanned.loss && scanned.kseq == 9 && scanned.lost_total == 4 &&
		   scanned.instance == 7, "loss: what it says");
	}
}

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

	for (int round = 0; round < 20000 && good; round++) {
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
	ok(good, "20000 records and events of random bytes are lines");
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

static void scanning(void)
{
	struct audit_scanned scanned;
	static const char *const bad[] = {
		"", "{", "{}", "{\"sequence\":}", "x{\"sequence\":1}",
		"{\"sequence\":1", "{\"sequence\":99999999999999999999999}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(audit_scan(bad[i], strlen(bad[i]), &scanned) < 0,
		   "no line: %s", bad[i]);
	is_int(audit_scan("{\"sequence\":5}", 14, &scanned), 0, "the least line");
	ok(audit_scan("{\"sequence\":5,\0}", 16, &scanned) < 0, "a zero");

	/* Every prefix of a real line is refused, and nothing is over-read. */
	struct ambit_record record = record_make();
	const struct audit_connection made = { &record, &agent, &endpoint };
	size_t length = audit_connection(line, &node, &stamp, &made) - 1;
	int good = 1;
	for (size_t cut = 0; cut < length; cut++) {
		char *copy = malloc(cut ? cut : 1);
		memcpy(copy, line, cut);
		if (!audit_scan(copy, cut, &scanned)) {
			/* Only where an inner object happens to end. */
			good = good && line[cut - 1] == '}';
		}
		free(copy);
	}
	ok(good, "every prefix of a line is scanned safely");
}

int main(void)
{
	allowed_and_denied();
	every_attempt();
	every_event();
	every_notice();
	static const unsigned char bytes[] = { 'a', '"', 0x01, 0x7f, 0xff, 0xc3,
					       '/', '\n' };
	for (size_t i = 0; i < sizeof(bytes); i++)
		worst_case(bytes[i]);
	random_bytes();
	forgery();
	truncation();
	utf8();
	scanning();
	return done_testing();
}

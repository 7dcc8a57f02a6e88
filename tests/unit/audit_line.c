/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of record becomes one line of valid JSON with what OCSF 1.8.0 and
 * ambit-audit(5) require.
 */
#include "audit_fixture.h"

#include "audit/scan.h"

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
	record.attempt = AMBIT_ATTEMPT_TLS;
	record.verdict = AMBIT_DENIED;
	record.reason = AMBIT_REASON_TLS_NAME;
	memcpy(record.path, "evil\n\".example", 14);
	record.path_length = 14;
	record.truncated = 1;
	object = connection(&record, 1);
	is_string(text(object, "unmapped.server_name"), "evil\n\".example",
		  "TLS: the name seen");
	ok(json_is_true(json_object_get(json_object_get(object, "unmapped"),
					"server_name_truncated")),
	   "TLS: shortened");
	is_string(text(object, "status_code"), "ECONNABORTED",
		  "TLS: what the client gets");
	ok(*text(object, "dst_endpoint.ip"), "TLS: the address is there");
	json_decref(object);

	record = record_make();
	memcpy(record.address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	record.family = 10;
	object = connection(&record, 1);
	is_string(text(object, "dst_endpoint.ip"), "2001:db8::1", "IPv6");
	is_int(number(object, "connection_info.protocol_ver_id"), 6, "IPv6");
	json_decref(object);
}

static void every_event(void)
{
#define ROW(name, number, word) { AMBIT_EVENT_##name, #name },
	static const struct { unsigned kind; const char *name; } kinds[] = {
		AMBIT_EVENTS(ROW)
	};
#undef ROW
	static const int types[] = { 100806, 100807, 200301, 100702, 100701,
				     100701, 100702, 100702, 300407, 300409,
				     300408, 300401, 300403, 300404, 300499, 300409,
				     300403 };
	_Static_assert(sizeof(types) / sizeof(*types) ==
			       sizeof(kinds) / sizeof(*kinds), "a type for each");
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
		const char *lack = object ? missing(object) : "JSON";
		/* A profile without a name can't be named. */
		ok(!lack || !strcmp(lack, "entity"),
		   "%s without anything: nothing is missing", kinds[i].name);
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
	scanning();
	return done_testing();
}

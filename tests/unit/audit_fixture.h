/* SPDX-License-Identifier: Apache-2.0 */
/* One agent, one record, one event, and reading lines back: for audit_*.c. */
#ifndef AUDIT_FIXTURE_H
#define AUDIT_FIXTURE_H

#include "audit/line.h"
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

static inline struct ambit_record record_make(void)
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
static inline json_t *parse(size_t length)
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

static inline const char *text(const json_t *object, const char *path)
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

static inline long long number(const json_t *object, const char *path)
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

static inline struct ambit_event event_make(unsigned kind)
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

#endif

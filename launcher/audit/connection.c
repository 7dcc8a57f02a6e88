/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt of the kernel's to one line: OCSF Network Activity.  Pure; called
 * by the recorder for every record of the ring, so that it formats by hand.
 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define SIZED(text) (text), sizeof(text)

static const char *const attempt_words[] = {
#define WORD(name, number, word) [number] = word,
	AMBIT_ATTEMPTS(WORD)
#undef WORD
};

static const struct reason_row {
	const char *name, *explanation;
} reason_rows[] = {
#define REASON(name, number, explanation) [number] = { #name, explanation },
	AMBIT_REASONS(REASON)
#undef REASON
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *attempt_word(const struct ambit_record *record)
{
	if (record->attempt < COUNT(attempt_words) &&
	    attempt_words[record->attempt])
		return attempt_words[record->attempt];
	return "unknown attempt";
}

static struct reason_row reason_row(const struct ambit_record *record)
{
	if (record->reason < COUNT(reason_rows) &&
	    reason_rows[record->reason].name)
		return reason_rows[record->reason];
	return (struct reason_row){ "UNKNOWN", "unknown reason" };
}

static int is_unix(const struct ambit_record *record)
{
	return record->attempt == AMBIT_ATTEMPT_UNIX_CONNECT ||
	       record->attempt == AMBIT_ATTEMPT_UNIX_SEND || record->path_length;
}

static int is_mapped(const uint8_t address[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(address, prefix, sizeof(prefix));
}

static int is_zero(const uint8_t address[16])
{
	static const uint8_t zero[16];

	return !memcmp(address, zero, sizeof(zero));
}

static void part_address(struct json *json, const uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN];

	if (!is_mapped(address)) {
		if (inet_ntop(AF_INET6, address, text, sizeof(text)))
			json_part_word(json, text);
		return;
	}
	for (int i = 12; i < 16; i++) {
		if (i > 12)
			json_part_word(json, ".");
		json_part_number(json, address[i]);
	}
}

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return NULL;
	}
}

/* The path of a unix attempt; an abstract name begins with a zero, which is
 * shown as everywhere: @. */
static void part_path(struct json *json, const struct ambit_record *record)
{
	size_t length = record->path_length;
	const char *path = record->path;

	if (length > sizeof(record->path))
		length = sizeof(record->path);
	if (length && path[0] == 0) {
		json_part_word(json, "@");
		path++;
		length--;
	}
	json_part_bytes(json, "path", path, length, BUDGET_PATH);
}

/* A profile's "to" is a name when it is no address, block or unix path. */
static int is_name(const char *to)
{
	int letters = 0;

	for (const char *at = to; *at; at++) {
		if (*at == '/' || *at == ':' || *at == '*')
			return 0;
		if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
			letters = 1;
	}
	return letters;
}

static void put_message(struct json *json,
			const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const char *protocol = protocol_name(record->protocol);

	json_string_open(json, "message");
	json_part_word(json, attempt_word(record));
	if (is_unix(record)) {
		json_part_word(json, " to ");
		part_path(json, record);
	} else if (record->attempt == AMBIT_ATTEMPT_BIND) {
		json_part_word(json, " to port ");
		json_part_number(json, record->port);
	} else if (!is_zero(record->address) || record->port) {
		json_part_word(json, " to ");
		if (connection->endpoint && is_name(connection->endpoint->to)) {
			json_part_text(json, "to",
				       SIZED(connection->endpoint->to),
				       BUDGET_NAME);
			json_part_word(json, " at ");
		}
		part_address(json, record->address);
		json_part_word(json, " port ");
		json_part_number(json, record->port);
	}
	if (protocol) {
		json_part_word(json, "/");
		json_part_word(json, protocol);
	}
	json_part_word(json, record->verdict == AMBIT_ALLOWED ? " allowed: " :
								" denied: ");
	json_part_word(json, reason_row(record).explanation);
	json_string_close(json);
}

static void put_endpoint(struct json *json, const char *key,
			 const uint8_t address[16], uint16_t port)
{
	json_open(json, key);
	json_string_open(json, "ip");
	part_address(json, address);
	json_string_close(json);
	if (port)
		json_number(json, "port", port);
}

static void put_destination(struct json *json,
			    const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const struct ambit_endpoint *endpoint = connection->endpoint;

	if (is_unix(record)) {
		json_open(json, "dst_endpoint");
		json_string_open(json, "name");
		part_path(json, record);
		json_string_close(json);
	} else {
		put_endpoint(json, "dst_endpoint", record->address, record->port);
		if (endpoint && is_name(endpoint->to))
			json_text(json, "hostname", SIZED(endpoint->to),
				  BUDGET_TEXT);
	}
	if (endpoint)
		json_text(json, "svc_name", SIZED(endpoint->tool), BUDGET_NAME);
	json_close(json);
}

static void put_connection_info(struct json *json,
				const struct ambit_record *record)
{
	const char *protocol = protocol_name(record->protocol);
	int bind = record->attempt == AMBIT_ATTEMPT_BIND;

	json_open(json, "connection_info");
	json_string_open(json, "uid");
	json_part_number(json, record->socket_cookie);
	json_string_close(json);
	json_number(json, "direction_id", bind ? 1 : 2);
	json_word(json, "direction", bind ? "Inbound" : "Outbound");
	if (record->protocol)
		json_number(json, "protocol_num", record->protocol);
	if (protocol)
		json_word(json, "protocol_name", protocol);
	/* By the socket's family; an agent may reach IPv4 through either. */
	if (record->family == AF_INET || record->family == AF_INET6)
		json_number(json, "protocol_ver_id",
			    is_mapped(record->address) ? 4 : 6);
	json_close(json);
}

static void put_rule(struct json *json,
		     const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;

	if (record->rule == AMBIT_NO_RULE)
		return;
	json_open(json, "firewall_rule");
	json_string_open(json, "uid");
	json_part_word(json, record->attempt == AMBIT_ATTEMPT_BIND ? "listen[" :
								     "egress[");
	json_part_number(json, record->rule);
	json_part_word(json, "]");
	json_string_close(json);
	if (connection->endpoint)
		json_text(json, "name", SIZED(connection->endpoint->to),
			  BUDGET_TEXT);
	json_close(json);
}

static struct common_shape shape_of(const struct ambit_record *record)
{
	struct common_shape shape = {
		COMMON_CLASS_NETWORK, 1, "Open", 1, 1, 1, 1,
	};

	if (record->verdict != AMBIT_ALLOWED) {
		shape.activity = 5;
		shape.activity_name = "Refuse";
		shape.action = 2;
		shape.disposition = record->reason == AMBIT_REASON_NO_RULE ? 26 : 2;
		shape.severity = 3;
		shape.status = 2;
	} else if (record->attempt == AMBIT_ATTEMPT_BIND) {
		shape.activity = 7;
		shape.activity_name = "Listen";
	}
	return shape;
}

static void put_unmapped(struct json *json, const struct audit_node *node,
			 const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;

	common_open_unmapped(json, "connection", node, connection->agent,
			     record->instance, record);
	json_word(json, "attempt", attempt_word(record));
	json_word(json, "reason", reason_row(record).name);
	if (connection->endpoint)
		json_text(json, "tool", SIZED(connection->endpoint->tool),
			  BUDGET_NAME);
	if (record->attempt == AMBIT_ATTEMPT_OPTION) {
		json_number(json, "option_level", record->option_level);
		json_number(json, "option_name", record->option_name);
	}
	json_number(json, "family", record->family);
	json_number(json, "lost", record->lost);
}

size_t audit_connection(char line[AUDIT_LINE], const struct audit_node *node,
			const struct audit_stamp *stamp,
			const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const struct common_shape shape = shape_of(record);
	struct json json;

	json_begin(&json, line, AUDIT_LINE);
	common_head(&json, &shape, stamp->time_ms);
	if (shape.status == 2) {
		/* What the agent's call returned. */
		json_word(&json, "status_code", "EPERM");
		json_word(&json, "status_detail", reason_row(record).explanation);
		json_true(&json, "is_alert");
	}
	put_message(&json, connection);
	common_metadata(&json, node, stamp, connection->agent, record);
	common_agent_actor(&json, connection->agent, record);
	if (!is_unix(record) && !is_zero(record->local_address)) {
		put_endpoint(&json, "src_endpoint", record->local_address,
			     record->local_port);
		json_close(&json);
	}
	put_destination(&json, connection);
	put_connection_info(&json, record);
	if (connection->agent)
		common_policy(&json, connection->agent->profile,
			      connection->agent->profile_sha256);
	put_rule(&json, connection);
	put_unmapped(&json, node, connection);
	return common_finish(&json);
}

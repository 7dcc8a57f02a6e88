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
	       record->attempt == AMBIT_ATTEMPT_UNIX_SEND ||
	       (record->path_length && record->attempt != AMBIT_ATTEMPT_TLS);
}

static int is_zero(const uint8_t address[16])
{
	static const uint8_t zero[16];

	return !memcmp(address, zero, sizeof(zero));
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

/* The path of a unix attempt, the server name of a TLS one; an abstract name
 * begins with a zero, which is shown as everywhere: @. */
static void part_path(struct writer *writer, const struct ambit_record *record)
{
	size_t length = record->path_length;
	const char *path = record->path;

	if (length > sizeof(record->path))
		length = sizeof(record->path);
	if (length && path[0] == 0) {
		writer_part_word(writer, "@");
		path++;
		length--;
	}
	writer_part_bytes(writer, "path", path, length, BUDGET_PATH);
}

/* A profile's "to" is a name when it is no address, block or unix path. */
static int is_name(const char to[AMBIT_TEXT_SIZE])
{
	int letters = 0;

	for (const char *at = to; at < to + AMBIT_TEXT_SIZE && *at; at++) {
		if (*at == '/' || *at == ':' || *at == '*')
			return 0;
		if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
			letters = 1;
	}
	return letters;
}

static void put_message(struct writer *writer,
			const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const char *protocol = protocol_name(record->protocol);

	writer_string_open(writer, "message");
	writer_part_word(writer, attempt_word(record));
	if (is_unix(record)) {
		writer_part_word(writer, " to ");
		part_path(writer, record);
	} else if (record->attempt == AMBIT_ATTEMPT_BIND) {
		writer_part_word(writer, " to port ");
		writer_part_number(writer, record->port);
	} else if (!is_zero(record->address) || record->port) {
		writer_part_word(writer, " to ");
		if (connection->endpoint && is_name(connection->endpoint->to)) {
			writer_part_text(writer, "to",
				       SIZED(connection->endpoint->to),
				       BUDGET_NAME);
			writer_part_word(writer, " at ");
		}
		common_address(writer, record->address);
		writer_part_word(writer, " port ");
		writer_part_number(writer, record->port);
	}
	if (protocol) {
		writer_part_word(writer, "/");
		writer_part_word(writer, protocol);
	}
	writer_part_word(writer, record->verdict == AMBIT_ALLOWED ? " allowed: " :
								" denied: ");
	writer_part_word(writer, reason_row(record).explanation);
	if (record->attempt == AMBIT_ATTEMPT_TLS && record->path_length) {
		writer_part_word(writer, ": ");
		part_path(writer, record);
	}
	writer_string_close(writer);
}

static void put_endpoint(struct writer *writer, const char *key,
			 const uint8_t address[16], uint16_t port)
{
	writer_open(writer, key);
	writer_string_open(writer, "ip");
	common_address(writer, address);
	writer_string_close(writer);
	if (port)
		writer_number(writer, "port", port);
}

static void put_destination(struct writer *writer,
			    const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const struct ambit_endpoint *endpoint = connection->endpoint;

	if (is_unix(record)) {
		writer_open(writer, "dst_endpoint");
		writer_string_open(writer, "name");
		part_path(writer, record);
		writer_string_close(writer);
	} else {
		put_endpoint(writer, "dst_endpoint", record->address, record->port);
		if (endpoint && is_name(endpoint->to))
			writer_text(writer, "hostname", SIZED(endpoint->to),
				  BUDGET_TEXT);
	}
	if (endpoint)
		writer_text(writer, "svc_name", SIZED(endpoint->tool), BUDGET_NAME);
	writer_close(writer);
}

static void put_connection_info(struct writer *writer,
				const struct ambit_record *record)
{
	const char *protocol = protocol_name(record->protocol);
	int bind = record->attempt == AMBIT_ATTEMPT_BIND;

	writer_open(writer, "connection_info");
	writer_string_open(writer, "uid");
	writer_part_number(writer, record->socket_cookie);
	writer_string_close(writer);
	writer_number(writer, "direction_id", bind ? 1 : 2);
	writer_word(writer, "direction", bind ? "Inbound" : "Outbound");
	if (record->protocol)
		writer_number(writer, "protocol_num", record->protocol);
	if (protocol)
		writer_word(writer, "protocol_name", protocol);
	/* By the socket's family; an agent may reach IPv4 through either. */
	if (record->family == AF_INET || record->family == AF_INET6)
		writer_number(writer, "protocol_ver_id",
			    common_is_v4(record->address) ? 4 : 6);
	writer_close(writer);
}

static void put_rule(struct writer *writer,
		     const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;

	if (record->rule == AMBIT_NO_RULE)
		return;
	writer_open(writer, "firewall_rule");
	writer_string_open(writer, "uid");
	writer_part_word(writer, record->attempt == AMBIT_ATTEMPT_BIND ? "listen[" :
								     "egress[");
	writer_part_number(writer, record->rule);
	writer_part_word(writer, "]");
	writer_string_close(writer);
	if (connection->endpoint)
		writer_text(writer, "name", SIZED(connection->endpoint->to),
			  BUDGET_TEXT);
	writer_close(writer);
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

static void put_unmapped(struct writer *writer, const struct audit_node *node,
			 const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;

	common_open_unmapped(writer, "connection", node, connection->agent,
			     record->instance, record);
	writer_word(writer, "attempt", attempt_word(record));
	writer_word(writer, "reason", reason_row(record).name);
	if (connection->endpoint)
		writer_text(writer, "tool", SIZED(connection->endpoint->tool),
			  BUDGET_NAME);
	if (record->attempt == AMBIT_ATTEMPT_OPTION) {
		writer_number(writer, "option_level", record->option_level);
		writer_number(writer, "option_name", record->option_name);
	}
	if (record->attempt == AMBIT_ATTEMPT_TLS && record->path_length) {
		writer_string_open(writer, "server_name");
		part_path(writer, record);
		writer_string_close(writer);
		if (record->truncated)
			writer_true(writer, "server_name_truncated");
	}
	writer_number(writer, "family", record->family);
	writer_number(writer, "lost", record->lost);
}

size_t audit_connection(char line[AUDIT_LINE], const struct audit_node *node,
			const struct audit_stamp *stamp,
			const struct audit_connection *connection)
{
	const struct ambit_record *record = connection->record;
	const struct common_shape shape = shape_of(record);
	struct writer writer;

	writer_begin(&writer, line, AUDIT_LINE);
	common_head(&writer, &shape, stamp->time_ms);
	if (shape.status == 2) {
		/* What the agent's call returned. */
		writer_word(&writer, "status_code",
			    record->attempt == AMBIT_ATTEMPT_TLS ?
				    "ECONNABORTED" : "EPERM");
		writer_word(&writer, "status_detail", reason_row(record).explanation);
		writer_true(&writer, "is_alert");
	}
	put_message(&writer, connection);
	common_metadata(&writer, node, stamp, connection->agent, record);
	common_agent_actor(&writer, connection->agent, record);
	if (!is_unix(record) && !is_zero(record->local_address)) {
		put_endpoint(&writer, "src_endpoint", record->local_address,
			     record->local_port);
		writer_close(&writer);
	}
	put_destination(&writer, connection);
	put_connection_info(&writer, record);
	if (connection->agent)
		common_policy(&writer, connection->agent->profile,
			      connection->agent->profile_sha256);
	put_rule(&writer, connection);
	put_unmapped(&writer, node, connection);
	return common_finish(&writer);
}

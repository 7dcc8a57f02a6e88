/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records for people: one line each, so that from a denial the missing entry of
 * the profile can be written down.  Called by main.c and tail.c.
 */
#include "tool.h"

#include "../base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const json_t *tool_member(const json_t *record, const char *path)
{
	while (record && *path) {
		size_t length = strcspn(path, ".");
		char key[64];
		if (length >= sizeof(key))
			return NULL;
		memcpy(key, path, length);
		key[length] = 0;
		record = json_object_get(record, key);
		path += length + (path[length] == '.');
	}
	return record;
}

const char *tool_text(const json_t *record, const char *path)
{
	const char *text = json_string_value(tool_member(record, path));

	return text ? text : "";
}

uint64_t tool_number(const json_t *record, const char *path)
{
	json_int_t value = json_integer_value(tool_member(record, path));

	return value < 0 ? 0 : (uint64_t)value;
}

static int is(const char *wanted, const char *text)
{
	return !strcmp(wanted, text);
}

/* The addresses that agents were told for names, the newest ones: who has to write
 * an entry wants the name. */
static struct answer {
	char agent[40], ip[INET6_ADDRSTRLEN], name[256];
} told[256];
static size_t told_next;

static void keep(char *place, size_t size, const char *text)
{
	/* What does not fit is not a name. */
	snprintf(place, size, "%s", strlen(text) < size ? text : "");
}

static void remember(const json_t *record)
{
	const json_t *list = tool_member(record, "answers"), *one;
	size_t index;

	if (!is(tool_text(record, "unmapped.record"), "lookup"))
		return;
	json_array_foreach(list, index, one) {
		struct answer *to = &told[told_next++ % COUNT(told)];
		keep(to->agent, sizeof(to->agent),
		     tool_text(record, "metadata.correlation_uid"));
		keep(to->ip, sizeof(to->ip), tool_text(one, "rdata"));
		keep(to->name, sizeof(to->name), tool_text(record, "query.hostname"));
	}
}

/* What was refused to an agent, with a record or without; not what was done to one,
 * and not the node's trial of itself, unless that is asked for. */
static int is_refusal(const struct tool_show *show, const json_t *record)
{
	static const char *const kinds[] = { "connection", "lookup", "refusal" };
	const char *kind = tool_text(record, "unmapped.record");
	const char *agent = tool_text(record, "unmapped.agent");

	if (!show->agent && (is("node-proof", agent) ||
			     (!*agent && is("unlisted.invalid",
					    tool_text(record, "query.hostname")))))
		return 0;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (is(kinds[i], kind))
			return tool_number(record, "action_id") == 2;
	return is("loss", kind);
}

int tool_wanted(const struct tool_show *show, const json_t *record)
{
	uint64_t sequence = tool_number(record, "metadata.sequence");

	remember(record);
	uint64_t time = tool_number(record, "time");
	if (sequence < show->from || sequence > show->to ||
	    time < show->since || time > show->until)
		return 0;
	if (show->agent &&
	    !is(show->agent, tool_text(record, "metadata.correlation_uid")) &&
	    !is(show->agent, tool_text(record, "unmapped.agent")))
		return 0;
	if (show->profile &&
	    !is(show->profile, tool_text(record, "unmapped.profile")))
		return 0;
	if (show->task && !is(show->task, tool_text(record, "unmapped.task")))
		return 0;
	return !show->denied || is_refusal(show, record);
}

/* An agent chooses parts of what is shown; a terminal must not obey it.  What JSON
 * let through is UTF-8. */
static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned point;
		size_t length = text_decode(at, &point);
		if (!length || text_is_unsafe(point))
			putc('?', out);
		else
			fwrite(at, 1, length, out);
		at += length ? length : 1;
	}
}

static void put_time(FILE *out, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	char text[32];

	if (!gmtime_r(&seconds, &parts) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts)) {
		fprintf(out, "%llu ms", (unsigned long long)ms);
		return;
	}
	fprintf(out, "%s.%03uZ", text, (unsigned)(ms % 1000));
}

static void put_target(FILE *out, const json_t *record)
{
	const char *name = tool_text(record, "dst_endpoint.name");
	const char *host = tool_text(record, "dst_endpoint.hostname");
	const char *ip = tool_text(record, "dst_endpoint.ip");
	const char *protocol = tool_text(record, "connection_info.protocol_name");
	uint64_t port = tool_number(record, "dst_endpoint.port");

	putc(' ', out);
	if (*name) {
		put_text(out, name);
		return;
	}
	if (*host) {
		put_text(out, host);
		putc('=', out);
	}
	fputs(strchr(ip, ':') ? "[" : "", out);
	put_text(out, ip);
	fputs(strchr(ip, ':') ? "]" : "", out);
	fprintf(out, ":%llu", (unsigned long long)port);
	if (*protocol) {
		putc('/', out);
		put_text(out, protocol);
	}
}

/* The name that led this agent to the address, or the address. */
static const char *name_of(const json_t *record)
{
	const char *agent = tool_text(record, "metadata.correlation_uid");
	const char *ip = tool_text(record, "dst_endpoint.ip");

	for (size_t i = 1; i <= COUNT(told); i++) {
		const struct answer *at =
			&told[(told_next - i) % COUNT(told)];
		if (*at->name && is(at->ip, ip) && is(at->agent, agent))
			return at->name;
	}
	return ip;
}

/* The blocks that a name leads to only with `addresses` (ambit-profile(5)). */
static int is_private(const char *ip)
{
	uint8_t a[16];

	if (inet_pton(AF_INET, ip, a) == 1)
		return a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
		       (a[0] == 192 && a[1] == 168) ||
		       (a[0] == 100 && (a[1] & 0xc0) == 64);
	return inet_pton(AF_INET6, ip, a) == 1 && (a[0] & 0xfe) == 0xfc;
}

/* Whether it can be copied into a profile: an agent may choose a path that would
 * bring entries of its own along. */
static int is_plain(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789/._:@+-")] == 0;
}

static int is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return !strncmp(path, directory, length) && path[length] == '/';
}

static void put_missing_path(FILE *out, const char *path)
{
	static const char *const never[] = { "/dev", "/proc", "/sys" };
	static const char *const own[] = { "/tmp", "/var/tmp", "/home/agent" };

	for (size_t i = 0; i < COUNT(never); i++)
		if (is_below(path, never[i]))
			return;
	for (size_t i = 0; i < COUNT(own); i++)
		if (is_below(path, own[i])) {
			fputs("; the agent's own sockets can't be listed", out);
			return;
		}
	/* Inside, /var/run is a link; an entry names what it leads to. */
	fputs("; egress would need - {to: \"unix:", out);
	put_text(out, path + (is_below(path, "/var/run") ? strlen("/var") : 0));
	fputs("\"}", out);
}

/* The entry that would allow what was refused for want of one. */
static void put_missing(FILE *out, const json_t *record)
{
	const char *reason = tool_text(record, "unmapped.reason");
	const char *protocol = tool_text(record, "connection_info.protocol_name");
	const char *name = tool_text(record, "dst_endpoint.name");
	uint64_t port = tool_number(record, "dst_endpoint.port");

	if (is(reason, "NOT_LISTED")) {
		fprintf(out, "; no listen entry has port %llu",
			(unsigned long long)port);
		return;
	}
	if (is(reason, "TLS_NAME")) {
		fputs(": ", out);
		put_text(out, tool_text(record, "unmapped.server_name"));
		return;
	}
	if (!is(reason, "NO_RULE") && !is(reason, "RESERVED"))
		return;
	if (!is_plain(name))
		return;
	if (*name) {
		put_missing_path(out, name);
		return;
	}
	const char *known = name_of(record);
	fputs("; egress would need - {to: ", out);
	putc('"', out);
	put_text(out, known);
	fprintf(out, "\", ports: [%llu]", (unsigned long long)port);
	if (is(protocol, "udp"))
		fputs(", protocol: udp", out);
	const char *ip = tool_text(record, "dst_endpoint.ip");
	if (!is(known, ip) && is_private(ip))
		fprintf(out, ", addresses: [\"%s\"]", ip);
	putc('}', out);
	if (!is(known, ip))
		fputs("; or, where it is listed so, a new lookup: what was told has "
		      "lapsed", out);
}

static void put_connection(FILE *out, const json_t *record)
{
	const char *tool = tool_text(record, "unmapped.tool");
	const char *rule = tool_text(record, "firewall_rule.uid");

	fputs(tool_number(record, "action_id") == 2 ? "DENIED  " : "allowed ", out);
	put_text(out, tool_text(record, "unmapped.attempt"));
	put_target(out, record);
	if (*tool) {
		fputs(" tool ", out);
		put_text(out, tool);
	}
	if (*rule) {
		putc(' ', out);
		put_text(out, rule);
	}
	/* A packet that is judged is nobody's at that time. */
	if (tool_number(record, "actor.process.pid")) {
		fputs(" by ", out);
		put_text(out, tool_text(record, "actor.process.name"));
		fprintf(out, "[%llu]", (unsigned long long)tool_number(
			record, "actor.process.pid"));
	}
	if (tool_number(record, "action_id") == 2) {
		fputs(": ", out);
		put_text(out, tool_text(record, "status_detail"));
		put_missing(out, record);
	}
}

static void put_lookup(FILE *out, const json_t *record)
{
	const json_t *answers = tool_member(record, "answers"), *answer;
	const char *rule = tool_text(record, "firewall_rule.uid");
	int denied = tool_number(record, "action_id") == 2;
	size_t index;

	fputs(denied ? "DENIED  lookup " : "allowed lookup ", out);
	put_text(out, tool_text(record, "query.hostname"));
	putc(' ', out);
	put_text(out, tool_text(record, "query.type"));
	if (*rule) {
		putc(' ', out);
		put_text(out, rule);
	}
	json_array_foreach(answers, index, answer) {
		fputs(index ? " " : " = ", out);
		put_text(out, tool_text(answer, "rdata"));
	}
	fputs(": ", out);
	put_text(out, tool_text(record, "status_detail"));
	const char *type = tool_text(record, "query.type");
	/* Nothing else is looked up, whatever is listed. */
	if (is(tool_text(record, "unmapped.reason"), "UNLISTED") &&
	    (is(type, "A") || is(type, "AAAA")) && is_plain(tool_text(record, "query.hostname"))) {
		fputs("; egress would need - {to: ", out);
		put_text(out, tool_text(record, "query.hostname"));
		fputs(", ports: [443]}", out);
	}
}

static void put_other(FILE *out, const json_t *record)
{
	const char *detail = tool_text(record, "status_detail");
	const json_t *pid = tool_member(record, "actor.process.pid");

	put_text(out, tool_text(record, "message"));
	if (*detail) {
		fputs(": ", out);
		put_text(out, detail);
	}
	if (json_is_integer(tool_member(record, "exit_code")) &&
	    !is(tool_text(record, "unmapped.record"), "kill"))
		fprintf(out, " (exit %lld)", (long long)json_integer_value(
			tool_member(record, "exit_code")));
	if (pid) {
		fputs(" by uid ", out);
		put_text(out, tool_text(record, "actor.user.uid"));
		fprintf(out, " pid %llu",
			(unsigned long long)json_integer_value(pid));
	}
}

void tool_print(FILE *out, const json_t *record)
{
	const char *agent = tool_text(record, "unmapped.agent");

	put_time(out, tool_number(record, "time"));
	putc(' ', out);
	if (!*agent)
		agent = tool_text(record, "unmapped.stream");
	put_text(out, *agent ? agent : "-");
	putc(' ', out);
	if (is(tool_text(record, "unmapped.record"), "connection"))
		put_connection(out, record);
	else if (is(tool_text(record, "unmapped.record"), "lookup"))
		put_lookup(out, record);
	else
		put_other(out, record);
	putc('\n', out);
}

int tool_show_line(FILE *out, const struct tool_show *show, const char *line,
		   size_t length)
{
	json_t *record = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(record)) {
		json_decref(record);
		return -EBADMSG;
	}
	int wanted = tool_wanted(show, record);
	if (wanted && show->json) {
		fwrite(line, 1, length, out);
		putc('\n', out);
	} else if (wanted) {
		tool_print(out, record);
	}
	json_decref(record);
	return wanted;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lookup of a name to one line: OCSF DNS Activity.  Pure; called by the
 * recorder for what the warden tells.
 */
#include "common.h"

#include <stdio.h>
#include <string.h>

#define SIZED(text) (text), sizeof(text)

static const struct result_row {
	const char *name, *explanation;
	int allowed;
} result_rows[] = {
#define ROW(name, number, allowed, explanation) \
	[number] = { #name, explanation, allowed },
	AMBIT_LOOKUPS(ROW)
#undef ROW
};

static void type_name(uint32_t type, char ret_name[16])
{
	static const struct {
		uint32_t type;
		const char *name;
	} names[] = {
		{ 1, "A" }, { 2, "NS" }, { 5, "CNAME" }, { 6, "SOA" },
		{ 12, "PTR" }, { 15, "MX" }, { 16, "TXT" }, { 28, "AAAA" },
		{ 33, "SRV" }, { 64, "SVCB" }, { 65, "HTTPS" }, { 255, "ANY" },
	};

	snprintf(ret_name, 16, "TYPE%u", type & 0xffff);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].type == type)
			snprintf(ret_name, 16, "%s", names[i].name);
}

static void put_message(struct writer *writer, const struct ambit_lookup *lookup,
			const char *type, const struct result_row *row)
{
	writer_string_open(writer, "message");
	writer_part_word(writer, "lookup of ");
	writer_part_text(writer, "name", SIZED(lookup->name), BUDGET_TEXT);
	writer_part_word(writer, " ");
	writer_part_word(writer, type);
	writer_part_word(writer, row->allowed ? " allowed: " : " denied: ");
	writer_part_word(writer, row->explanation);
	writer_string_close(writer);
}

static void put_answers(struct writer *writer, const struct ambit_lookup *lookup,
			const char *type)
{
	writer_open(writer, "query");
	/* The root, or nothing that could be read. */
	if (lookup->name[0])
		writer_text(writer, "hostname", SIZED(lookup->name), BUDGET_TEXT);
	else
		writer_word(writer, "hostname", ".");
	writer_word(writer, "type", type);
	writer_close(writer);
	if (!lookup->count)
		return;
	writer_open_array(writer, "answers");
	for (uint32_t i = 0; i < lookup->count; i++) {
		writer_open(writer, NULL);
		writer_string_open(writer, "rdata");
		common_address(writer, lookup->addresses[i]);
		writer_string_close(writer);
		writer_word(writer, "type", type);
		writer_number(writer, "ttl", lookup->ttl);
		writer_close(writer);
	}
	writer_close_array(writer);
}

static void put_rule(struct writer *writer, const struct ambit_lookup *lookup,
		     const struct ambit_endpoint *endpoint)
{
	if (lookup->entry == AMBIT_NO_ENTRY)
		return;
	writer_open(writer, "firewall_rule");
	writer_string_open(writer, "uid");
	writer_part_word(writer, "egress[");
	writer_part_number(writer, lookup->entry);
	writer_part_word(writer, "]");
	writer_string_close(writer);
	if (endpoint)
		writer_text(writer, "name", SIZED(endpoint->to), BUDGET_TEXT);
	writer_close(writer);
}

size_t audit_lookup(char line[AUDIT_LINE], const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct ambit_lookup *lookup,
		    const struct ambit_open *agent,
		    const struct ambit_endpoint *endpoint)
{
	const struct result_row *row = &result_rows[lookup->result];
	const struct common_shape shape = {
		COMMON_CLASS_DNS, 2, "Response", row->allowed ? 1 : 2,
		row->allowed ? 1 : lookup->result == AMBIT_LOOKUP_UNLISTED ? 26 : 2,
		row->allowed ? 1 : 3, row->allowed ? 1 : 2,
	};
	static const char *const rcodes[] = { "NoError", "FormError", "ServError",
					      "NXDomain", "NotImp", "Refused" };
	struct writer writer;
	char type[16];

	type_name(lookup->type, type);
	writer_begin(&writer, line, AUDIT_LINE);
	common_head(&writer, &shape, stamp->time_ms);
	writer_word(&writer, "status_detail", row->explanation);
	if (!row->allowed)
		writer_true(&writer, "is_alert");
	put_message(&writer, lookup, type, row);
	common_metadata(&writer, node, stamp, agent, NULL);
	common_agent_actor(&writer, agent, NULL);
	put_answers(&writer, lookup, type);
	if (lookup->rcode < sizeof(rcodes) / sizeof(*rcodes)) {
		writer_number(&writer, "rcode_id", lookup->rcode);
		writer_word(&writer, "rcode", rcodes[lookup->rcode]);
	}
	if (agent)
		common_policy(&writer, agent->profile, agent->profile_sha256);
	put_rule(&writer, lookup, endpoint);
	common_open_unmapped(&writer, "lookup", node, agent, lookup->instance, NULL);
	writer_word(&writer, "reason", row->name);
	if (endpoint)
		writer_text(&writer, "tool", SIZED(endpoint->tool), BUDGET_NAME);
	if (lookup->withheld)
		writer_number(&writer, "withheld", lookup->withheld);
	return common_finish(&writer);
}

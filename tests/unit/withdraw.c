/* SPDX-License-Identifier: Apache-2.0 */
/* What a changed profile takes from a running agent, and what it can't. */
#include "profile/withdraw.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEAD                                                            \
	"ambit: 1\nname: sample\nowner: team@example.com\n"             \
	"purpose: Tries things out\ntier: low\n"                        \
	"review: {approved-by: other@example.com, by: 2027-03-31}\n"
#define A "  - {to: 192.0.2.1, ports: [443], tool: a}\n"
#define B "  - {to: crm.example.com, ports: [443, 8000-8100], tls: required}\n"
#define C "  - {to: 198.51.100.0/24, ports: [53], protocol: udp}\n"
#define P(blocks) \
	"  - {to: in.example.com, ports: [443], addresses: [" blocks "]}\n"
#define U "  - {to: \"unix:/run/x\"}\n"

/* `before`: what was withdrawn earlier; `after`: '1' for each entry that is gone
 * now, or NULL for a refusal with `code` and a text that begins with `message`. */
static const struct {
	const char *what, *running, *now, *before, *after;
	int count, code;
	const char *message;
} cases[] = {
	{ "nothing changed", "egress:\n" A B C, "egress:\n" A B C, "000", "000", 0, 0, NULL },
	{ "another order", "egress:\n" A B C, "egress:\n" C A B, "000", "000", 0, 0, NULL },
	{ "one left", "egress:\n" A B C, "egress:\n" A C, "000", "010", 1, 0, NULL },
	{ "all left", "egress:\n" A B C, "", "000", "111", 3, 0, NULL },
	{ "one more left", "egress:\n" A B C, "egress:\n" A, "010", "011", 1, 0, NULL },
	{ "the same again", "egress:\n" A B C, "egress:\n" A C, "010", "010", 0, 0, NULL },
	{ "of two that are equal one left", "egress:\n" A A, "egress:\n" A, "00",
	  "01", 1, 0, NULL },
	{ "the other of the two stays in force", "egress:\n" A A, "egress:\n" A, "10",
	  "10", 0, 0, NULL },
	{ "a unix socket stays", "egress:\n" A U, "egress:\n" U, "00", "10", 1, 0, NULL },

	{ "one is new", "egress:\n" A, "egress:\n" A B, "0", NULL, 0, EPERM,
	  "egress[1] to crm.example.com: it is new" },
	{ "one is given back", "egress:\n" A B, "egress:\n" A B, "01", NULL, 0, EPERM,
	  "egress[1] to crm.example.com: it was withdrawn" },
	{ "a port less", "egress:\n" B, "egress: [{to: crm.example.com, ports: [443]}]\n",
	  "0", NULL, 0, EPERM, "egress[0] to crm.example.com: it is new" },
	{ "another range", "egress:\n" B,
	  "egress: [{to: crm.example.com, ports: [443, 8000-8101], tls: required}]\n", "0", NULL, 0,
	  EPERM, "egress[0] to crm.example.com: it is new" },
	{ "no TLS any more", "egress:\n" B,
	  "egress: [{to: crm.example.com, ports: [443, 8000-8100], tls: \"off\"}]\n",
	  "0", NULL, 0, EPERM, "egress[0]" },
	{ "the same addresses", "egress:\n" P("10.1.0.0/16, 10.2.0.0/16"),
	  "egress:\n" P("10.1.0.0/16, 10.2.0.0/16"), "0", "0", 0, 0, NULL },
	{ "fewer addresses", "egress:\n" P("10.1.0.0/16, 10.2.0.0/16"),
	  "egress:\n" P("10.1.0.0/16"), "0", NULL, 0, EPERM,
	  "egress[0] to in.example.com: it is new" },
	{ "other addresses", "egress:\n" P("10.1.0.0/16"), "egress:\n" P("10.0.0.0/8"),
	  "0", NULL, 0, EPERM, "egress[0] to in.example.com: it is new" },
	{ "another tool", "egress:\n" A,
	  "egress: [{to: 192.0.2.1, ports: [443], tool: b}]\n", "0", NULL, 0, EPERM,
	  "egress[0] to 192.0.2.1: it is new" },
	{ "a unix socket left", "egress:\n" A U, "egress:\n" A, "00", NULL, 0, ENOTSUP,
	  "egress[1] to unix:/run/x: a connection to it can't be ended" },
	{ "a limit", "egress:\n" A, "limits: {processes: 70}\n", "0", NULL, 0, EINVAL,
	  "limits: processes: it changed" },
	{ "a file", "egress:\n" A, "files: {read: [/opt/x]}\n", "0", NULL, 0, EINVAL,
	  "files: read: it changed" },
	{ "a port to listen on", "egress:\n" A, "listen: [8080]\n", "0", NULL, 0,
	  EINVAL, "listen: it changed" },
	{ "a credential", "", "credentials: [{name: tls, type: x509-svid, ttl: 1h}]\n",
	  "", NULL, 0, EINVAL, "credentials: it changed" },
};

static struct profile *parse(const char *clauses)
{
	struct profile *profile = NULL;
	struct error error = { 0 };
	char text[2048];

	snprintf(text, sizeof(text), HEAD "%s", clauses);
	if (profile_parse("p.yaml", text, strlen(text), &profile, &error) < 0)
		bail_out("%s", error.text);
	return profile;
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct profile *running = parse(cases[i].running);
		struct profile *now = parse(cases[i].now);
		uint8_t withdrawn[AMBIT_EGRESS] = { 0 };
		char text[AMBIT_EGRESS + 1] = "";
		struct error error = { 0 };
		const char *after = cases[i].after ? cases[i].after : cases[i].before;

		for (size_t at = 0; cases[i].before[at]; at++)
			withdrawn[at] = cases[i].before[at] == '1';
		int result = profile_withdraw(running, now, withdrawn, &error);
		for (unsigned at = 0; at < running->egress_count; at++)
			text[at] = withdrawn[at] ? '1' : '0';
		is_int(result, cases[i].code ? -cases[i].code : cases[i].count, "%s",
		       cases[i].what);
		is_string(text, after, "%s: what is withdrawn", cases[i].what);
		if (cases[i].message)
			ok(!strncmp(error.text, cases[i].message,
				    strlen(cases[i].message)),
			   "%s: \"%s\"", cases[i].what, error.text);
		profile_free(running);
		profile_free(now);
	}
	return done_testing();
}

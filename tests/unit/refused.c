/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints that a caller is told of at the end. */
#include "audit/refused.h"
#include "tap.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V4(a, b, c, d) { [10] = 0xff, 0xff, a, b, c, d }

/* `text` "": nothing is told of it. */
static const struct {
	const char *what, *path, *text;
	uint8_t attempt, reason, verdict, protocol;
	uint16_t port;
	uint8_t address[16];
} cases[] = {
	{ "a connect", "", "192.0.2.1:443/tcp", AMBIT_ATTEMPT_CONNECT,
	  AMBIT_REASON_NO_RULE, AMBIT_DENIED, IPPROTO_TCP, 443, V4(192, 0, 2, 1) },
	{ "a datagram over IPv6", "", "[2001:db8::1]:53/udp", AMBIT_ATTEMPT_SEND,
	  AMBIT_REASON_NO_RULE, AMBIT_DENIED, IPPROTO_UDP, 53,
	  { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
	{ "a metadata address", "", "169.254.169.254:80/tcp", AMBIT_ATTEMPT_CONNECT,
	  AMBIT_REASON_RESERVED, AMBIT_DENIED, IPPROTO_TCP, 80, V4(169, 254, 169, 254) },
	{ "what is allowed", "", "", AMBIT_ATTEMPT_CONNECT, AMBIT_REASON_RULE,
	  AMBIT_ALLOWED, IPPROTO_TCP, 443, V4(192, 0, 2, 1) },
	{ "an agent that is cut off", "", "", AMBIT_ATTEMPT_CONNECT, AMBIT_REASON_CUT,
	  AMBIT_DENIED, IPPROTO_TCP, 443, V4(192, 0, 2, 1) },
	{ "a kind of socket", "", "", AMBIT_ATTEMPT_SOCKET, AMBIT_REASON_FAMILY,
	  AMBIT_DENIED, 132, 0, { 0 } },
	{ "a port", "", "port 80/tcp of its own", AMBIT_ATTEMPT_BIND,
	  AMBIT_REASON_NOT_LISTED, AMBIT_DENIED, IPPROTO_TCP, 80, { 0 } },
	{ "a path", "/run/docker.sock", "unix:/run/docker.sock",
	  AMBIT_ATTEMPT_UNIX_CONNECT, AMBIT_REASON_NO_RULE, AMBIT_DENIED, 0, 0, { 0 } },
	{ "control characters, not ASCII", "/\x1b]0;x\x07\xc3\xa9\x7f\n",
	  "unix:/?]0;x?????", AMBIT_ATTEMPT_UNIX_CONNECT, AMBIT_REASON_NO_RULE,
	  AMBIT_DENIED, 0, 0, { 0 } },
	{ "another server name", "evil.test", "192.0.2.1:443/tcp as evil.test",
	  AMBIT_ATTEMPT_TLS, AMBIT_REASON_TLS_NAME, AMBIT_DENIED, IPPROTO_TCP, 443,
	  V4(192, 0, 2, 1) },
	{ "no server name", "", "192.0.2.1:443/tcp without its name",
	  AMBIT_ATTEMPT_TLS, AMBIT_REASON_NOT_TLS, AMBIT_DENIED, IPPROTO_TCP, 443,
	  V4(192, 0, 2, 1) },
};

static struct ambit_record record_of(size_t i)
{
	struct ambit_record record = {
		.attempt = cases[i].attempt, .reason = cases[i].reason,
		.verdict = cases[i].verdict, .protocol = cases[i].protocol,
		.port = cases[i].port,
		.path_length = (uint8_t)strlen(cases[i].path),
	};

	memcpy(record.address, cases[i].address, sizeof(record.address));
	memcpy(record.path, cases[i].path, strlen(cases[i].path));
	return record;
}

static void names(struct refused *refused, const char *name, uint32_t result)
{
	struct ambit_lookup lookup = { .result = result };

	snprintf(lookup.name, sizeof(lookup.name), "%s", name);
	refused_note_lookup(refused, &lookup);
}

static void check_bounds(void)
{
	struct refused refused = { 0 };
	struct ambit_closed closed = { 0 };
	struct ambit_record record = record_of(0);

	for (int i = 0; i < 9; i++)
		refused_note(&refused, &record);
	is_int(refused.count, 1, "one endpoint many times is one");
	refused_tell(&refused, 9, &closed);
	is_int(closed.refused_more, 0, "and all of it");
	refused_tell(&refused, 10, &closed);
	is_int(closed.refused_more, 1, "one that this recorder did not see is told of");
	for (uint16_t port = 1; port < 1000; port++) {
		record.port = port;
		refused_note(&refused, &record);
	}
	is_int(refused.count, AMBIT_REFUSED / 2, "never more than the few");
	refused_tell(&refused, refused.noted, &closed);
	is_int(closed.refused_more, 1, "the rest is told of");
	names(&refused, "one.test", AMBIT_LOOKUP_UNLISTED);
	is_int(refused.count, AMBIT_REFUSED / 2 + 1, "a lookup has places of its own");
	names(&refused, "two.test", AMBIT_LOOKUP_UNLISTED);
	names(&refused, "three.test", AMBIT_LOOKUP_UNLISTED);
	names(&refused, "four.test", AMBIT_LOOKUP_UNLISTED);
	is_int(refused.count, AMBIT_REFUSED, "and as few");
	refused_tell(&refused, refused.noted, &closed);
	is_int(closed.refused_more, 3, "whose rest is told of, too");
}

static void check_long(void)
{
	struct refused refused = { 0 };
	struct ambit_record record = {
		.attempt = AMBIT_ATTEMPT_UNIX_CONNECT, .reason = AMBIT_REASON_ABSTRACT,
		.path_length = 255,	/* more than there is room for */
	};

	memset(record.path + 1, 'x', sizeof(record.path) - 1);
	refused_note(&refused, &record);
	const char *text = refused.texts[0];
	is_int((int)strlen(text), AMBIT_REFUSED_SIZE - 1, "a long path is cut");
	ok(!strncmp(text, "unix:@xxx", 9), "an abstract name");
	ok(!strcmp(text + strlen(text) - 4, "x…"), "the cut shows");
}

static void check_lookups(void)
{
	struct refused refused = { 0 };
	char name[AMBIT_TEXT_SIZE] = "";

	names(&refused, "crm.test", AMBIT_LOOKUP_ANSWERED);
	names(&refused, "odd.test", AMBIT_LOOKUP_TYPE);
	is_int(refused.count, 0, "answered, or not for want of an entry");
	names(&refused, "evil.test", AMBIT_LOOKUP_UNLISTED);
	names(&refused, "evil.test", AMBIT_LOOKUP_UNLISTED);
	names(&refused, "inner.test", AMBIT_LOOKUP_WITHHELD);
	is_int(refused.count, 2, "two names");
	is_int((int)refused.noted, 0, "which are no attempts of the kernel's");
	is_string(refused.texts[0], "lookup of evil.test", "unlisted");
	is_string(refused.texts[1], "lookup of inner.test", "withheld");
	names(&refused, "gone.test", AMBIT_LOOKUP_FAILED);
	is_string(refused.texts[2], "lookup of gone.test: no resolver answered",
		  "no profile's fault");
	memset(name, 'y', sizeof(name) - 1);
	memset(&refused, 0, sizeof(refused));
	names(&refused, name, AMBIT_LOOKUP_FAILED);
	is_int((int)strlen(refused.texts[0]), AMBIT_REFUSED_SIZE - 1, "a long name");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ambit_record record = record_of(i);
		struct refused refused = { 0 };

		refused_note(&refused, &record);
		is_string(refused.texts[0], cases[i].text, "%s", cases[i].what);
		is_int((int)refused.noted, *cases[i].text != 0, "%s: noted",
		       cases[i].what);
	}
	check_bounds();
	check_long();
	check_lookups();
	return done_testing();
}

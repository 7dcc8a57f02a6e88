/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: each wrong text gets its message with line and column, each good
 * one prints to a text that reads back to the same.
 */
#include "profile/profile.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Seven lines; what a row adds begins in line 8. */
#define HEAD                                                                \
	"ambit: 1\nname: sample\nowner: team@example.com\n"                 \
	"purpose: Tries things out\ntier: low\n"                            \
	"review: {approved-by: other@example.com, by: 2027-03-31}\n# the rest\n"

static int parse(const char *text, size_t length, struct profile **profile,
		 struct error *error)
{
	*error = (struct error){ 0 };
	*profile = NULL;
	return profile_parse("p.yaml", text, length, profile, error);
}

#define ADDRESSES(blocks) \
	"egress: [{to: crm.test, ports: [1], addresses: [" blocks "]}]\n"

/* Text behind HEAD, and how the message begins and goes on. */
static const struct {
	const char *what, *text, *at, *message;
} wrong[] = {
	{ "not YAML", "run: {a: [}\n", "8:11", "not YAML" },
	{ "tab as indent", "run:\n\tcommand: []\n", "9:1", "not YAML" },
	{ "unknown key", "colour: red\n", "8:1", "colour: no such key: one of ambit" },
	{ "unknown key below", "run:\n  comand: []\n", "9:3",
	  "comand: no such key: one of command" },
	{ "unknown key in a list", "egress:\n  - {to: 192.0.2.1, port: 1}\n",
	  "9:21", "port: no such key" },
	{ "key twice", "listen: []\nlisten: []\n", "9:1",
	  "listen: key given twice: it stands in line 8" },
	{ "key twice, flow", "limits: {cpu: 1%, cpu: 2%}\n", "8:19",
	  "cpu: key given twice" },
	{ "required key twice", "name: other\n", "8:1", "name: key given twice" },
	{ "text for a list", "listen: 8080\n", "8:9", "listen: a list was expected" },
	{ "list for a text", "run: {lifetime: [2h]}\n", "8:17",
	  "run.lifetime: one value was expected" },
	{ "mapping for a text", "run: {lifetime: {a: b}}\n", "8:17",
	  "run.lifetime: one value was expected" },
	{ "text for a mapping", "run: fast\n", "8:6", "run: keys with values" },
	{ "text for an entry", "egress: [crm]\n", "8:10",
	  "egress[0]: keys with values" },
	{ "nothing there", "run:\n", "8:5", "run: nothing there" },
	{ "null", "run: {lifetime: null}\n", "8:17", "lifetime: nothing there" },
	{ "missing in a list", "egress: [{ports: [1]}]\n", "8:10",
	  "egress[0].to: missing" },
	{ "alias", "listen: *a\n", "8:9", "alias" },
	{ "anchor", "listen: &a []\n", "8:9", "anchor" },
	{ "anchor on a text", "run: {lifetime: &a 2h}\n", "8:17", "anchor" },
	{ "tag", "listen: !!seq []\n", "8:9", "tag" },
	{ "merge key", "run: {<<: {lifetime: 2h}}\n", "8:7", "<<: no such key" },
	{ "second document", "---\nambit: 1\n", "8:1", "second document" },
	{ "a list as key", "? [a]\n: b\n", "8:3", "key: a word was expected" },
	{ "NUL by escape", "run: {command: [\"a\\0b\"]}\n", "8:17", "NUL byte" },
	{ "control character", "run: {command: [\"\\e[31m\"]}\n", "8:17",
	  "control character" },
	{ "control character, plain", "# \001\n", "8:3", "control character" },
	{ "text that turns around", "# \xe2\x80\xae\n", "8:3", "direction of text" },
	{ "not UTF-8", "# \xff\n", "8:3", "not UTF-8" },
	{ "overlong UTF-8", "# \xc0\xaf\n", "8:3", "not UTF-8" },
	{ "surrogate", "# \xed\xa0\x80\n", "8:3", "not UTF-8" },

	{ "lifetime without unit", "run: {lifetime: 2}\n", "8:17",
	  "run.lifetime: 2: 1s to 365d" },
	{ "lifetime with another unit", "run: {lifetime: 2w}\n", "8:17",
	  "run.lifetime: 2w" },
	{ "no lifetime", "run: {lifetime: 0s}\n", "8:17", "out of range" },
	{ "a lifetime that overflows", "run: {lifetime: 99999999999999999999d}\n",
	  "8:17", "out of range" },
	{ "grace too long", "run: {grace: 1h}\n", "8:14", "out of range" },
	{ "grace unlimited", "run: {grace: unlimited}\n", "8:14", "0s to 10m" },
	{ "memory too small", "limits: {memory: 1M}\n", "8:18", "out of range: 4M" },
	{ "memory as bytes", "limits: {memory: 1048576}\n", "8:18", "4M to" },
	{ "negative", "limits: {processes: -1}\n", "8:21", "1 to 65536" },
	{ "octal is decimal, hex is nothing", "limits: {processes: 0x10}\n", "8:21",
	  "1 to 65536" },
	{ "no process", "limits: {processes: 0}\n", "8:21", "out of range" },
	{ "processes unlimited", "limits: {processes: unlimited}\n", "8:21",
	  "1 to 65536" },
	{ "cpu without %", "limits: {cpu: 1.5}\n", "8:15", "limits.cpu: 1.5" },
	{ "system", "files: {system: all}\n", "8:17", "standard or none" },
	{ "directory, relative", "run: {directory: work}\n", "8:18",
	  "run.directory: work: home, or an absolute path" },

	{ "path, relative", "files: {read: [opt]}\n", "8:16", "an absolute path" },
	{ "path with ..", "files: {read: [/opt/../etc]}\n", "8:16", "an absolute path" },
	{ "path with //", "files: {read: [/opt//x]}\n", "8:16", "an absolute path" },
	{ "path with / last", "files: {read: [/opt/]}\n", "8:16", "an absolute path" },
	{ "everything", "files: {read: [/]}\n", "8:16", "covers /proc" },
	{ "the keys", "files: {read: [/var/lib]}\n", "8:16",
	  "covers /var/lib/ambit, the node's keys" },
	{ "below the keys", "files: {read: [/var/lib/ambit/ca]}\n", "8:16", "lies in" },
	{ "/etc", "files: {write: [/etc]}\n", "8:17", "is /etc" },
	{ "/proc/sys", "files: {write: [/proc/sys]}\n", "8:17", "lies in /proc" },
	{ "read twice", "files: {read: [/opt/a, /opt/a]}\n", "8:16", "lies in files.read[1]" },
	{ "read below write", "files: {read: [/opt/a/b], write: [/opt/a]}\n",
	  "8:16", "lies in files.write[0]" },
	{ "read and write", "files: {read: [/opt/a], write: [/opt/a]}\n", "8:16",
	  "lies in files.write[0]" },
	{ "execute elsewhere", "files: {execute: [/opt/a]}\n", "8:19",
	  "not in a path of files.write" },
	{ "execute below read", "files: {read: [/opt], execute: [/opt/a]}\n", "8:33",
	  "not in a path of files.write" },

	{ "no such set", "syscalls: {base: \"@everything\"}\n", "8:18", "a set that" },
	{ "no set", "syscalls: {base: everything}\n", "8:18", "a named set" },
	{ "no such call", "syscalls: {allow: [opeen]}\n", "8:20",
	  "syscalls.allow[0]: opeen: no such system call" },
	{ "bpf", "syscalls: {allow: [bpf]}\n", "8:20", "puts code into the kernel" },
	{ "unshare", "syscalls: {allow: [ptrace, unshare]}\n", "8:28",
	  "syscalls.allow[1]: unshare: a new namespace" },
	{ "clone3", "syscalls: {allow: [clone3]}\n", "8:20", "stand in memory" },
	{ "denied execve", "syscalls: {deny: [execve]}\n", "8:19", "nothing could" },

	{ "a star", "egress: [{to: \"*\", ports: [1]}]\n", "8:15",
	  "egress[0].to: *: a name, or one" },
	{ "everybody's names", "egress: [{to: \"*.com\", ports: [1]}]\n", "8:15",
	  "two labels or more" },
	{ "a star inside", "egress: [{to: \"a.*.example.com\", ports: [1]}]\n",
	  "8:15", "one \"*.\" in front" },
	{ "an underscore", "egress: [{to: a_b.example.com, ports: [1]}]\n", "8:15",
	  "a DNS name" },
	{ "a URL", "egress: [{to: \"https://a.example.com\", ports: [1]}]\n", "8:15",
	  "a DNS name" },
	{ "no address", "egress: [{to: 192.0.2.256, ports: [1]}]\n", "8:15",
	  "four numbers" },
	{ "an octal address", "egress: [{to: 192.0.2.010, ports: [1]}]\n", "8:15",
	  "four numbers" },
	{ "host bits", "egress: [{to: 192.0.2.1/24, ports: [1]}]\n", "8:15",
	  "bits behind the prefix are zero" },
	{ "prefix 33", "egress: [{to: 192.0.2.0/33, ports: [1]}]\n", "8:15",
	  "0 to 32" },
	{ "the unspecified address", "egress: [{to: 0.0.0.0, ports: [1]}]\n", "8:15",
	  "127.0.0.1 was expected" },
	{ "IPv4 in IPv6", "egress: [{to: \"::ffff:192.0.2.1\", ports: [1]}]\n",
	  "8:15", "IPv4 written as IPv6" },
	{ "all of IPv6", "egress: [{to: \"::/0\", ports: [1]}]\n", "8:15",
	  "holds all of IPv4 too" },
	{ "addresses of an address",
	  "egress: [{to: 192.0.2.1, addresses: [10.0.0.0/8], ports: [1]}]\n", "8:37",
	  "egress[0].addresses: only a name leads to addresses" },
	{ "addresses of a unix socket",
	  "egress: [{to: \"unix:/run/x\", addresses: [10.0.0.0/8]}]\n", "8:41",
	  "egress[0].addresses: only a name" },
	{ "addresses: a name", ADDRESSES("a.test"), "8:49",
	  "egress[0].addresses[0]: a.test: an address or a CIDR block" },
	{ "addresses: host bits", ADDRESSES("10.1.2.3/24"), "8:49",
	  "bits behind the prefix are zero" },
	{ "addresses: no prefix", ADDRESSES("10.0.0.0/"), "8:49", "a prefix of 0 to 32" },
	{ "addresses: public", ADDRESSES("10.0.0.0/8, 192.0.2.0/24"), "8:61",
	  "egress[0].addresses[1]: 192.0.2.0/24: not private" },
	{ "addresses: wider than private", ADDRESSES("10.0.0.0/7"), "8:49", "not private" },
	{ "addresses: everything", ADDRESSES("0.0.0.0/0"), "8:49", "not private" },
	{ "addresses: loopback", ADDRESSES("127.0.0.1"), "8:49", "no name leads there" },
	{ "addresses: link-local", ADDRESSES("169.254.0.0/16"), "8:49",
	  "no name leads there" },
	{ "addresses: metadata", ADDRESSES("'fd00:ec2::254'"), "8:49",
	  "fd00:ec2::254: no name leads there" },
	{ "addresses: twice", ADDRESSES("10.1.0.0/16, 10.1.0.0/16"), "8:62",
	  "addresses[1]: 10.1.0.0/16: and addresses[0] lie in one another" },
	{ "addresses: one in another", ADDRESSES("10.1.0.1, 10.0.0.0/8"), "8:59",
	  "lie in one another" },
	{ "addresses: the other way round", ADDRESSES("10.0.0.0/8, 10.1.0.1"), "8:61",
	  "lie in one another" },
	{ "addresses: nine", ADDRESSES("10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, "
				       "10.0.0.6, 10.0.0.7, 10.0.0.8, 10.0.0.9"),
	  "8:129", "egress[0].addresses: too many: at most 8" },
	{ "addresses: one text", "egress: [{to: a.test, addresses: 10.0.0.1}]\n", "8:34",
	  "egress[0].addresses: a list was expected" },
	{ "no ports", "egress: [{to: 192.0.2.1}]\n", "8:10", "ports: missing" },
	{ "port 0", "egress: [{to: 192.0.2.1, ports: [0]}]\n", "8:34",
	  "egress[0].ports[0]: 0: a port of 1 to 65535" },
	{ "port 65536", "egress: [{to: 192.0.2.1, ports: [1, 65536]}]\n", "8:37",
	  "egress[0].ports[1]" },
	{ "ports backwards", "egress: [{to: 192.0.2.1, ports: [9-8]}]\n", "8:34",
	  "a port of" },
	{ "protocol", "egress: [{to: 192.0.2.1, ports: [1], protocol: sctp}]\n",
	  "8:48", "tcp or udp" },
	{ "tls of an address", "egress: [{to: 192.0.2.1, ports: [443], tls: required}]\n",
	  "8:45", "only a name" },
	{ "tls over udp",
	  "egress: [{to: a.example.com, ports: [443], tls: required, protocol: udp}]\n",
	  "8:49", "TLS over TCP" },
	{ "443 and others", "egress: [{to: a.example.com, ports: [443, 80]}]\n",
	  "8:10", "443 and other ports" },
	{ "unix with ports", "egress: [{to: \"unix:/run/x\", ports: [1]}]\n", "8:37",
	  "a unix socket has none" },
	{ "unix, relative", "egress: [{to: \"unix:x\"}]\n", "8:15", "absolute path" },
	{ "the node's own socket", "egress: [{to: \"unix:/run/ambit/control\"}]\n",
	  "8:15", "lies in /run/ambit" },
	{ "tool", "egress: [{to: 192.0.2.1, ports: [1], tool: \"a b\"}]\n", "8:44",
	  "egress[0].tool" },
	{ "listen elsewhere", "listen: [\"192.0.2.1:80\"]\n", "8:10", "listen[0]" },
	{ "listen on sctp", "listen: [8080/sctp]\n", "8:10", "listen[0]" },

	{ "token without audience", "credentials: [{name: a, type: jwt-svid}]\n",
	  "8:15", "audience: missing" },
	{ "certificate with audience",
	  "credentials: [{name: a, type: x509-svid, audience: b}]\n", "8:52",
	  "an x509-svid has none" },
	{ "token too long",
	  "credentials: [{name: a, type: jwt-svid, audience: b, ttl: 2h}]\n", "8:59",
	  "1m to 1h" },
	{ "certificate too long",
	  "credentials: [{name: a, type: x509-svid, ttl: 25h}]\n", "8:47",
	  "1m to 24h" },
	{ "credential twice", "credentials:\n  - {name: a, type: x509-svid}\n"
	  "  - {name: a, type: x509-svid}\n", "10:12", "credentials[1].name: a: given twice" },
	{ "credential as path", "credentials: [{name: ../a, type: x509-svid}]\n",
	  "8:22", "1 to 63 of" },
	{ "nine credentials", "credentials: [{name: a, type: x509-svid},"
	  "{name: b, type: x509-svid},{name: c, type: x509-svid},"
	  "{name: d, type: x509-svid},{name: e, type: x509-svid},"
	  "{name: f, type: x509-svid},{name: g, type: x509-svid},"
	  "{name: h, type: x509-svid},{name: i, type: x509-svid}]\n", "8:",
	  "credentials: too many: at most 8" },

	{ "approved by the asker", "exceptions: [{what: a, why: b, requested-by: "
	  "c@example.com, approved-by: C@example.com, until: 2027-01-01}]\n",
	  "8:74", "another person" },
	{ "no such day", "exceptions: [{what: a, why: b, requested-by: c, "
	  "approved-by: d, until: 2027-02-29}]\n", "8:72", "a day of the calendar" },

	{ "ambit's variable", "run: {environment: {AMBIT_TASK: a}}\n", "8:33",
	  "run.environment.AMBIT_TASK: ambit sets" },
	{ "HOME", "run: {pass-environment: [TERM, HOME]}\n", "8:32",
	  "run.pass-environment[1]: HOME: ambit sets it" },
	{ "a name that is none", "run: {environment: {a-b: c}}\n", "8:26",
	  "letters, digits and _" },
	{ "a list as value", "run: {environment: {a: [c]}}\n", "8:24",
	  "one value" },
	{ "given and passed on",
	  "run: {environment: {A: b}, pass-environment: [A]}\n", "8:47",
	  "run.environment sets it" },
	{ "an AWS key", "run: {environment: {K: AKIAIOSFODNN7EXAMPLE}}\n", "8:24",
	  "looks like an AWS access key" },
	{ "a token as argument",
	  "run: {command: [a, --token=ghp_0123456789abcdefghij]}\n", "8:20",
	  "run.command[1]: looks like a GitHub token" },
	{ "a key", "run: {environment: {K: \"-----BEGIN PRIVATE KEY-----\"}}\n",
	  "8:24", "looks like a key" },
};

static void test_wrong(void)
{
	struct profile *profile;
	struct error error;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[4096], at[64];
		snprintf(text, sizeof(text), HEAD "%s", wrong[i].text);
		snprintf(at, sizeof(at), "p.yaml:%s", wrong[i].at);
		int result = parse(text, strlen(text), &profile, &error);
		ok(result == -EINVAL && !strncmp(error.text, at, strlen(at)) &&
		   strstr(error.text, wrong[i].message), "refused: %s",
		   wrong[i].what);
		if (result != -EINVAL || strncmp(error.text, at, strlen(at)) ||
		    !strstr(error.text, wrong[i].message))
			diag("got '%s', wanted '%s' and '%s'", error.text, at,
			     wrong[i].message);
		profile_free(profile);
	}
}

/* Whole texts, for what is wrong in the head. */
static void test_wrong_head(void)
{
	static const struct {
		const char *what, *old, *new, *message;
	} rows[] = {
		{ "format version", "ambit: 1", "ambit: 2",
		  "p.yaml:1:8: ambit: 2: format version 1" },
		{ "upper case", "name: sample", "name: Sample",
		  "p.yaml:2:7: name: Sample: 1 to 63" },
		{ "name that ends in -", "name: sample", "name: sample-",
		  "p.yaml:2:7: name" },
		{ "no name", "name: sample\n", "", "p.yaml:1:1: name: missing" },
		{ "empty owner", "team@example.com", "\"\"",
		  "p.yaml:3:8: owner: empty" },
		{ "purpose of two lines", "Tries things out", "\"a\\nb\"",
		  "p.yaml:4:10: purpose: several lines" },
		{ "tier", "tier: low", "tier: tiny",
		  "p.yaml:5:7: tier: tiny: low, medium or high" },
		{ "review day", "2027-03-31", "2027-04-31",
		  "p.yaml:6:46: review.by: 2027-04-31: a day" },
		{ "review day as number", "2027-03-31", "20270331",
		  "p.yaml:6:46: review.by" },
		{ "no approver", "approved-by: other@example.com, ", "",
		  "p.yaml:6:9: review.approved-by: missing" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		static const char head[] = HEAD;
		const char *at = strstr(head, rows[i].old);
		struct profile *profile;
		struct error error;
		char text[1024];
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - head), head,
			 rows[i].new, at + strlen(rows[i].old));
		is_int(parse(text, strlen(text), &profile, &error), -EINVAL,
		       "refused: %s", rows[i].what);
		has_string(error.text, rows[i].message, "… and where");
	}
}

static void test_wrong_files(void)
{
	struct profile *profile;
	struct error error;
	char *large = malloc(PROFILE_BYTES + 2);

	if (!large)
		bail_out("out of memory");
	is_int(parse("", 0, &profile, &error), -EINVAL, "refused: an empty file");
	is_string(error.text, "p.yaml:1:1: empty: a profile was expected",
		  "… and says so");
	is_int(parse("# nothing\n", 10, &profile, &error), -EINVAL,
	       "refused: only comments");
	is_int(parse("- a\n", 4, &profile, &error), -EINVAL, "refused: a list");
	is_int(parse("%YAML 1.1\n---\na: b\n", 19, &profile, &error), -EINVAL,
	       "refused: a directive");
	is_int(parse("a: b\0c: d\n", 10, &profile, &error), -EINVAL,
	       "refused: a NUL byte");
	has_string(error.text, "p.yaml:1:5: NUL byte", "… and where");
	memset(large, '#', PROFILE_BYTES + 1);
	is_int(parse(large, PROFILE_BYTES + 1, &profile, &error), -E2BIG,
	       "refused: a byte too large");
	memset(large, '[', PROFILE_BYTES);
	is_int(parse(large, PROFILE_BYTES, &profile, &error), -EINVAL,
	       "refused: a million brackets");
	has_string(error.text, "nested too deep", "… as soon as that is seen");
	free(large);
}

static const char *const good[] = {
	HEAD,
	HEAD "run: {command: [a, \"b\\n\\\"c\\\\\\t\", \"\"], directory: /opt/x, "
	     "environment: {A: \"\", B: 'no', C: \"x\\ty\"}, pass-environment: [D], "
	     "lifetime: unlimited, grace: 0s}\n",
	HEAD "run: {directory: home, lifetime: 90s, grace: 120s}\n",
	HEAD "limits: {memory: 2048M, processes: 1, cpu: 350%, open-files: 16, "
	     "file-size: unlimited}\n",
	HEAD "files: {system: none, read: [/opt/a], write: [/opt/a/w, /srv/x], "
	     "execute: [/tmp, home, /srv/x/bin]}\n",
	HEAD "syscalls: {base: \"@base-io\", allow: [\"@process\", ptrace], "
	     "deny: [io_setup]}\n",
	HEAD "egress:\n  - {to: CRM.Example.COM, ports: [443],\n     addresses: "
	     "[10.77.0.1/32, 'FD00:0::/8', 10.78.0.0/16]}\n"
	     "  - {to: '*.example.com', ports: [443, 80], tls: off, tool: a.B_c-1}\n"
	     "  - {to: 192.0.2.0/24, ports: [5432, 8000-8100], protocol: udp}\n"
	     "  - {to: 10.0.0.1/32, ports: [1]}\n"
	     "  - {to: 0.0.0.0/0, ports: [1-65535]}\n"
	     "  - {to: '2001:DB8::/32', ports: [1]}\n"
	     "  - {to: '2001:db8:0:0::1', ports: [1]}\n"
	     "  - {to: 'unix:/run/postgresql/.s.PGSQL.5432', tool: db}\n",
	HEAD "listen: [8080, 8000-8010, 8080/udp, '0.0.0.0:81', '[::]:82/udp', "
	     "'127.0.0.1:83', '[::1]:84']\n",
	HEAD "credentials:\n  - {name: a, type: jwt-svid, audience: 'https://x/'}\n"
	     "  - {name: b, type: x509-svid}\n",
	HEAD "exceptions: [{what: 'a: b', why: \"c # d\", requested-by: 'e\"f', "
	     "approved-by: \"g'h\", until: 2028-02-29}]\n",
	"---\nambit: \"1\"\nname: 'null'\nowner: yes\npurpose: \xc3\xa4\xe2\x82\xac\n"
	"tier: 'high'\nreview:\n  approved-by: |-\n    somebody\n  by: 2027-01-01\n...\n",
};

/* parse(print(p)) is p: what matters of p is what print prints. */
static void test_round_trips(void)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct profile *profile, *again = NULL;
		struct error error;
		char *first = NULL, *second = NULL;
		size_t length = 0;
		if (!is_int(parse(good[i], strlen(good[i]), &profile, &error), 0,
			    "good text %zu is read", i)) {
			diag("%s", error.text);
			continue;
		}
		is_int(profile_print(profile, &first, &length, &error), 0,
		       "… printed");
		is_int((long long)strlen(first), (long long)length, "… to its end");
		if (!is_int(parse(first, length, &again, &error), 0, "… read again"))
			diag("%s in:\n%s", error.text, first);
		else
			is_int(profile_print(again, &second, &length, &error), 0,
			       "… printed again");
		is_string(second, first, "… the same");
		profile_free(profile);
		profile_free(again);
		free(first);
		free(second);
	}
}

static void test_values(void)
{
	struct profile *profile;
	struct error error;

	if (parse(good[0], strlen(good[0]), &profile, &error))
		bail_out("%s", error.text);
	is_int((long long)profile->run.lifetime, 86400, "default lifetime: a day");
	is_int((long long)profile->run.grace, 10, "default grace");
	ok(profile->limits.memory == PROFILE_UNLIMITED &&
	   profile->limits.cpu == PROFILE_UNLIMITED &&
	   profile->limits.processes == 64 && profile->limits.open_files == 1024 &&
	   profile->limits.file_size == 1 << 30, "default limits");
	ok(!profile->egress_count && !profile->listen_count &&
	   !profile->credential_count && !profile->files.write_count,
	   "by default nothing is reachable");
	is_string(profile->syscalls.base, "@agent", "default set");
	is_string(profile->run.directory, "", "default directory: the private home");
	is_string(profile->sha256, "", "the digest is the caller's");
	profile_free(profile);

	if (parse(good[6], strlen(good[6]), &profile, &error))
		bail_out("%s", error.text);
	const struct profile_endpoint *at = profile->egress;
	static const uint8_t v4[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255,
					192, 0, 2, 0 };
	is_string(at[0].to, "crm.example.com", "names are lower-cased");
	is_int(at[0].tls, PROFILE_TLS_REQUIRED, "a name on 443 speaks TLS");
	ok(at[0].address_count == 3 && !strcmp(at[0].addresses[0].text, "10.77.0.1") &&
	   !strcmp(at[0].addresses[1].text, "fd00::/8") &&
	   at[0].addresses[2].prefix == 96 + 16 && !at[1].address_count,
	   "its private addresses, in their canonical form");
	is_int(at[1].tls, PROFILE_TLS_OFF, "… unless it says otherwise");
	ok(!memcmp(at[2].address, v4, 16) && at[2].prefix == 96 + 24,
	   "IPv4 is kept as mapped");
	ok(at[2].ports[1].low == 8000 && at[2].ports[1].high == 8100, "ranges");
	is_string(at[3].to, "10.0.0.1", "a block of one is an address");
	is_int(at[3].kind, PROFILE_ENDPOINT_ADDRESS, "… of that kind");
	is_string(at[6].to, "2001:db8::1", "IPv6 in its canonical form");
	is_int(at[7].kind, PROFILE_ENDPOINT_UNIX, "a unix socket");
	is_int(at[2].line, 12, "entries know their line");
	profile_free(profile);

	if (parse(good[7], strlen(good[7]), &profile, &error))
		bail_out("%s", error.text);
	ok(!profile->listen[0].anywhere && profile->listen[3].anywhere &&
	   profile->listen[4].anywhere && !profile->listen[5].anywhere &&
	   !profile->listen[6].anywhere, "loopback unless every address is named");
	profile_free(profile);
}

static void test_days(void)
{
	static const struct {
		struct profile_date today;
		int result;
	} rows[] = {
		{ { 2026, 1, 1 }, 0 },
		{ { 2027, 3, 31 }, 0 },
		{ { 2027, 4, 1 }, -EKEYEXPIRED },
		{ { 2028, 1, 1 }, -EKEYEXPIRED },
	};
	struct profile *profile;
	struct error error;

	if (parse(good[0], strlen(good[0]), &profile, &error))
		bail_out("%s", error.text);
	for (size_t i = 0; i < COUNT(rows); i++) {
		error = (struct error){ 0 };
		is_int(profile_expired(profile, rows[i].today, &error),
		       rows[i].result, "review by 2027-03-31, on %u-%u-%u",
		       rows[i].today.year, rows[i].today.month, rows[i].today.day);
	}
	has_string(error.text, "review: was due by 2027-03-31", "… says what is due");
	profile_free(profile);

	static const char text[] = HEAD "exceptions: [{what: a, why: b, "
		"requested-by: c, approved-by: d, until: 2026-12-31}]\n";
	if (parse(text, strlen(text), &profile, &error))
		bail_out("%s", error.text);
	error = (struct error){ 0 };
	is_int(profile_expired(profile, (struct profile_date){ 2026, 12, 31 },
			       &error), 0, "an exception holds on its last day");
	is_int(profile_expired(profile, (struct profile_date){ 2027, 1, 1 }, &error),
	       -EKEYEXPIRED, "… and ends the profile after it");
	has_string(error.text, "exceptions[0]: ended on 2026-12-31", "… and says so");
	profile_free(profile);
}

/* Every prefix, and every byte changed: an error or a profile, never a crash.
 * The text lies at the end of its own allocation, so that the sanitizer sees
 * reading past it. */
static void test_mangled(void)
{
	const char *whole = good[6];
	size_t length = strlen(whole);
	unsigned read = 0, refused = 0;

	for (size_t i = 0; i < 2 * length; i++) {
		size_t size = i < length ? i : length;
		char *text = malloc(size ? size : 1);
		struct profile *profile;
		struct error error;
		if (!text)
			bail_out("out of memory");
		memcpy(text, whole, size);
		if (i >= length)
			text[i - length] = "\0[]{}:*&!\xff\n"[i % 12];
		if (parse(text, size, &profile, &error))
			refused++;
		else
			read++;
		profile_free(profile);
		free(text);
	}
	is_int(read + refused, (long long)(2 * length),
	       "every prefix and every changed byte is survived");
	ok(refused > length, "… and most are refused");
}

int main(void)
{
	test_wrong();
	test_wrong_head();
	test_wrong_files();
	test_round_trips();
	test_values();
	test_days();
	test_mangled();
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to unix sockets: by listed paths, by others, by abstract names. */
#include "kernel_driver.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

struct unix_case {
	const char *name, *path;
	deed what;
	int mode, scoped;
	int verdict, reason;
};

static void test_unix_case(struct bounded *agent, const struct unix_case *c)
{
	int kind = c->what == do_unix_stream ? AMBIT_ATTEMPT_UNIX_CONNECT :
					       AMBIT_ATTEMPT_UNIX_SEND;
	int rule = c->reason == AMBIT_REASON_RULE ? 1 : (int)AMBIT_NO_RULE;
	struct expected expected = { c->verdict ? 0 : -EPERM, kind, c->verdict,
				     c->reason, rule, NULL, 0 };
	char path[AMBIT_UNIX_PATH + 1] = "";

	agent->policy.unix_mode = (uint16_t)c->mode;
	agent->policy.abstract_scoped = (uint8_t)c->scoped;
	bounded_apply(agent);
	int result = bounded_do(agent, c->what, c->path, 0, 0);
	judged(agent, result, &expected, "%s", c->name);
	memcpy(path, records[0].path, AMBIT_UNIX_PATH);
	ok(records[0].path_length == strlen(c->path) &&
	   !strcmp(path + (c->path[0] == '@'), c->path + (c->path[0] == '@')),
	   "%s: the record has the path", c->name);
}

/* What the agent tries to reach; open outside. */
enum { LISTED, LONGER, EQUAL, FULL, ABSTRACT, DATAGRAM, PATHS };
static char paths[PATHS][AMBIT_UNIX_PATH + 1];

static void open_paths(const char *directory, int ret_fds[PATHS])
{
	size_t length = strlen(directory);

	snprintf(paths[LISTED], sizeof(paths[0]), "%s/listed", directory);
	snprintf(paths[LONGER], sizeof(paths[0]), "%s/listed2", directory);
	snprintf(paths[EQUAL], sizeof(paths[0]), "%s/listee", directory);
	snprintf(paths[DATAGRAM], sizeof(paths[0]), "%s/datagram", directory);
	snprintf(paths[ABSTRACT], sizeof(paths[0]), "@%s", directory + 1);
	/* As long as an address can be: no zero behind it. */
	memset(paths[FULL], 'f', AMBIT_UNIX_PATH);
	memcpy(paths[FULL], directory, length);
	paths[FULL][length] = '/';
	for (int i = 0; i < PATHS; i++) {
		struct place place = place_at(paths[i], 0);
		int type = i == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
		ret_fds[i] = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
		must(bind(ret_fds[i], (struct sockaddr *)&place.address,
			  place.length) < 0 ||
		     (type == SOCK_STREAM && listen(ret_fds[i], 8) < 0), NULL);
	}
}

static void close_paths(const char *directory, const int fds[PATHS])
{
	for (int i = 0; i < PATHS; i++) {
		close(fds[i]);
		if (i != ABSTRACT)
			unlink(paths[i]);
	}
	rmdir(directory);
}

/* The hooks must be there from 6.7 on: a program that does not load on such a
 * kernel is a mistake of ours. */
static void check_absence(void)
{
	struct utsname kernel;
	unsigned major = 0, minor = 0;

	must(uname(&kernel) < 0 ||
	     sscanf(kernel.release, "%u.%u", &major, &minor) != 2, NULL);
	ok(major < 6 || (major == 6 && minor < 7),
	   "no unix hooks: the kernel is older than 6.7");
}

static const struct unix_case cases[] = {
	{ "unix connect, listed", paths[LISTED], do_unix_stream,
	  AMBIT_UNIX_LISTED, 0, 1, AMBIT_REASON_RULE },
	{ "unix connect, longer than a listed path", paths[LONGER],
	  do_unix_stream, AMBIT_UNIX_LISTED, 0, 0, AMBIT_REASON_NO_RULE },
	{ "unix connect, as long as a listed path", paths[EQUAL],
	  do_unix_stream, AMBIT_UNIX_LISTED, 0, 0, AMBIT_REASON_NO_RULE },
	{ "unix connect, private", paths[LONGER], do_unix_stream,
	  AMBIT_UNIX_PRIVATE, 0, 1, AMBIT_REASON_PRIVATE },
	{ "unix connect, path of 108 bytes", paths[FULL], do_unix_stream,
	  AMBIT_UNIX_LISTED, 0, 0, AMBIT_REASON_NO_RULE },
	{ "unix connect, private path of 108 bytes", paths[FULL],
	  do_unix_stream, AMBIT_UNIX_PRIVATE, 0, 1, AMBIT_REASON_PRIVATE },
	{ "unix send", paths[DATAGRAM], do_unix_datagram, AMBIT_UNIX_LISTED, 0,
	  0, AMBIT_REASON_NO_RULE },
	{ "three unix sends, private", paths[DATAGRAM], do_unix_datagram,
	  AMBIT_UNIX_PRIVATE, 0, 1, AMBIT_REASON_PRIVATE },
	{ "unix connect, abstract", paths[ABSTRACT], do_unix_stream,
	  AMBIT_UNIX_PRIVATE, 0, 0, AMBIT_REASON_ABSTRACT },
	{ "unix connect, abstract, kept inside by Landlock", paths[ABSTRACT],
	  do_unix_stream, AMBIT_UNIX_LISTED, 1, 1, AMBIT_REASON_PRIVATE },
};

static const struct unix_case after_cut = {
	"unix connect, cut", paths[LISTED], do_unix_stream, AMBIT_UNIX_PRIVATE,
	1, 0, AMBIT_REASON_CUT,
};

void test_unix(struct outside *outside)
{
	char directory[] = "/tmp/ambit-kernel-XXXXXX";
	struct bounded agent;
	int fds[PATHS];

	(void)outside;
	if (!kernel_has_unix_hooks(node.kernel)) {
		check_absence();
		return;
	}
	must(!mkdtemp(directory), NULL);
	open_paths(directory, fds);
	bounded_start(&agent, "unix", 8);
	policy_unix(&agent, "/nowhere");
	policy_unix(&agent, paths[LISTED]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		test_unix_case(&agent, &cases[i]);
	agent.policy.state = AMBIT_POLICY_CUT;
	test_unix_case(&agent, &after_cut);
	bounded_end(&agent);
	close_paths(directory, fds);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-porter: brings credentials to the agents and resolves names for them.
 * Started by ambitd as root with descriptor 3 to the warden and 4 to the issuer.
 * Behind its walls it can open nothing but new files in the directories that the
 * warden passes in, and sockets, which the kernel programs let reach the node's
 * resolvers alone.
 *
 * A peer that sends what it must not, or that is gone, ends the process: the
 * warden starts issuer and porter anew, as a pair.
 */
#include "names.h"
#include "serve.h"

#include "base/number.h"
#include "base/own.h"
#include "base/walls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { WARDEN = 3, ISSUER = 4 };

/* One directory per agent, the files in flight, and a few. */
#define OPEN_FILES (AMBIT_SLOTS + SERVE_WINDOW + NAMES_SOCKETS + 32)

static const char *const calls[] = {
	"poll", "ppoll", "recvmsg", "sendmsg", "sendfile", "write", "close",
	"fstat", "newfstatat", "renameat", "renameat2",
	/* Sockets: those of the agents' questions, those to the resolvers. */
	"accept4", "connect", "getsockname", "getsockopt", "getpeername",
	"recvfrom", "sendto", "writev",
	"getrandom", "clock_gettime", "futex",
	"brk", "munmap", "mremap", "madvise", "rt_sigreturn",
	"restart_syscall", "exit", "exit_group", NULL,
};

#define EXACTLY(n, v) { .argument = n, .used = FILTER_EQUAL, .mask = 0xffffffff, .value = v }
#define NONE_OF(n, m) { .argument = n, .used = FILTER_EQUAL, .mask = m, .value = 0 }

/* Files are made, never opened. */
static const struct filter_rule rules[] = {
	{ "openat", 0, { EXACTLY(2, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				 O_CLOEXEC) } },
	{ "unlinkat", 0, { EXACTLY(2, 0) } },
	{ "fcntl", 0, { EXACTLY(1, F_GET_SEALS) } },
	{ "fcntl", 0, { EXACTLY(1, F_GETFL) } },
	{ "fcntl", 0, { EXACTLY(1, F_SETFL) } },
	{ "fcntl", 0, { EXACTLY(1, F_SETFD) } },
	{ "fcntl", 0, { EXACTLY(1, F_GETFD) } },
	{ "ioctl", 0, { EXACTLY(1, FIONBIO) } },
	{ "socket", 0, { EXACTLY(0, AF_INET) } },
	{ "socket", 0, { EXACTLY(0, AF_INET6) } },
	{ "setsockopt", 0, { EXACTLY(1, IPPROTO_TCP), EXACTLY(2, TCP_NODELAY) } },
	{ "mmap", 0, { NONE_OF(2, PROT_EXEC), EXACTLY(4, (uint32_t)-1) } },
	{ "mprotect", 0, { NONE_OF(2, PROT_EXEC) } },
};

/* Credentials end by the wall clock. */
static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int parse(int count, char **words, uid_t *ret_uid,
		 const char **ret_resolvers)
{
	uint64_t uid;
	if (count != 5 || strcmp(words[1], "--uid") != 0 ||
	    number_parse(words[2], strlen(words[2]), UINT32_MAX - 1, &uid) < 0 ||
	    strcmp(words[3], "--resolvers") != 0)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	*ret_resolvers = words[4];
	return 0;
}

/* What ambitd promises to have passed. */
static int check_descriptors(struct error *error)
{
	for (int fd = WARDEN; fd <= ISSUER; fd++) {
		int result = message_check(fd, error);
		if (result)
			return result;
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return error_errno(error, errno, "descriptor %d", fd);
	}
	if (close_range(ISSUER + 1, ~0U, 0) < 0)
		return error_errno(error, errno, "descriptors");
	return 0;
}

static int start(uid_t uid, const char *resolvers, struct names **ret_names,
		 struct error *error)
{
	const struct walls walls = {
		.uid = uid, .calls = calls, .rules = rules,
		.rule_count = sizeof(rules) / sizeof(rules[0]),
	};
	const struct rlimit files = { OPEN_FILES, OPEN_FILES };
	umask(0);	/* the modes given are those meant */
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		return error_errno(error, errno, "core limit");
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(error, errno, "limit of %u open files",
				   OPEN_FILES);
	int result = check_descriptors(error);
	/* Its sockets are ours, hence of our cgroup. */
	if (!result)
		result = names_open(resolvers, ret_names, error);
	return result ? result : walls_enter(&walls, error);
}

struct porter {
	struct serve serve;
	struct names *names;
};

static int take_warden(struct porter *porter, struct message *message)
{
	const union message_body *body = &message->body;

	switch (message->type) {
	case AMBIT_MESSAGE_NAME:
		return names_listed(porter->names, &body->name);
	case AMBIT_MESSAGE_ADMITTED:
		return names_admitted(porter->names, &body->admitted);
	case AMBIT_MESSAGE_DISMISS:
		names_dismiss(porter->names, body->dismiss.instance);
		return serve_warden(&porter->serve, message, now_ms());
	default:
		return serve_warden(&porter->serve, message, now_ms());
	}
}

static int take_issuer(struct porter *porter, struct message *message)
{
	return serve_issuer(&porter->serve, message, now_ms());
}

/* Takes everything that `peer` has said.  Returns 1, 0 when it is gone, or a
 * negative errno. */
static int hear(struct porter *porter, int peer,
		int (*take)(struct porter *, struct message *))
{
	static struct message message;
	int got;
	while ((got = message_receive(peer, 0, &message)) == 1) {
		int result = take(porter, &message);
		message_release(&message);
		if (result < 0)
			return result;
	}
	return got == -EAGAIN ? 1 : got;
}

static int complain(const char *peer, int result)
{
	fprintf(stderr, "ambit-porter: %s: %s\n", peer,
		result ? strerror(-result) : "is gone");
	return 1;
}

/* Returns the exit status. */
static int loop(struct porter *porter)
{
	static struct pollfd sockets[2 + NAMES_SOCKETS];
	struct serve *serve = &porter->serve;

	for (;;) {
		short more = outbox_waiting(&serve->outbox) ? POLLOUT : 0;
		sockets[0] = (struct pollfd){ WARDEN, (short)(POLLIN | more), 0 };
		sockets[1] = (struct pollfd){ ISSUER, POLLIN, 0 };
		int timeout = serve_timeout(serve, now_ms());
		unsigned count = names_watch(porter->names, sockets + 2, &timeout);
		int found = poll(sockets, 2 + count, timeout);
		if (found < 0 && errno != EINTR)
			return complain("poll", -errno);
		int result = outbox_flush(&serve->outbox);
		if (result < 0)
			return complain("warden", result);
		/* Before the questions: who asks must be known. */
		result = hear(porter, WARDEN, take_warden);
		if (result == 0)
			return 0;
		if (result < 0)
			return complain("warden", result);
		result = hear(porter, ISSUER, take_issuer);
		if (result <= 0)
			return complain("issuer", result);
		result = serve_due(serve, now_ms());
		if (result < 0)
			return complain("issuer", result);
		if (found < 0)
			continue;
		result = names_work(porter->names, &serve->outbox, sockets + 2,
				    count);
		if (result < 0)
			return complain("names", result);
	}
}

int main(int count, char **words)
{
	static struct porter porter;
	struct error error = { 0 };
	const char *resolvers;
	uid_t uid;

	if (parse(count, words, &uid, &resolvers) < 0) {
		fprintf(stderr, "ambit-porter: is started by ambitd\n");
		return 2;
	}
	start(uid, resolvers, &porter.names, &error);
	struct ambit_ready ready = { .error = error.code };
	snprintf(ready.reason, sizeof(ready.reason), "%.255s", error.text);
	if (!error.code)
		ready.port = names_port(porter.names);
	int told = message_send(WARDEN, AMBIT_MESSAGE_READY, &ready, NULL);
	if (error.code)
		fprintf(stderr, "ambit-porter: %s\n", error.text);
	if (error.code || told < 0)
		return 1;
	serve_setup(&porter.serve, WARDEN, ISSUER, uid);
	int status = loop(&porter);
	serve_clear(&porter.serve);
	names_close(porter.names);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-porter: brings credentials to the agents.  Started by ambitd as root
 * with descriptor 3 to the warden and 4 to the issuer.  Behind its walls it can
 * open nothing but new files in the directories that the warden passes in.
 *
 * A peer that sends what it must not, or that is gone, ends the process: the
 * warden starts issuer and porter anew, as a pair.
 */
#include "serve.h"

#include "base/number.h"
#include "base/own.h"
#include "base/walls.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { WARDEN = 3, ISSUER = 4 };

/* One directory per agent, the files in flight, and a few. */
#define OPEN_FILES (AMBIT_SLOTS + SERVE_WINDOW + 32)

static const char *const calls[] = {
	"poll", "ppoll", "recvmsg", "sendmsg", "sendfile", "write", "close",
	"fstat", "newfstatat", "renameat", "renameat2",
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

static int parse(int count, char **words, uid_t *ret_uid)
{
	uint64_t uid;
	if (count != 3 || strcmp(words[1], "--uid") != 0 ||
	    number_parse(words[2], strlen(words[2]), UINT32_MAX - 1, &uid) < 0)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	return 0;
}

/* What ambitd promises to have passed. */
static int check_descriptors(struct error *error)
{
	for (int fd = WARDEN; fd <= ISSUER; fd++) {
		int type = 0;
		socklen_t size = sizeof(type);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
			return error_errno(error, errno, "descriptor %d", fd);
		if (type != SOCK_SEQPACKET)
			return error_set(error, EPROTOTYPE, "descriptor %d: not a "
					 "packet socket", fd);
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return error_errno(error, errno, "descriptor %d", fd);
	}
	if (close_range(ISSUER + 1, ~0U, 0) < 0)
		return error_errno(error, errno, "descriptors");
	return 0;
}

static int start(uid_t uid, struct error *error)
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
	return result ? result : walls_enter(&walls, error);
}

/* Takes everything that `peer` has said.  Returns 1, 0 when it is gone, or a
 * negative errno. */
static int hear(struct serve *serve, int peer,
		int (*take)(struct serve *, struct message *, uint64_t))
{
	static struct message message;
	int got;
	while ((got = message_receive(peer, 0, &message)) == 1) {
		int result = take(serve, &message, now_ms());
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
static int loop(struct serve *serve)
{
	for (;;) {
		short more = outbox_waiting(&serve->outbox) ? POLLOUT : 0;
		struct pollfd peers[2] = {
			{ WARDEN, (short)(POLLIN | more), 0 },
			{ ISSUER, POLLIN, 0 },
		};
		int count = poll(peers, 2, serve_timeout(serve, now_ms()));
		if (count < 0 && errno != EINTR)
			return complain("poll", -errno);
		int result = outbox_flush(&serve->outbox);
		if (result < 0)
			return complain("warden", result);
		result = hear(serve, WARDEN, serve_warden);
		if (result == 0)
			return 0;
		if (result < 0)
			return complain("warden", result);
		result = hear(serve, ISSUER, serve_issuer);
		if (result <= 0)
			return complain("issuer", result);
		result = serve_due(serve, now_ms());
		if (result < 0)
			return complain("issuer", result);
	}
}

int main(int count, char **words)
{
	static struct serve serve;
	struct error error = { 0 };
	uid_t uid;

	if (parse(count, words, &uid) < 0) {
		fprintf(stderr, "ambit-porter: is started by ambitd\n");
		return 2;
	}
	start(uid, &error);
	struct ambit_ready ready = { .error = error.code };
	snprintf(ready.reason, sizeof(ready.reason), "%.255s", error.text);
	int told = message_send(WARDEN, AMBIT_MESSAGE_READY, &ready, NULL);
	if (error.code)
		fprintf(stderr, "ambit-porter: %s\n", error.text);
	if (error.code || told < 0)
		return 1;
	serve_setup(&serve, WARDEN, ISSUER, uid);
	int status = loop(&serve);
	serve_clear(&serve);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-recorder: drains the kernel's ring, turns records into lines, appends
 * them to the log, serves the audit pipe.  Started by ambitd only:
 *
 *     ambit-recorder --uid N
 *
 * with descriptor 3 the socket to the warden, 4 the log directory, 5 the
 * listening socket of the audit pipe.  It writes nothing but that directory and
 * has no network.  Ends with 0 when the warden closes the socket, with 1 when
 * anything is not as it has to be; what it had not finished is then still in the
 * ring.
 *
 * A turn: where does the ring end; take the warden's messages; take the ring's
 * records up to that end; write; sync; answer.  In this order an agent's OPEN,
 * sent before it can run, is always known before its first record.
 */
#include "recorder.h"

#include "base/number.h"
#include "base/own.h"
#include "base/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { WARDEN = 3, DIRECTORY = 4, LISTENER = 5 };

#define GATHER_MS 4
#define EVENTS 32

static struct recorder recorder;	/* 1 MiB: not for the stack */

static const char *const calls[] = {
	"read", "write", "pread64", "lseek", "openat", "close", "fstat",
	"newfstatat", "fcntl", "fsync", "fdatasync", "ftruncate", "unlinkat",
	"getdents64", "flock", "munmap", "mremap", "madvise", "brk",
	"epoll_wait", "epoll_pwait", "epoll_ctl", "accept4", "recvfrom",
	"sendto", "recvmsg", "sendmsg", "clock_gettime", "getrandom", "geteuid",
	"futex", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit",
	"exit_group", NULL,
};

/* No memory of this process is ever executable but its own text. */
static const struct filter_rule rules[] = {
	{ .call = "mmap", .conditions = { { .argument = 2, .used = FILTER_EQUAL,
					    .mask = PROT_EXEC, .value = 0 } } },
};

static int read_word(const char *path, char *word, size_t size,
		     struct error *error)
{
	OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, word, size - 1);

	if (got < 0)
		return error_errno(error, errno, "%s", path);
	word[got] = 0;
	word[strcspn(word, "\n")] = 0;
	return 0;
}

static int read_node(struct audit_node *node, struct error *error)
{
	int result = read_word("/proc/sys/kernel/random/boot_id", node->boot_id,
			       sizeof(node->boot_id), error);

	if (result < 0)
		return result;
	/* A machine without an id is still a machine: a container image. */
	if (access("/etc/machine-id", F_OK) == 0)
		result = read_word("/etc/machine-id", node->machine_id,
				   sizeof(node->machine_id), error);
	if (result < 0)
		return result;
	if (gethostname(node->hostname, sizeof(node->hostname) - 1) < 0)
		return error_errno(error, errno, "host name");
	return 0;
}

static int check_descriptors(struct error *error)
{
	static const struct {
		int fd;
		mode_t type;
		const char *what;
	} wanted[] = {
		{ WARDEN, S_IFSOCK, "the warden's socket" },
		{ DIRECTORY, S_IFDIR, "the log directory" },
		{ LISTENER, S_IFSOCK, "the audit pipe" },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		struct stat status;
		if (fstat(wanted[i].fd, &status) < 0)
			return error_errno(error, errno, "descriptor %d, %s",
					   wanted[i].fd, wanted[i].what);
		if ((status.st_mode & S_IFMT) != wanted[i].type)
			return error_set(error, EBADF, "descriptor %d: not %s",
					 wanted[i].fd, wanted[i].what);
	}
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	/* Fails only for a clock that does not exist. */
	if (clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Once per turn, so that a step of the wall clock shows at once. */
static void read_clocks(void)
{
	uint64_t wall = clock_ns(CLOCK_REALTIME);

	recorder.now_ns = clock_ns(CLOCK_MONOTONIC);
	recorder.wall_ms = wall / 1000000;
	recorder.boot_offset_ns = wall - clock_ns(CLOCK_BOOTTIME);
}

static int watch_warden(struct error *error)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = SOURCE_WARDEN };

	int flags = fcntl(WARDEN, F_GETFL);
	if (flags < 0 || fcntl(WARDEN, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_errno(error, errno, "warden");
	recorder.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (recorder.epoll < 0)
		return error_errno(error, errno, "epoll");
	if (epoll_ctl(recorder.epoll, EPOLL_CTL_ADD, WARDEN, &event) < 0)
		return error_errno(error, errno, "warden: epoll");
	recorder.warden = WARDEN;
	recorder.watched = EPOLLIN;
	return 0;
}

static void ignore_signals(void)
{
	/* The warden ends us by closing the socket: a signal to the whole group
	 * must not end the log before the last records. */
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
}

/* Everything opened that needs who we are now; then the walls; then, already
 * inside, the log, whose bytes an earlier recorder chose. */
static int start(uid_t uid, struct error *error)
{
	const struct walls walls = {
		.uid = uid,
		.calls = calls,
		.rules = rules,
		.rule_count = sizeof(rules) / sizeof(*rules),
	};

	ignore_signals();
	int result = check_descriptors(error);
	if (!result)
		result = read_node(&recorder.node, error);
	if (!result)
		result = watch_warden(error);
	if (!result)
		result = pipe_open(&recorder.pipe, recorder.epoll, LISTENER, error);
	if (!result)
		result = walls_enter(&walls, error);
	if (result < 0)
		return result;
	read_clocks();
	recorder.repeats.at = calloc(RECORDER_REPEATS, sizeof(struct repeat));
	if (!recorder.repeats.at)
		return error_errno(error, ENOMEM, "log");
	result = log_open(&recorder.log, DIRECTORY, drain_seen, &recorder, error);
	if (!result && recorder.log.cut) {
		struct audit_notice notice = {
			.kind = AUDIT_NOTICE_RECOVERED,
			.message = "a line torn by a crash was cut off the end",
			.numbers = { { "bytes_cut", recorder.log.cut } },
		};
		result = notice_add(&recorder, &notice, 0);
	}
	return result;
}

static int timeout_ms(int more)
{
	uint64_t due = recorder.outage.error ? recorder.outage.retry_ns :
					       recorder.sync_ns;

	if (more || (!recorder.outage.error &&
		     (recorder.log.written < recorder.log.used ||
		      ring_more(&recorder.ring))))
		return 0;
	if (!due)
		return -1;
	if (due <= recorder.now_ns)
		return 0;
	return (int)((due - recorder.now_ns + 999999) / 1000000);
}

static int turn(struct error *error)
{
	uint64_t end = ring_end(&recorder.ring);
	int more = events_receive(&recorder, error);

	if (more < 0)
		return more;
	if (!more && !recorder.outage.error) {
		int result = drain_ring(&recorder, end, error);
		if (result < 0)
			return result;
	}
	drain_closings(&recorder);
	write_turn(&recorder);
	int result = events_flush(&recorder, error);
	return result < 0 ? result : more && events_room(&recorder);
}

static void dispatch(const struct epoll_event *event)
{
	if (event->data.u64 == SOURCE_LISTENER)
		pipe_accept(&recorder);
	else if (event->data.u64 >= SOURCE_CLIENT)
		pipe_ready(&recorder, (unsigned)(event->data.u64 - SOURCE_CLIENT),
			   event->events);
	/* The warden and the ring are looked at in every turn. */
}

/* The warden is gone: what the ring has now goes to the disk. */
static int finish(struct error *error)
{
	uint64_t end = ring_end(&recorder.ring);
	uint64_t before;

	do {
		before = recorder.ring.at;
		int result = drain_ring(&recorder, end, error);
		if (result < 0)
			return result;
		drain_closings(&recorder);
		write_turn(&recorder);
		if (recorder.outage.error)
			return error_errno(error, recorder.outage.error, "log");
	} while (recorder.ring.at != before ||
		 recorder.log.written < recorder.log.used);
	return 0;
}

/*
 * Waking up costs more than a record.  The kernel wakes us for a record only when
 * everything before it was taken, so by letting records gather for a moment all
 * but the first of them come without a wake-up.  A refusal, the warden or a
 * reader ends the moment early.
 */
static int gather(struct epoll_event *events, int count)
{
	if (count != 1 || events[0].data.u64 != SOURCE_RING)
		return count;
	return epoll_wait(recorder.epoll, events, EVENTS, GATHER_MS);
}

static int run(struct error *error)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int more = turn(error);
		if (more < 0)
			return more;
		if (recorder.gone)
			return finish(error);
		int count = epoll_wait(recorder.epoll, events, EVENTS,
				       timeout_ms(more));
		count = gather(events, count);
		if (count < 0 && errno != EINTR)
			return error_errno(error, errno, "epoll");
		read_clocks();
		for (int i = 0; i < count; i++)
			dispatch(&events[i]);
	}
}

static int say_ready(const struct error *error)
{
	struct ambit_ready ready = { .error = error->code };

	/* READY's reason is shorter than an error's text. */
	memcpy(ready.reason, error->text,
	       strnlen(error->text, sizeof(ready.reason) - 1));
	return message_send(WARDEN, AMBIT_MESSAGE_READY, &ready, NULL);
}

int main(int count, char **words)
{
	struct error error = { 0 };
	uint64_t uid;

	if (count != 3 || strcmp(words[1], "--uid") != 0 ||
	    number_parse(words[2], strlen(words[2]), UINT32_MAX - 1, &uid) < 0) {
		fputs("usage: ambit-recorder --uid N  (started by ambitd)\n", stderr);
		return 2;
	}
	start((uid_t)uid, &error);
	int result = say_ready(&error);
	if (!error.code && result < 0)
		error_errno(&error, -result, "warden");
	if (!error.code)
		run(&error);
	if (!error.code)
		return 0;
	fprintf(stderr, "ambit-recorder: %s\n", error.text);
	return 1;
}

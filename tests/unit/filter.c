/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters, twice over: run in a simulator of classic BPF over a table of calls,
 * and loaded for real in a child that makes the calls.
 */
#include "base/filter.h"
#include "base/walls.h"
#include "simulate.h"
#include "tap.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define REFUSED(code) (SECCOMP_RET_ERRNO | (code))

#define MASK32 UINT64_C(0xffffffff)

static const struct filter_rule allow[] = {
	{ "read", 0, { { 0 } } },
	{ "write", 0, { { 0 } } },
	{ "exit_group", 0, { { 0 } } },
	{ "ioctl", 0, { { 0 } } },
	{ "seccomp", 0, { { 0 } } },
	{ "sigaltstack", 0, { { 0 } } },	/* AddressSanitizer, at _exit */
	{ "socket", 0, { { 0, 1, MASK32, AF_UNIX }, { 1, 1, 0xf, SOCK_STREAM } } },
	{ "socket", 0, { { 0, 1, MASK32, AF_INET }, { 1, 1, 0xf, SOCK_DGRAM } } },
	{ "clone", 0, { { 0, 1, CLONE_NEWUSER | CLONE_NEWNET, 0 } } },
	/* covered by a rule without conditions, in both orders */
	{ "getpid", 0, { { 0 } } },
	{ "getpid", 0, { { 0, 1, MASK32, 1 } } },
	{ "getppid", 0, { { 0, 1, MASK32, 1 } } },
	{ "getppid", 0, { { 0 } } },
	{ "read", 0, { { 0 } } },
	{ "no_such_call", 0, { { 0 } } },
};

static const struct filter_rule refuse[] = {
	{ "ioctl", EPERM, { { 1, 1, MASK32, TIOCSTI } } },
	{ "ioctl", ENOTTY, { { 1, 1, MASK32, TIOCSETD } } },
	{ "getppid", EXDEV, { { 0 } } },
};

#define HIGH (UINT64_C(1) << 32)

static const struct {
	const char *what;
	uint32_t arch;
	int number;
	uint64_t arguments[6];
	uint32_t answer;
} calls[] = {
	{ "a listed call", NATIVE, SYS_read, { 0 }, SECCOMP_RET_ALLOW },
	{ "an unlisted call", NATIVE, SYS_bpf, { 0 }, REFUSED(EPERM) },
	{ "a number nobody knows", NATIVE, 1000, { 0 }, REFUSED(ENOSYS) },
	{ "a number in a hole", NATIVE, 400, { 0 }, REFUSED(ENOSYS) },
	{ "the highest plain number", NATIVE, 0x3fffffff, { 0 }, REFUSED(ENOSYS) },
	{ "clone3", NATIVE, SYS_clone3, { 0 }, REFUSED(ENOSYS) },
	{ "foreign ABI, listed number", FOREIGN, SYS_read, { 0 },
	  SECCOMP_RET_KILL_PROCESS },
	{ "foreign ABI, unknown number", FOREIGN, 1000, { 0 },
	  SECCOMP_RET_KILL_PROCESS },
#ifdef __x86_64__
	{ "x32 read", NATIVE, 0x40000000, { 0 }, SECCOMP_RET_KILL_PROCESS },
	{ "x32 of its own numbers", NATIVE, 0x40000000 + 512, { 0 },
	  SECCOMP_RET_KILL_PROCESS },
	{ "x32 unknown", NATIVE, 0x40000000 + 5000, { 0 },
	  SECCOMP_RET_KILL_PROCESS },
#endif
	{ "one alternative", NATIVE, SYS_socket, { AF_UNIX, SOCK_STREAM },
	  SECCOMP_RET_ALLOW },
	{ "the other", NATIVE, SYS_socket, { AF_INET, SOCK_DGRAM },
	  SECCOMP_RET_ALLOW },
	{ "a mixture of both", NATIVE, SYS_socket, { AF_INET, SOCK_STREAM },
	  REFUSED(EPERM) },
	{ "flags outside the mask", NATIVE, SYS_socket,
	  { AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC }, SECCOMP_RET_ALLOW },
	{ "upper half set, lower half allowed", NATIVE, SYS_socket,
	  { HIGH | AF_UNIX, SOCK_STREAM }, SECCOMP_RET_ALLOW },
	{ "upper half set, lower half not", NATIVE, SYS_socket,
	  { HIGH | AF_PACKET, SOCK_STREAM }, REFUSED(EPERM) },
	{ "clone, plain", NATIVE, SYS_clone, { SIGCHLD }, SECCOMP_RET_ALLOW },
	{ "clone, new user namespace", NATIVE, SYS_clone,
	  { SIGCHLD | CLONE_NEWUSER }, REFUSED(EPERM) },
	{ "clone, both", NATIVE, SYS_clone, { CLONE_NEWUSER | CLONE_NEWNET },
	  REFUSED(EPERM) },
	{ "covered, first", NATIVE, SYS_getpid, { 5 }, SECCOMP_RET_ALLOW },
	{ "ioctl, harmless", NATIVE, SYS_ioctl, { 0, TIOCGWINSZ },
	  SECCOMP_RET_ALLOW },
	{ "ioctl TIOCSTI", NATIVE, SYS_ioctl, { 0, TIOCSTI }, REFUSED(EPERM) },
	/* CVE-2019-7303, CVE-2019-10063: the kernel reads 32 bits */
	{ "ioctl TIOCSTI behind 2^32", NATIVE, SYS_ioctl, { 0, HIGH | TIOCSTI },
	  REFUSED(EPERM) },
	{ "ioctl with its own errno", NATIVE, SYS_ioctl, { 0, TIOCSETD },
	  REFUSED(ENOTTY) },
	{ "allowed and refused", NATIVE, SYS_getppid, { 0 }, REFUSED(EXDEV) },
	{ "covered, second", NATIVE, SYS_getppid, { 1 }, REFUSED(EXDEV) },
	{ "-1, as a tracer skips calls", NATIVE, -1, { 0 }, REFUSED(EPERM) },
};

static void test_simulated(const struct filter *filter)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		is_int(judge(filter, calls[i].arch, calls[i].number,
			     calls[i].arguments),
		       calls[i].answer, "simulated: %s", calls[i].what);

	/* Every number of the ABI, whatever the tree looks like. */
	int wrong = 0;
	static const int good[] = { SYS_read, SYS_write, SYS_exit_group, SYS_ioctl,
				    SYS_seccomp, SYS_clone, SYS_getpid,
				    SYS_sigaltstack };
	for (int number = 0; number < 2000; number++) {
		const uint64_t none[6] = { 0 };
		int expected = 0;
		for (size_t i = 0; i < COUNT(good); i++)
			expected |= good[i] == number;
		wrong += (judge(filter, NATIVE, number, none) ==
			  SECCOMP_RET_ALLOW) != expected;
	}
	is_int(wrong, 0, "simulated: every number, no argument");
}

/* Runs `child` behind the filter; returns its wait status. */
static int live(const struct filter *filter, int (*child)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || filter_load(filter))
			_exit(99);
		_exit(child());
	}
	int status;
	if (waitpid(pid, &status, 0) != pid)
		bail_out("waitpid: %s", strerror(errno));
	return status;
}

static int live_calls(void)
{
	if (syscall(SYS_getpid) <= 0)
		return 1;
	if (syscall(SYS_bpf, 0, 0, 0) != -1 || errno != EPERM)
		return 2;
	if (syscall(1000) != -1 || errno != ENOSYS)
		return 3;
	if (syscall(SYS_clone3, 0, 0) != -1 || errno != ENOSYS)
		return 4;
	if (syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0) != -1 || errno != EPERM)
		return 5;
	if (syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0)
		return 6;
	if (syscall(SYS_ioctl, 0, HIGH | TIOCSTI, "") != -1 || errno != EPERM)
		return 7;
	if (syscall(SYS_getppid) != -1 || errno != EXDEV)
		return 8;
	return 0;
}

#ifdef __x86_64__
static int live_x32(void)
{
	syscall(0x40000000 + SYS_getpid);
	return 0;
}

static int live_i386(void)
{
	long result;
	/* 20 is getpid there and writev here */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return (int)(result > 0);
}
#endif

static int killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void test_live(const struct filter *filter)
{
	int status = live(filter, live_calls);
	ok(WIFEXITED(status), "live: the child ends by itself");
	is_int(WEXITSTATUS(status), 0, "live: every call answered as simulated");
#ifdef __x86_64__
	ok(killed(live(filter, live_x32)), "live: x32 kills");
	ok(killed(live(filter, live_i386)), "live: i386 kills");
#endif
}

static void test_refused_input(void)
{
	struct filter filter;
	struct error error = { 0 };
	const struct filter_rule impossible = { "read", 0, { { 0, 1, 1, 2 } } };
	const struct filter_rule sixth = { "read", 0, { { 6, 1, 1, 1 } } };
	const struct filter_rule silent = { "read", 0, { { 0 } } };
	const struct filter none = { 0 };

	is_int(filter_compile(&impossible, 1, NULL, 0, &filter, &error), -EINVAL,
	       "a condition that can't hold is refused");
	has_string(error.text, "read", "… and says where");
	error = (struct error){ 0 };
	is_int(filter_compile(&sixth, 1, NULL, 0, &filter, &error), -EINVAL,
	       "a seventh argument is refused");
	error = (struct error){ 0 };
	is_int(filter_compile(allow, 1, &silent, 1, &filter, &error), -EINVAL,
	       "a refusal without errno is refused");
	is_int(filter_load(&none), -EINVAL, "an empty filter does not load");
	ok(filter_knows("read") && !filter_knows("no_such_call"),
	   "names are known or not");
}

static int walls_child(const struct walls *walls, int expected)
{
	struct error error = { 0 };

	if (walls_enter(walls, &error) != expected)
		return 1;
	if (expected)
		return error.text[0] ? 0 : 2;
	if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (walls->uid != (uid_t)-1 && (getuid() != walls->uid || geteuid() != walls->uid))
		return 4;
	if (syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) != -1 || errno != EPERM)
		return 5;
	return 0;
}

static void test_walls(void)
{
	static const char *const names[] = { "exit_group", "getuid", "geteuid",
					     "prctl", "brk", "munmap",
					     /* AddressSanitizer */
					     "sigaltstack", "mmap", "madvise",
					     NULL };
	static const char *const wrong[] = { "exit_gruop", NULL };
	static const struct {
		const char *what;
		struct walls walls;
		int expected;
	} rows[] = {
		{ "another uid, no capability",
		  { .uid = 1999999999, .calls = names }, 0 },
		{ "another uid, one capability",
		  { .uid = 1999999999, .capabilities = 1 << 0, .calls = names }, 0 },
		{ "who we are", { .uid = (uid_t)-1, .calls = names }, 0 },
		{ "a misspelt call", { .uid = (uid_t)-1, .calls = wrong }, -EINVAL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (geteuid() != 0) {
			ok(1, "walls: %s # SKIP needs root", rows[i].what);
			continue;
		}
		fflush(stdout);
		pid_t pid = fork();
		if (!pid)
			_exit(walls_child(&rows[i].walls, rows[i].expected));
		int status;
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			bail_out("child: %s", strerror(errno));
		ok(WIFEXITED(status), "walls: %s: the child ends by itself",
		   rows[i].what);
		is_int(WEXITSTATUS(status), 0, "walls: %s", rows[i].what);
	}
}

int main(void)
{
	struct filter filter;
	struct error error = { 0 };

	if (!is_int(filter_compile(allow, COUNT(allow), refuse, COUNT(refuse),
				   &filter, &error), 0, "it compiles")) {
		diag("%s", error.text);
		return done_testing();
	}
	test_simulated(&filter);
	test_live(&filter);
	test_refused_input();
	test_walls();
	filter_release(&filter);
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting processes: see spawn.h.
 *
 * The child is made like vfork's: it runs on the warden's memory while the
 * warden waits, until exec.  Copying the page tables of a warden with a
 * thousand agents would cost more than the rest of the launch.  clone3 has no
 * wrapper in the C library, and a function that returns twice on one stack must
 * not return at all in the child: hence the call instruction in place.
 *
 * It shares the warden's descriptor table, too, until it has put what it needs
 * into reserved low places: copying and closing some thousand descriptors would
 * double the cost of a launch.
 */
#include "spawn.h"

#include "base/own.h"
#include "home.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define EXECUTABLE (SPAWN_FIRST + SPAWN_FDS)

static int nothing = -1;	/* /dev/null, what reserved places hold */

static inline __attribute__((always_inline)) long
clone3_in_place(struct clone_args *arguments)
{
#if defined(__x86_64__)
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_clone3), "D"(arguments), "S"(sizeof(*arguments))
			 : "rcx", "r11", "memory");
	return result;
#else
	/* A copy of the memory costs time, never safety. */
	arguments->flags &= ~(uint64_t)(CLONE_VM | CLONE_VFORK | CLONE_FILES);
	long result = syscall(SYS_clone3, arguments, sizeof(*arguments));
	return result < 0 ? -errno : result;
#endif
}

/* Puts the descriptors and the executable into their reserved places.  The table
 * is still the warden's, which waits; it empties the places again. */
static int place_fds(const struct spawn *spawn)
{
	for (unsigned i = 0; i < spawn->fd_count; i++)
		if (dup2(spawn->fds[i], SPAWN_FIRST + (int)i) < 0)
			return -errno;
	if (dup3(spawn->executable, EXECUTABLE, O_CLOEXEC) < 0)
		return -errno;
	/* From here on a table of its own, with nothing behind the places. */
	return syscall(SYS_close_range, EXECUTABLE + 1, ~0U,
		       CLOSE_RANGE_UNSHARE) < 0 ? -errno : 0;
}

static __attribute__((noinline)) pid_t
run(const struct spawn *spawn, char *const *environment, int *pidfd,
    volatile int *failed)
{
	struct clone_args arguments = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD |
			 CLONE_INTO_CGROUP | spawn->namespaces,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)spawn->cgroup,
	};
	long pid = clone3_in_place(&arguments);
	if (pid != 0)
		return (pid_t)pid;
	*failed = place_fds(spawn);
	/* What of the places nobody asked for goes, too. */
	for (int fd = SPAWN_FIRST + (int)spawn->fd_count;
	     !*failed && fd < EXECUTABLE; fd++)
		close(fd);
	if (!*failed) {
		syscall(SYS_execveat, EXECUTABLE, "", spawn->arguments,
			environment, AT_EMPTY_PATH);
		*failed = -errno;
	}
	_exit(127);
}

/* Fills the places with nothing, so that no other descriptor takes them. */
static int empty_places(void)
{
	for (int fd = SPAWN_FIRST; fd <= EXECUTABLE; fd++)
		if (dup3(nothing, fd, O_CLOEXEC) < 0)
			return -errno;
	return 0;
}

int spawn_reserve(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	nothing = fcntl(fd, F_DUPFD_CLOEXEC, EXECUTABLE + 1);
	close(fd);
	return nothing < 0 ? -errno : empty_places();
}

/* The warden has no signal handlers that could run on the shared memory: it reads
 * signals from a descriptor and keeps them blocked.  The programs set their own
 * mask. */
pid_t spawn(const struct spawn *spawn, int *ret_pidfd)
{
	static char root[300];
	char *environment[2] = { NULL, NULL };
	const char *value = getenv("AMBIT_ROOT");
	volatile int failed = 0;
	int pidfd = -1;

	if (spawn->fd_count > SPAWN_FDS || nothing < 0)
		return -E2BIG;
	if (value) {
		snprintf(root, sizeof(root), "AMBIT_ROOT=%s", value);
		environment[0] = root;
	}
	if (spawn->mount_namespace >= 0 &&
	    setns(spawn->mount_namespace, CLONE_NEWNS) < 0)
		return -errno;
	pid_t pid = run(spawn, environment, &pidfd, &failed);
	if (empty_places() < 0)
		abort();
	if (spawn->mount_namespace >= 0)
		home_return();
	if (pid < 0)
		return pid;
	if (failed) {
		waitpid(pid, NULL, 0);
		close(pidfd);
		return failed;
	}
	if (ret_pidfd)
		*ret_pidfd = pidfd;
	else
		close(pidfd);
	return pid;
}

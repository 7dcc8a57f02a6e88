/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting processes: see spawn.h.
 *
 * The child is made like vfork's: it runs on the warden's memory while the
 * warden waits, until exec.  Copying the page tables of a warden with a
 * thousand agents would cost more than the rest of the launch.  clone3 has no
 * wrapper in the C library, and a function that returns twice on one stack must
 * not return at all in the child: hence the call instruction in place.
 */
#include "spawn.h"

#include "base/own.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MOST_FDS 8

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
	arguments->flags &= ~(uint64_t)(CLONE_VM | CLONE_VFORK);
	long result = syscall(SYS_clone3, arguments, sizeof(*arguments));
	return result < 0 ? -errno : result;
#endif
}

/* Moves the descriptors above the places they go to, then into place: a target
 * may be the source of a later one. */
static int place_fds(const int *fds, unsigned count)
{
	int high[MOST_FDS];

	for (unsigned i = 0; i < count; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
		if (high[i] < 0)
			return -errno;
	}
	for (unsigned i = 0; i < count; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			return -errno;
	return 0;
}

static __attribute__((noinline)) pid_t
run(const struct spawn *spawn, char *const *environment, int *pidfd,
    volatile int *failed)
{
	struct clone_args arguments = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD |
			 CLONE_INTO_CGROUP | spawn->namespaces,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)spawn->cgroup,
	};
	long pid = clone3_in_place(&arguments);
	if (pid != 0)
		return (pid_t)pid;
	*failed = place_fds(spawn->fds, spawn->fd_count);
	if (!*failed) {
		syscall(SYS_execveat, spawn->executable, "", spawn->arguments,
			environment, AT_EMPTY_PATH);
		*failed = -errno;
	}
	_exit(127);
}

/* The child must not meet the warden's signal mask, and no handler may run on
 * shared memory: everything is blocked meanwhile, and the mask that the child
 * is to have is set right before.  (The warden has no handlers; it reads
 * signals from a descriptor, so they are always blocked: the child's programs
 * set their own mask.) */
pid_t spawn(const struct spawn *spawn, int *ret_pidfd)
{
	static char root[300];
	char *environment[2] = { NULL, NULL };
	const char *value = getenv("AMBIT_ROOT");
	volatile int failed = 0;
	int pidfd = -1;

	if (spawn->fd_count > MOST_FDS)
		return -E2BIG;
	if (value) {
		snprintf(root, sizeof(root), "AMBIT_ROOT=%s", value);
		environment[0] = root;
	}
	if (spawn->mount_namespace >= 0 &&
	    setns(spawn->mount_namespace, CLONE_NEWNS) < 0)
		return -errno;
	pid_t pid = run(spawn, environment, &pidfd, &failed);
	/* Without its own namespace the warden would open the wrong files. */
	if (spawn->mount_namespace >= 0 &&
	    setns(spawn->own_namespace, CLONE_NEWNS) < 0)
		abort();
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command, and process 1 behind it.
 *
 * Process 1 of a pid namespace gets no default action for signals and inherits
 * every orphan, so ordinary programs must not be it.  It reaps, passes signals
 * on to the command, and ends when the command does: the kernel then kills what
 * is left in the namespace.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_UNKNOWN 125	/* a status that only the gate knows */

static int try(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* As execvp(3) searches: the first that can be executed; EACCES if one was
 * there that can't be. */
int run_find(struct init *init)
{
	const char *name = init->arguments[0];
	const char *rest = start_request_text(init, init->request->search_path);
	int found = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		if (strlen(name) >= sizeof(init->command))
			return -ENAMETOOLONG;
		memcpy(init->command, name, strlen(name) + 1);
		return try(name);
	}
	while (*rest) {
		int length = (int)strcspn(rest, ":");
		int used = snprintf(init->command, sizeof(init->command),
				    "%.*s/%s", length, rest, name);
		/* Not from where the search happens to stand. */
		if (*rest == '/' && used > 0 && (size_t)used < sizeof(init->command)) {
			int error = try(init->command);
			if (!error)
				return 0;
			if (error == -EACCES)
				found = error;
		}
		rest += length + (rest[length] == ':');
	}
	return found;
}

/* The place is prepared: the warden may hand it a request now, or keep it. */
int run_prepared(struct init *init)
{
	struct ambit_gate gate = { .kind = AMBIT_GATE_PREPARED };

	return init_report(init, &gate, -1);
}

int run_wait(struct init *init)
{
	struct ambit_gate gate = { .kind = AMBIT_GATE_READY };
	char word;

	int error = init_report(init, &gate, init->master);
	if (error)
		return error;
	if (init->master >= 0)
		close(init->master);
	ssize_t got;
	do {
		got = recv(init->gate, &word, 1, 0);
	} while (got < 0 && errno == EINTR);
	return got == 1 ? 0 : -ECANCELED;
}

/* Shared by process 1 and the process that becomes the command, on the memory of
 * process 1.  The words are waited for with futex(2). */
static struct command {
	struct init *init;
	enum ambit_step step;	/* the failing one */
	int error;
	int failed;		/* it ended before it became the command */
	uint32_t waits;		/* 1: it has a session, and waits for `go` */
	uint32_t go;
	uint32_t here;		/* 0 once it has memory of its own, or ended: the
				 * kernel clears it (set_tid_address(2)) */
} command = { .here = 1 };

/* Not FUTEX_PRIVATE_FLAG: the kernel's own wake-up of `here` has none. */
static void await(const uint32_t *word, uint32_t while_it_is)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == while_it_is)
		syscall(SYS_futex, word, FUTEX_WAIT, while_it_is, NULL, NULL, 0);
}

static void tell(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Ignored signals outlive exec; nothing of the warden's may.  Asked of the kernel:
 * signal(2) of the C library leaves out the three it keeps for its threads, and a
 * parent that has once cancelled a thread hands them on ignored (posix_spawn). */
static void forget_handlers(void)
{
	static const unsigned long deflt[4]; /* the kernel's struct sigaction */

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, deflt, NULL,
			sizeof(uint64_t));
}

static int session(void)
{
	sigset_t none;

	syscall(SYS_set_tid_address, &command.here);
	if (setsid() < 0)
		return -errno;
	forget_handlers();
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int load_filters(const struct init *init)
{
	const struct ambit_start *start = init->start;

	command.step = AMBIT_STEP_SECCOMP;
	int error = confine_filter(init, start->refuse_filter,
				   start->refuse_filter_length);
	return error ? error : confine_filter(init, start->allow_filter,
					      start->allow_filter_length);
}

static int become(const struct init *init)
{
	int error = 0;

	command.step = AMBIT_STEP_SESSION;
	if (init->terminal >= 0 && ioctl(init->terminal, TIOCSCTTY, 0) < 0)
		return -errno;
	if (!init->start->filter_ahead)
		error = load_filters(init);
	if (error)
		return error;
	command.step = AMBIT_STEP_EXEC;
	execve(init->command, init->arguments, init->environment);
	return -errno;
}

/* Runs in the command's process, on the memory of process 1.  Of the two only one
 * is at work at any time, so they may share errno, too. */
static int command_main(void *argument)
{
	const struct init *init = argument;

	command.step = AMBIT_STEP_SESSION;
	command.error = session();
	if (!command.error && init->start->filter_ahead)
		command.error = load_filters(init);
	if (!command.error) {
		tell(&command.waits);
		await(&command.go, 0);
		command.error = become(init);
	}
	command.failed = 1;
	tell(&command.waits);
	_exit(1);
}

/* The process of the command is made ahead of its launch, with its filters where
 * these permit what is still to be done: translating them to machine code takes
 * the kernel longer than anything else here. */
int run_ahead(struct init *init)
{
	static _Alignas(16) char stack[64 << 10];
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0 ||
	    fcntl(init->gate, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	/* The descriptors are shared until exec, so that stdio may come later;
	 * so are directory and umask. */
	init->command_pid = clone(command_main, stack + sizeof(stack),
				  CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD,
				  init);
	if (init->command_pid < 0)
		return -errno;
	await(&command.waits, 0);
	if (!command.failed)
		return 0;
	init->step = command.step;
	return command.error;
}

int run_start(struct init *init)
{
	/* Killed by somebody while it waited. */
	if (!__atomic_load_n(&command.here, __ATOMIC_ACQUIRE))
		return -ESRCH;
	tell(&command.go);
	/* exec gives it descriptors of its own before it gives it memory
	 * (begin_new_exec), so what is closed below is this process's alone. */
	await(&command.here, 1);
	/* Here the command was executed, or it ended before. */
	if (command.failed) {
		init->step = command.step;
		return command.error;
	}
	struct ambit_gate gate = { AMBIT_GATE_RUNNING, AMBIT_STEP_EXEC,
				   (int32_t)init->command_pid };
	int error = init_report(init, &gate, -1);
	if (error)
		return error;
	if (unshare(CLONE_FS) < 0)
		return -errno;
	/* From here on process 1 needs five calls; it gets no more. */
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	if (init->terminal >= 0)
		close(init->terminal);
	init->step = AMBIT_STEP_SECCOMP;
	return confine_filter(init, init->start->init_filter,
			      init->start->init_filter_length);
}

/* 1 when the command ended, with its wait status, and whether it was the last: who
 * loses its parent becomes a child of process 1. */
static int reap(struct init *init, int *ret_status, int *ret_alone)
{
	int status, ended = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
		if (pid == init->command_pid) {
			*ret_status = status;
			ended = 1;
		}
	*ret_alone = pid < 0 && errno == ECHILD;
	return ended;
}

int run_reap(struct init *init)
{
	sigset_t all;
	siginfo_t info;
	int status, alone;

	sigfillset(&all);
	for (;;) {
		if (sigwaitinfo(&all, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			kill(init->command_pid, info.si_signo);
			continue;
		}
		if (!reap(init, &status, &alone))
			continue;
		struct ambit_gate gate = { AMBIT_GATE_EXITED,
					   alone ? AMBIT_GATE_ALONE : 0, status };
		/* Both, because the warden may be gone, or back. */
		ssize_t written = write(init->end_file, &status, sizeof(status));
		init_report(init, &gate, -1);
		if (written != sizeof(status))
			return EXIT_UNKNOWN;
		return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
					     WEXITSTATUS(status);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaching the node, and starting one: see node.h.  A node that the client
 * starts is supervised by this same executable, started again as `ambit node
 * supervise` with nothing of the caller's: own session, no descriptors, two
 * variables of environment.
 */
#include "node.h"

#include "../base/own.h"
#include "say.h"

#include <ambit/exit.h>
#include <ambit/node.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define START_MS 30000	/* a node that is not ready by then is refused */
#define RESTART_MS 5000	/* how long a crashed node may take to come back */
#define RETRY_MS 20
#define ANSWER_MS 20000	/* a doctor on a slow machine takes a few seconds */

static const char *node_root(void)
{
	const char *root = getenv("AMBIT_ROOT");
	return root ? root : "";
}

int node_path(char ret_path[PATH_MAX], const char *name, struct error *error)
{
	const char *root = node_root();

	/* The supervisor's directory is /, so that a relative one moves. */
	if (*root && *root != '/')
		return error_set(error, EINVAL,
				 "AMBIT_ROOT: must be an absolute path");
	int used = snprintf(ret_path, PATH_MAX, "%s%s/%s", root,
			    AMBIT_RUN_DIRECTORY, name);
	if (used < 0 || used >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "AMBIT_ROOT");
	return 0;
}

int node_program(char ret_path[PATH_MAX], const char *name, struct error *error)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return error_errno(error, errno, "/proc/self/exe");
	self[length] = 0;
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(self, '/');
		if (slash)
			*slash = 0;
	}
	int used = snprintf(ret_path, PATH_MAX, "%s/libexec/ambit/%s", self, name);
	if (used < 0 || used >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "%s", name);
	return 0;
}

int64_t node_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int node_connect(struct client *client, struct error *error)
{
	char path[PATH_MAX];
	int result = node_path(path, AMBIT_CONTROL_SOCKET, error);
	return result ? result : client_connect(client, path, error);
}

/* Opens the lock file in the run directory, which is made if it is not there.
 * Whoever could write that directory could put another node's socket there. */
static int lock_open(int *ret_fd, struct error *error)
{
	char path[PATH_MAX];
	struct stat status;
	int result = node_path(path, "node.lock", error);

	if (result)
		return result;
	char *last = strrchr(path, '/');
	for (char *slash = path + 1; slash <= last; slash++) {
		if (*slash != '/')
			continue;
		*slash = 0;
		int failed = mkdir(path, slash == last ? 0711 : 0755);
		if (failed && errno != EEXIST)
			return error_errno(error, errno, "%s", path);
		if (slash == last && stat(path, &status))
			return error_errno(error, errno, "%s", path);
		if (slash == last && (status.st_uid || (status.st_mode & 022)))
			return error_set(error, EPERM,
					 "%s: must be root's, and only root "
					 "may write it", path);
		*slash = '/';
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(error, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

/* In the new process: says why it can't go on, to the one who waits. */
static _Noreturn void give_up(int ready, const char *what)
{
	dprintf(ready, "error: %s: %s\n", what, strerror(errno));
	_exit(AMBIT_EXIT_FAILED);
}

/* Becomes the supervisor.  Everything of the caller's ends here: session,
 * directory, mask, signal state, environment, descriptors. */
static _Noreturn void become_supervisor(const char *log_path, int lock, int ready)
{
	char self[PATH_MAX], root[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char name[] = "ambit", node[] = "node", supervise[] = "supervise";
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		      "/sbin:/bin";
	char *argv[] = { name, node, supervise, NULL };
	char *environment[] = { path, *node_root() ? root : NULL, NULL };
	sigset_t none;

	if (length < 0)
		give_up(ready, "/proc/self/exe");
	self[length] = 0;
	snprintf(root, sizeof(root), "AMBIT_ROOT=%s", node_root());
	umask(077);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
			       O_NOFOLLOW, 0600);
	if (null < 0 || log < 0)
		give_up(ready, null < 0 ? "/dev/null" : log_path);
	/* Out of the way of the numbers that they are to have. */
	int from[] = { null, log, log, lock, ready };
	for (int i = 0; i < 5; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16);
		if (from[i] < 0)
			give_up(ready, "descriptor");
	}
	for (int i = 0; i < 5; i++)
		if (dup2(from[i], i) < 0)
			give_up(from[4], "descriptor");
	if (chdir("/") || syscall(SYS_close_range, 5, ~0U, 0))
		give_up(4, "leaving the caller's context");
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(self, argv, environment);
	give_up(NODE_READY_FD, self);
}

/* Starts the supervisor as nobody's child: a caller that lives on has no
 * process to wait for.  *ret_ready is where its line comes. */
static int supervisor_start(int lock, int *ret_ready, struct error *error)
{
	char log_path[PATH_MAX];
	int ready[2], status;
	int result = node_path(log_path, "node.log", error);

	if (result)
		return result;
	if (pipe2(ready, O_CLOEXEC))
		return error_errno(error, errno, "pipe");
	OWN_FD reader = ready[0], writer = ready[1];
	pid_t between = fork();
	if (between < 0)
		return error_errno(error, errno, "fork");
	if (between == 0) {
		setsid();
		pid_t supervisor = fork();
		if (supervisor < 0)
			give_up(writer, "fork");
		if (supervisor > 0)
			_exit(0);
		become_supervisor(log_path, lock, writer);
	}
	while (waitpid(between, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(error, errno, "waitpid");
	*ret_ready = own_take_fd(&reader);
	return 0;
}

/* Reads the line of a new node.  0 when it is ready. */
static int await_ready(int ready, int64_t deadline, struct error *error)
{
	char text[1024];
	size_t used = 0;

	while (used < sizeof(text) - 1 && !memchr(text, '\n', used)) {
		struct pollfd poll_fd = { .fd = ready, .events = POLLIN };
		int64_t left = deadline - node_clock();
		int count = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return error_set(error, ETIMEDOUT,
					 "not ready after %d s",
					 START_MS / 1000);
		ssize_t n = read(ready, text + used, sizeof(text) - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	text[used] = 0;
	text[strcspn(text, "\n")] = 0;
	if (strcmp(text, "ready") == 0)
		return 0;
	if (strncmp(text, "error: ", 7) == 0)
		return error_set(error, EIO, "%s", text + 7);
	return error_set(error, EIO, "its supervisor ended before it was ready");
}

/* 1 while an ambitd has its lock: also one that does not listen yet. */
static int warden_lives(void)
{
	char path[PATH_MAX];
	struct error error = { 0 };

	if (node_path(path, "warden.lock", &error))
		return 0;
	OWN_FD lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) &&
	       errno == EWOULDBLOCK;
}

/* Our start failed: because a service manager's ambitd was on its way up (or
 * down)?  Then that one will listen.  Returns 0 if it does. */
static int await_other(struct client *client, int64_t deadline)
{
	struct error nobody;

	do {
		nobody = (struct error){ 0 };
		if (node_connect(client, &nobody) == 0)
			return 0;
		poll(NULL, 0, RETRY_MS);
	} while (warden_lives() && node_clock() < deadline);
	return -ENOENT;
}

/* Connects to the node that runs, or starts it.  Of several callers at once the
 * one that gets the lock starts it, the others wait for its socket. */
static int node_start(struct client *client, struct error *error)
{
	int64_t deadline = node_clock() + START_MS;
	OWN_FD lock = -1, ready = -1;
	int result = lock_open(&lock, error);

	if (result)
		return result;
	for (;;) {
		int held = flock(lock, LOCK_EX | LOCK_NB);
		if (held && errno != EWOULDBLOCK)
			return error_errno(error, errno, "node.lock");
		/* Someone was quicker, or a service manager started it. */
		struct error nobody = { 0 };
		if (node_connect(client, &nobody) == 0)
			return 0;
		if (held == 0)
			break;
		if (node_clock() > deadline)
			return error_set(error, ETIMEDOUT,
					 "being started by somebody else and "
					 "not ready after %d s",
					 START_MS / 1000);
		/* The socket or the lock, whichever comes first: there is no
		 * one event for both. */
		poll(NULL, 0, RETRY_MS);
	}
	result = supervisor_start(lock, &ready, error);
	if (!result)
		result = await_ready(ready, deadline, error);
	if (result)
		return await_other(client, deadline) ? result : 0;
	return node_connect(client, error);
}

int node_reach(struct client *client, const char *what, int status, int start)
{
	int64_t deadline = node_clock() + RESTART_MS;
	struct error error = { 0 };
	int result = node_connect(client, &error);
	int root = geteuid() == 0;

	if (start && root && (result == -ENOENT || result == -ECONNREFUSED)) {
		struct error failed = { 0 };
		if (node_start(client, &failed) == 0)
			return 0;
		return say_refusal(status, "node", NULL, "%s", failed.text);
	}
	/* A socket without a listener is a node that crashed: whoever
	 * supervises it is about to start it again. */
	while (result == -ECONNREFUSED && node_clock() < deadline) {
		poll(NULL, 0, RETRY_MS);
		error = (struct error){ 0 };
		result = node_connect(client, &error);
	}
	switch (-result) {
	case 0:
		return 0;
	case ENOENT:
	case ECONNREFUSED:
		return say_refusal(status, what, root ?
				   "start one with: ambit node start" :
				   "root starts one with: ambit node start",
				   "no node is running");
	case EACCES:
	case EPERM:
		return say_refusal(status, what, NULL,
				   "only root may call the node");
	default:
		return say_refusal(status, what, NULL, "%s", error.text);
	}
}

/* Calls that wait for agents to end take as long as these do; any other that takes
 * longer than ANSWER_MS has met a node that is stopped or stuck. */
static int await_answer(const struct client *client, const char *method,
			struct error *error)
{
	static const char *const patient[] = { "Retire", "Stop", "Settle" };
	struct pollfd answer = { .fd = client->fd, .events = POLLIN };

	for (size_t i = 0; i < sizeof(patient) / sizeof(patient[0]); i++)
		if (!strcmp(method, patient[i]))
			return 0;
	if (poll(&answer, 1, ANSWER_MS) != 0)
		return 0;
	return error_set(error, ETIMEDOUT,
			 "the node has not answered for %d s: ambitd is stopped or "
			 "stuck; what was asked may still be done", ANSWER_MS / 1000);
}

int node_call(struct client *client, const char *what, const char *method,
	      json_t *parameters, struct reply *ret_reply)
{
	struct error error = { 0 };
	int result = client_send(client, method, parameters, 0, &error);

	/* A node that refuses the caller may close before it reads the call:
	 * its answer is there all the same. */
	if (result == 0 || result == -EPIPE) {
		error = (struct error){ 0 };
		result = await_answer(client, method, &error);
		if (result == 0)
			result = client_receive(client, 1, ret_reply, &error);
	}
	if (result < 0)
		return say_refusal(AMBIT_EXIT_FAILED, what, NULL, "%s",
				   error.text);
	if (result == 0)
		return say_refusal(AMBIT_EXIT_FAILED, what, NULL,
				   "the node closed the connection");
	if (!ret_reply->error)
		return 0;
	int status = reply_refusal(ret_reply, what, AMBIT_EXIT_FAILED);
	reply_release(ret_reply);
	return status;
}

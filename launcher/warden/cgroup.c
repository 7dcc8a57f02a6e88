/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2: see cgroup.h. */
#include "cgroup.h"

#include "base/number.h"
#include "base/own.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define CGROUP2_MAGIC 0x63677270

/* Reads a small file beneath `directory` as text.  Returns its length or a
 * negative errno. */
static int read_text(int directory, const char *name, char *ret_text, size_t size)
{
	OWN_FD fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t length = read(fd, ret_text, size - 1);
	if (length < 0)
		return -errno;
	ret_text[length] = 0;
	return (int)length;
}

static int write_text(int directory, const char *name, const char *text)
{
	OWN_FD fd = openat(directory, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, text, strlen(text));
	if (written < 0)
		return -errno;
	return (size_t)written == strlen(text) ? 0 : -EIO;
}

/* mountinfo: "id parent major:minor root TARGET options … - TYPE source …".
 * Takes the first cgroup2 mount whose root is the whole tree. */
static int find_mount(char *ret_path, size_t size)
{
	OWN_FILE *file = fopen("/proc/self/mountinfo", "re");
	OWN_MEMORY char *line = NULL;
	size_t room = 0;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0) {
		char root[PATH_MAX], target[PATH_MAX];
		const char *type = strstr(line, " - ");
		if (!type || strncmp(type, " - cgroup2 ", 11) ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, target) != 2 ||
		    strcmp(root, "/") || strlen(target) >= size)
			continue;
		struct statfs status;
		if (statfs(target, &status) < 0 ||
		    status.f_type != CGROUP2_MAGIC)
			continue;
		memcpy(ret_path, target, strlen(target) + 1);
		return 0;
	}
	return -ENOENT;
}

static int has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length)
		if ((at == text || at[-1] == ' ') &&
		    (at[length] == 0 || at[length] == ' ' || at[length] == '\n'))
			return 1;
	return 0;
}

/* A controller limits agents when the root has it and both levels hand it
 * down. */
static uint8_t hand_down(int root, int parent, const char *controller)
{
	char text[1024], word[32];

	snprintf(word, sizeof(word), "+%s", controller);
	if (read_text(root, "cgroup.controllers", text, sizeof(text)) < 0 ||
	    !has_word(text, controller))
		return 0;
	if (read_text(root, "cgroup.subtree_control", text, sizeof(text)) < 0 ||
	    (!has_word(text, controller) &&
	     write_text(root, "cgroup.subtree_control", word) < 0))
		return 0;
	return write_text(parent, "cgroup.subtree_control", word) == 0;
}

int cgroup_open(const char *name, struct cgroup_tree *ret_tree,
		struct error *error)
{
	char mount[256];

	if (find_mount(mount, sizeof(mount)) < 0)
		return error_set(error, ENOTSUP,
				 "cgroup v2: it is not mounted on this machine");
	OWN_FD root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(error, errno, "%s", mount);
	if (mkdirat(root, name, 0755) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s/%s", mount, name);
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "%s/%s", mount, name);
	snprintf(ret_tree->path, sizeof(ret_tree->path), "%s/%s", mount, name);
	snprintf(ret_tree->name, sizeof(ret_tree->name), "%s", name);
	ret_tree->fd = fd;
#define CGROUP_HAND_DOWN(member, word) \
	ret_tree->member = hand_down(root, fd, word);
	CGROUP_CONTROLLERS(CGROUP_HAND_DOWN)
#undef CGROUP_HAND_DOWN
	return 0;
}

/* The id of a cgroup is what its directory's file handle holds: the 64-bit
 * kernfs node id (name_to_handle_at(2), file handle type 0xfe). */
static int cgroup_id(int fd, uint64_t *ret_id)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(uint64_t)];
	} both = { .handle = { .handle_bytes = sizeof(uint64_t) } };
	int mount;

	if (name_to_handle_at(fd, "", &both.handle, &mount, AT_EMPTY_PATH) < 0)
		return -errno;
	memcpy(ret_id, both.handle.f_handle, sizeof(*ret_id));
	return 0;
}

int cgroup_make(const struct cgroup_tree *tree, const char *name, int adopt,
		int *ret_fd, uint64_t *ret_id, struct error *error)
{
	if (mkdirat(tree->fd, name, 0755) < 0 && !(adopt && errno == EEXIST))
		return error_errno(error, errno, "cgroup %s", name);
	OWN_FD fd = openat(tree->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cgroup %s", name);
	int failed = cgroup_id(fd, ret_id);
	if (failed)
		return error_errno(error, -failed, "cgroup %s: its id", name);
	*ret_fd = own_take_fd(&fd);
	return 0;
}

static int limit(int fd, uint8_t has, const char *controller, const char *file,
		 const char *value, struct error *error)
{
	if (!has)
		return error_set(error, ENOTSUP,
				 "cgroup controller %s is missing", controller);
	int failed = write_text(fd, file, value);
	if (failed)
		return error_errno(error, -failed, "%s", file);
	return 0;
}

int cgroup_limit(const struct cgroup_tree *tree, int fd,
		 const struct cgroup_limits *limits, struct error *error)
{
	char value[64];
	int failed = 0;

	if (limits->memory != UINT64_MAX) {
		snprintf(value, sizeof(value), "%llu",
			 (unsigned long long)limits->memory);
		failed = limit(fd, tree->memory, "memory", "memory.max", value,
			       error);
		/* Without swap accounting the file is not there. */
		if (!failed && faccessat(fd, "memory.swap.max", F_OK, 0) == 0)
			failed = limit(fd, tree->memory, "memory",
				       "memory.swap.max", "0", error);
	}
	if (!failed && limits->processes != UINT64_MAX) {
		snprintf(value, sizeof(value), "%llu",
			 (unsigned long long)limits->processes);
		failed = limit(fd, tree->pids, "pids", "pids.max", value, error);
	}
	if (!failed && limits->cpu != UINT64_MAX) {
		snprintf(value, sizeof(value), "%llu 100000",
			 (unsigned long long)limits->cpu * 1000);
		failed = limit(fd, tree->cpu, "cpu", "cpu.max", value, error);
	}
	return failed;
}

int cgroup_kill(int fd)
{
	return write_text(fd, "cgroup.kill", "1");
}

#define ENDING 64	/* members whose end is awaited at a time */

/* A cgroup is empty a moment before its processes have ended: process 1 of a pid
 * namespace still waits for the others there (do_exit: cgroup_exit comes before
 * exit_notify).  Hence by their pidfds. */
void cgroup_end(int fd)
{
	struct pollfd members[ENDING];
	nfds_t count;

	do {
		OWN_FD procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
		OWN_FILE *file = procs < 0 ? NULL :
					     fdopen(own_take_fd(&procs), "r");
		int pid;
		for (count = 0; file && count < ENDING &&
				fscanf(file, "%d", &pid) == 1;) {
			int member = (int)syscall(SYS_pidfd_open, pid, 0);
			if (member >= 0)
				members[count++] = (struct pollfd){ member, POLLIN,
								    0 };
		}
		cgroup_kill(fd);
		for (nfds_t i = 0; i < count; i++) {
			while (poll(&members[i], 1, -1) < 0 && errno == EINTR)
				continue;
			close(members[i].fd);
		}
	} while (count || cgroup_populated(fd) > 0);
}

/* Whether the process was in a leaf of the tree that is removed; the kernel tells
 * even after it has left it. */
static int was_member(const struct cgroup_tree *tree, int proc, const char *pid)
{
	char name[64], text[4096], start[80];
	static const char end[] = " (deleted)\n";

	snprintf(name, sizeof(name), "%.16s/cgroup", pid);
	snprintf(start, sizeof(start), "0::/%s/", tree->name);
	int length = read_text(proc, name, text, sizeof(text));
	const char *line = length > 0 ? strstr(text, "0::/") : NULL;
	return line && !strncmp(line, start, strlen(start)) &&
	       (size_t)length > sizeof(end) &&
	       !strcmp(text + length - (sizeof(end) - 1), end);
}

int cgroup_settle(const struct cgroup_tree *tree)
{
	OWN_DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		uint64_t pid;
		if (number_parse(entry->d_name, strlen(entry->d_name), INT32_MAX,
				 &pid) < 0)
			continue;
		OWN_FD fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
		struct pollfd ended = { fd, POLLIN, 0 };
		if (fd < 0 || !was_member(tree, dirfd(proc), entry->d_name))
			continue;
		while (poll(&ended, 1, -1) < 0 && errno == EINTR)
			continue;
	}
	return 0;
}

int cgroup_await(int fd, int ms)
{
	struct pollfd changes = { openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC),
				  POLLPRI, 0 };
	OWN_FD events = changes.fd;
	char byte;

	/* What was read is what a change is told from. */
	while (events >= 0 && pread(events, &byte, 1, 0) == 1 &&
	       cgroup_populated(fd) > 0)
		if (poll(&changes, 1, ms) == 0)
			return -ETIMEDOUT;
	return events < 0 ? -errno : 0;
}

int cgroup_populated(int fd)
{
	char text[256];

	int length = read_text(fd, "cgroup.events", text, sizeof(text));
	if (length < 0)
		return length;
	return strstr(text, "populated 1") != NULL;
}

int cgroup_has(int fd, int pid)
{
	OWN_FD procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (procs < 0)
		return 0;
	OWN_FILE *file = fdopen(own_take_fd(&procs), "r");
	int member;

	while (file && fscanf(file, "%d", &member) == 1)
		if (member == pid)
			return 1;
	return 0;
}

int cgroup_remove(const struct cgroup_tree *tree, const char *name)
{
	return unlinkat(tree->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int cgroup_close(struct cgroup_tree *tree)
{
	own_close(&tree->fd);
	return rmdir(tree->path) < 0 ? -errno : 0;
}

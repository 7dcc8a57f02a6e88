/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces for id-mapped mounts: see idmap.h. */
#include "idmap.h"

#include "base/own.h"
#include "home.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KEPT 256	/* beyond that the oldest makes room */

static struct entry {
	uint32_t agent, owner_uid, owner_gid;
	int fd;
} kept[KEPT];
static unsigned kept_count, kept_next;

static int write_map(pid_t child, const char *name, uint32_t inside,
		     uint32_t outside)
{
	char path[64], line[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
	int length = snprintf(line, sizeof(line), "%u %u 1\n", inside, outside);
	OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, line, (size_t)length) == length ? 0 : -errno;
}

/* A process has to be in the namespace while the maps are written: it waits on a
 * pipe until then. */
static int make(const struct entry *entry, int *ret_fd)
{
	char path[64];
	int hold[2];

	if (pipe2(hold, O_CLOEXEC) < 0)
		return -errno;
	/* Refused in a chroot (create_user_ns, current_chrooted). */
	int out = home_out();
	pid_t child = out < 0 ? -1 :
				(pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD,
					       NULL, NULL, NULL, NULL);
	if (child == 0) {
		char byte;
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) != 0);
	}
	int failed = out < 0 ? out : child < 0 ? -errno : 0;
	home_in();
	close(hold[0]);
	if (!failed)
		failed = write_map(child, "uid_map", entry->owner_uid,
				   entry->agent);
	if (!failed)
		failed = write_map(child, "gid_map", entry->owner_gid,
				   entry->agent);
	if (!failed) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
		failed = *ret_fd < 0 ? -errno : 0;
	}
	close(hold[1]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return failed;
}

int idmap_namespace(uint32_t agent_uid, uint32_t owner_uid, uint32_t owner_gid,
		    int *ret_fd, struct error *error)
{
	struct entry wanted = { agent_uid, owner_uid, owner_gid, -1 };

	for (unsigned i = 0; i < kept_count; i++)
		if (kept[i].agent == agent_uid &&
		    kept[i].owner_uid == owner_uid &&
		    kept[i].owner_gid == owner_gid) {
			*ret_fd = kept[i].fd;
			return 0;
		}
	int failed = make(&wanted, &wanted.fd);
	if (failed)
		return error_errno(error, -failed, "user namespace");
	if (kept_count < KEPT) {
		kept[kept_count++] = wanted;
	} else {
		close(kept[kept_next].fd);
		kept[kept_next] = wanted;
		kept_next = (kept_next + 1) % KEPT;
	}
	*ret_fd = wanted.fd;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent sees.  The warden prepared a read-only root once per profile
 * (launcher/warden/root.c) and hands over a clone of it; here come the mounts
 * that no two agents share: /proc of the pid namespace, terminals, the private
 * directories, and the listed paths, id-mapped by the warden.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int mount_here(const char *type, const char *target, unsigned long flags,
		      const char *options)
{
	return mount(type, target, type, flags, options) < 0 ? -errno : 0;
}

/* The namespace holds nothing but one empty file system with the directory
 * /new: the host's mounts were never in it. */
int view_root(struct init *init)
{
	if (syscall(SYS_move_mount, start_fd(init, init->start->root), "",
		    AT_FDCWD, "/new", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return chdir("/new") < 0 ? -errno : 0;
}

/* /proc of the own pid namespace shows no other agent.  The two files with the
 * host's key names are covered. */
int view_proc(struct init *init)
{
	static const char *const covered[] = { "proc/keys", "proc/key-users" };

	(void)init;
	int error = mount_here("proc", "proc", QUIET, NULL);
	for (size_t i = 0; !error && i < sizeof(covered) / sizeof(*covered); i++)
		if (mount("dev/null", covered[i], NULL, MS_BIND, NULL) < 0 &&
		    errno != ENOENT) /* kernels without CONFIG_KEYS */
			error = -errno;
	return error;
}

/* In each private file system.  An empty file has no size that is counted, and costs
 * the kernel a kilobyte. */
#define PRIVATE_FILES 131072

/* The number of terminals is the machine's (kernel.pty.max): one agent gets few. */
int view_devices(struct init *init)
{
	char options[64];

	int error = mount_here("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
			       "newinstance,ptmxmode=0666,mode=0620,max=64");
	if (error)
		return error;
	snprintf(options, sizeof(options), "mode=1777,size=%llu,nr_inodes=%d",
		 (unsigned long long)init->start->private_bytes, PRIVATE_FILES);
	return mount_here("tmpfs", "dev/shm", QUIET, options);
}

/* 1 if the profile lists `path` under execute. */
static int executable(const struct init *init, const char *path)
{
	const struct ambit_start *start = init->start;

	for (uint32_t i = 0; i < start->place_count; i++)
		if (start->places[i].access & AMBIT_PLACE_EXECUTE &&
		    !strcmp(start_text(init, start->places[i].path), path))
			return 1;
	return 0;
}

int view_private(struct init *init)
{
	static const struct {
		const char *path, *mode;
	} directories[] = { { "/tmp", "1777" }, { "/home/agent", "0700" } };
	const struct ambit_start *start = init->start;
	char options[128];
	int error = 0;

	for (int i = 0; !error && i < 2; i++) {
		const char *path = directories[i].path;
		unsigned long flags = QUIET;
		if (executable(init, path))
			flags &= ~(unsigned long)MS_NOEXEC;
		snprintf(options, sizeof(options),
			 "mode=%s,uid=%u,gid=%u,size=%llu,nr_inodes=%d",
			 directories[i].mode, start->uid, start->uid,
			 (unsigned long long)start->private_bytes, PRIVATE_FILES);
		error = mount_here("tmpfs", path + 1, flags, options);
	}
	return error;
}

/* Below a private directory the stand-ins of the prepared root are covered, so
 * they are made again; everywhere else the root is read-only and this fails. */
static int make_target(const char *target, int directory)
{
	char path[PATH_MAX];
	size_t length = strlen(target);

	if (length >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, target, length + 1);
	for (char *slash = strchr(path, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		int made = mkdir(path, 0755);
		*slash = '/';
		if (made < 0 && errno != EEXIST)
			return -errno;
	}
	if (directory)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int open_target(const char *target)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, target, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * The target is opened beneath the new root without following any link: a
 * listed path may lie inside another one, whose content an agent may have
 * written, and a symbolic link there must not move the mount elsewhere.
 */
static int mount_listed(int fd, const char *target)
{
	struct stat status;
	int place = open_target(target + 1);

	if (place == -ENOENT && fstat(fd, &status) == 0) {
		int error = make_target(target + 1, S_ISDIR(status.st_mode));
		if (error)
			return error;
		place = open_target(target + 1);
	}
	if (place < 0)
		return place;
	int error = 0;
	if (syscall(SYS_move_mount, fd, "", place, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		error = -errno;
	close(place);
	return error;
}

int view_mounts(struct init *init)
{
	const struct ambit_start *start = init->start;
	int error = 0;

	for (uint32_t i = 0; !error && i < start->mount_count; i++)
		error = mount_listed(start_fd(init, start->mounts[i].fd),
				     start_text(init, start->mounts[i].target));
	return error;
}

/*
 * /proc is sealed last: the steps before needed to write in it.  The new root is
 * then moved over the old one, and entered: below it there is nothing but the
 * empty file system that the namespace came with, so there is nothing to go
 * back to.  (pivot_root would have to unmount that, and the kernel waits for an
 * RCU grace period after an unmount, a quarter of a millisecond.)
 */
int view_pivot(struct init *init)
{
	struct mount_attr sealed = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)init;
	if (syscall(SYS_mount_setattr, AT_FDCWD, "proc", 0, &sealed,
		    sizeof(sealed)) < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

/* The terminal is of the agent's own devpts, so that its name resolves inside
 * and the caller's terminal is never in its hands (TIOCSTI).  devpts gives it to
 * who opens it: the agent's user. */
int view_terminal(struct init *init)
{
	const struct ambit_request *wanted = init->request;
	struct winsize size = { .ws_row = wanted->rows,
				.ws_col = wanted->columns };
	int unlock = 0;

	if (!wanted->terminal)
		return 0;
	init->master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (init->master < 0 || ioctl(init->master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	init->terminal = ioctl(init->master, TIOCGPTPEER,
			       O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (init->terminal < 0 || ioctl(init->terminal, TIOCSWINSZ, &size) < 0)
		return -errno;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prepared root: see root.h.  What of the host an agent can read is the
 * table `entries` and nothing else.
 */
#include "root.h"

#include "base/own.h"
#include "home.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

enum how {
	BIND,		/* a directory, as it is on the host */
	COPY,		/* a small file, or a link as such */
	LINK,		/* a link of our own */
	DIRECTORY,	/* empty, for a mount of ambit-init */
	TEXT,		/* a file of our own */
};

/* What comes only with `files: {system: standard}` is marked. */
static const struct entry {
	const char *path;
	enum how how;
	int standard;
	const char *text;
} entries[] = {
	{ "/proc", DIRECTORY, 0, NULL },
	{ "/dev", DIRECTORY, 0, NULL },
	{ "/tmp", DIRECTORY, 0, NULL },
	{ "/home", DIRECTORY, 0, NULL },
	{ "/home/agent", DIRECTORY, 0, NULL },
	{ "/run", DIRECTORY, 0, NULL },
	{ "/run/ambit", DIRECTORY, 0, NULL },
	{ "/var", DIRECTORY, 0, NULL },
	{ "/var/tmp", LINK, 0, "/tmp" },
	{ "/var/run", LINK, 0, "/run" },
	{ "/etc", DIRECTORY, 0, NULL },
	/* The agent's own entries; the uid differs from agent to agent. */
	{ "/etc/passwd", LINK, 0, "/run/ambit/passwd" },
	{ "/etc/group", LINK, 0, "/run/ambit/group" },
	{ "/etc/hosts", LINK, 0, "/run/ambit/hosts" },
	{ "/etc/resolv.conf", LINK, 0, "/run/ambit/resolv.conf" },
	{ "/etc/mtab", LINK, 0, "/proc/self/mounts" },
	{ "/etc/nsswitch.conf", TEXT, 0,
	  "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
	  "services: files\nprotocols: files\n" },
	/* Programs and the loader. */
	{ "/usr", BIND, 1, NULL },
	{ "/bin", COPY, 1, NULL },
	{ "/sbin", COPY, 1, NULL },
	{ "/lib", COPY, 1, NULL },
	{ "/lib32", COPY, 1, NULL },
	{ "/lib64", COPY, 1, NULL },
	{ "/libx32", COPY, 1, NULL },
	{ "/etc/ld.so.cache", COPY, 1, NULL },
	{ "/etc/ld.so.conf", COPY, 1, NULL },
	{ "/etc/alternatives", BIND, 1, NULL },
	/* Certificates; never /etc/ssl/private. */
	{ "/etc/ssl", DIRECTORY, 1, NULL },
	{ "/etc/ssl/openssl.cnf", COPY, 1, NULL },
	{ "/etc/ssl/certs", BIND, 1, NULL },
	{ "/etc/ca-certificates.conf", COPY, 1, NULL },
	/* Time, words of protocols, terminals, shells, interpreters. */
	{ "/etc/localtime", COPY, 1, NULL },
	{ "/etc/timezone", COPY, 1, NULL },
	{ "/etc/protocols", COPY, 1, NULL },
	{ "/etc/services", COPY, 1, NULL },
	{ "/etc/mime.types", COPY, 1, NULL },
	{ "/etc/os-release", COPY, 1, NULL },
	{ "/etc/debian_version", COPY, 1, NULL },
	{ "/etc/inputrc", COPY, 1, NULL },
	{ "/etc/profile", COPY, 1, NULL },
	{ "/etc/bash.bashrc", COPY, 1, NULL },
	{ "/etc/python3", BIND, 1, NULL },
	{ "/etc/python3.11", BIND, 1, NULL },
	{ "/etc/python3.13", BIND, 1, NULL },
	{ "/etc/java-17-openjdk", BIND, 1, NULL },
	{ "/etc/java-21-openjdk", BIND, 1, NULL },
	{ "/etc/fonts", BIND, 1, NULL },
};

static const struct device {
	const char *name;
	unsigned minor_number, major_number;
} devices[] = {
	{ "null", 3, 1 }, { "zero", 5, 1 },    { "full", 7, 1 },
	{ "random", 8, 1 }, { "urandom", 9, 1 }, { "tty", 0, 5 },
};

static const struct device_link {
	const char *name, *target;
} device_links[] = {
	{ "ptmx", "pts/ptmx" },		     { "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },	     { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static int set_attributes(int fd, const char *path, unsigned flags, uint64_t set)
{
	/* Private: what the host mounts later below a bound directory must not
	 * arrive in every agent. */
	struct mount_attr attributes = { .attr_set = set,
					 .propagation = MS_PRIVATE };

	return syscall(SYS_mount_setattr, fd, path, flags, &attributes,
		       sizeof(attributes)) < 0 ? -errno : 0;
}

/* Without O_TRUNC and O_EXCL games: the tmpfs is ours alone. */
static int write_file(int root, const char *path, const char *text, size_t length)
{
	OWN_FD fd = openat(root, path + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			   0644);
	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, text, length);
	return written == (ssize_t)length ? 0 : -EIO;
}

#define COPY_MOST (4U << 20)

static int copy_file(int root, const char *path)
{
	OWN_FD from = open(path, O_RDONLY | O_CLOEXEC);
	OWN_MEMORY char *bytes = malloc(COPY_MOST);
	size_t length = 0;
	ssize_t got;

	if (from < 0)
		return -errno;
	if (!bytes)
		return -ENOMEM;
	while ((got = read(from, bytes + length, COPY_MOST - length)) > 0)
		length += (size_t)got;
	if (got < 0)
		return -errno;
	if (length == COPY_MOST)
		return -EFBIG;
	return write_file(root, path, bytes, length);
}

static int bind_directory(int root, const char *path)
{
	if (mkdirat(root, path + 1, 0755) < 0)
		return -errno;
	OWN_FD tree = (int)syscall(SYS_open_tree, AT_FDCWD, path,
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					   AT_RECURSIVE);
	if (tree < 0)
		return -errno;
	int failed = set_attributes(tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
				    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					    MOUNT_ATTR_NODEV);
	if (failed)
		return failed;
	return syscall(SYS_move_mount, tree, "", root, path + 1,
		       MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* /bin and its like are links into /usr on a merged system, directories on an
 * unmerged one. */
static int copy_entry(int root, const char *path)
{
	struct stat status;
	char target[PATH_MAX];

	if (lstat(path, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return bind_directory(root, path);
	if (S_ISLNK(status.st_mode)) {
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			return -errno;
		target[length] = 0;
		return symlinkat(target, root, path + 1) < 0 ? -errno : 0;
	}
	return copy_file(root, path);
}

static int add_entry(int root, const struct entry *entry)
{
	switch (entry->how) {
	case BIND:
		return access(entry->path, F_OK) < 0 ?
			       -errno : bind_directory(root, entry->path);
	case COPY:
		return copy_entry(root, entry->path);
	case LINK:
		return symlinkat(entry->text, root, entry->path + 1) < 0 ?
			       -errno : 0;
	case DIRECTORY:
		return mkdirat(root, entry->path + 1, 0755) < 0 ? -errno : 0;
	case TEXT:
		return write_file(root, entry->path, entry->text,
				  strlen(entry->text));
	}
	return -EINVAL;
}

/* /dev is a mount of its own, because its nodes must work where the rest is
 * nodev. */
static int make_devices(const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dev", directory);
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NOEXEC,
		  "mode=0755,size=64k") < 0)
		return -errno;
	OWN_FD dev = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
		if (mknodat(dev, devices[i].name, S_IFCHR | 0666,
			    makedev(devices[i].major_number,
				    devices[i].minor_number)) < 0 ||
		    fchmodat(dev, devices[i].name, 0666, 0) < 0)
			return -errno;
	for (size_t i = 0; i < sizeof(device_links) / sizeof(*device_links); i++)
		if (symlinkat(device_links[i].target, dev,
			      device_links[i].name) < 0)
			return -errno;
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
		return -errno;
	return set_attributes(dev, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY);
}

static int is_there(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Directories on the way to a listed path, and its empty stand-in.  No link is
 * followed: one of the root's own (/var/run) leads out of it, to the host's. */
static int make_place(int root, const struct root_place *place)
{
	OWN_FD directory = fcntl(root, F_DUPFD_CLOEXEC, 3);
	char path[PATH_MAX];
	char *name = path, *slash;

	if (directory < 0)
		return -errno;
	if (place->path[0] != '/' || strlen(place->path) > sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, place->path + 1, strlen(place->path));
	while ((slash = strchr(name, '/'))) {
		*slash = 0;
		if (mkdirat(directory, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		int below = openat(directory, name, O_PATH | O_DIRECTORY |
				   O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			return -errno;
		own_close(&directory);
		directory = below;
		name = slash + 1;
	}
	/* Below a bound directory of the host it may be there, as what it is. */
	if (is_there(directory, name))
		return 0;
	if (place->directory)
		return mkdirat(directory, name, 0755) < 0 ? -errno : 0;
	OWN_FD fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			   0644);
	return fd < 0 ? -errno : 0;
}

static int fill(const char *directory, enum profile_system system,
		const struct root_place *places, size_t place_count,
		struct error *error)
{
	OWN_FD root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(error, errno, "%s", directory);
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		const struct entry *entry = &entries[i];
		if (entry->standard && system != PROFILE_SYSTEM_STANDARD)
			continue;
		int failed = add_entry(root, entry);
		/* Not every host has every file. */
		if (failed == -ENOENT && entry->standard)
			continue;
		if (failed)
			return error_errno(error, -failed, "root: %s",
					   entry->path);
	}
	for (size_t i = 0; i < place_count; i++) {
		int failed = make_place(root, &places[i]);
		if (failed)
			return error_errno(error, -failed, "root: %s",
					   places[i].path);
	}
	int failed = make_devices(directory);
	if (failed)
		return error_errno(error, -failed, "root: /dev");
	failed = set_attributes(root, "", AT_EMPTY_PATH,
				MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return failed ? error_errno(error, -failed, "root: read-only") : 0;
}

int root_prepare(const char *directory, enum profile_system system,
		 const struct root_place *places, size_t place_count,
		 struct error *error)
{
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", directory);
	if (mount("tmpfs", directory, "tmpfs", 0, "mode=0755,size=16m") < 0)
		return error_errno(error, errno, "%s", directory);
	mode_t old = umask(0022);
	int failed = fill(directory, system, places, place_count, error);
	umask(old);
	if (failed)
		root_discard(directory);
	return failed;
}

int root_clone(const char *directory, int *ret_fd, struct error *error)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, directory,
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return error_errno(error, errno, "root: clone");
	*ret_fd = fd;
	return 0;
}

void root_discard(const char *directory)
{
	umount2(directory, MNT_DETACH);
	rmdir(directory);
}

/* Runs in a child, so that the warden never leaves its own namespace. */
static int empty_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0 || home_top() < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=64k") < 0 ||
	    chdir("/proc") < 0 || mkdir("new", 0755) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return errno;
	return 0;
}

int root_empty_namespace(int *ret_fd, struct error *error)
{
	int word[2], hold[2];
	char path[64], byte = 0;

	if (pipe2(word, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0)
		return error_errno(error, errno, "mount namespace");
	pid_t child = fork();
	if (child < 0)
		return error_errno(error, errno, "mount namespace");
	if (child == 0) {
		close(hold[1]);
		byte = (char)empty_namespace();
		if (write(word[1], &byte, 1) != 1 || read(hold[0], &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	close(word[1]);
	close(hold[0]);
	int got = read(word[0], &byte, 1) == 1 && byte == 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)child);
	int fd = got ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	close(hold[1]);
	close(word[0]);
	waitpid(child, NULL, 0);
	if (fd < 0)
		return error_errno(error, byte ? byte : EIO, "mount namespace");
	*ret_fd = fd;
	return 0;
}

int root_listed(int path_fd, int user_namespace, int writable, int executable,
		int *ret_fd, struct error *error)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID |
			    MOUNT_ATTR_NODEV |
			    (writable ? 0 : MOUNT_ATTR_RDONLY) |
			    (executable ? 0 : MOUNT_ATTR_NOEXEC),
		.userns_fd = (uint64_t)user_namespace,
		.propagation = MS_PRIVATE,
	};
	/* Not recursive: what is mounted below was not listed. */
	OWN_FD tree = (int)syscall(SYS_open_tree, path_fd, "",
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					   AT_EMPTY_PATH);
	if (tree < 0)
		return error_errno(error, errno, "clone");
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes,
		    sizeof(attributes)) < 0) {
		if (errno == EINVAL)
			return error_set(error, ENOTSUP,
					 "its file system can't be id-mapped");
		return error_errno(error, errno, "id-mapped mount");
	}
	*ret_fd = own_take_fd(&tree);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading files that decide about others' bounds: see trusted.h. */
#include "trusted.h"

#include "own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Nobody but root can put another file in this directory's entries. */
static int directory_check(const char *path, size_t length, int fd,
			   struct error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "%s", path);
	int shown = (int)(length ? length : 1);
	if (S_ISLNK(status.st_mode))
		return error_set(error, ELOOP,
				 "%s: %.*s is a symbolic link: give the real path",
				 path, shown, path);
	if (!S_ISDIR(status.st_mode))
		return error_set(error, ENOTDIR, "%s: %.*s is not a directory",
				 path, shown, path);
	if (status.st_uid != 0)
		return error_set(error, EPERM,
				 "%s: the directory %.*s belongs to uid %u, not to "
				 "root: put the file where only root writes",
				 path, shown, path, status.st_uid);
	if (status.st_mode & (S_IWGRP | S_IWOTH) && !(status.st_mode & S_ISVTX))
		return error_set(error, EPERM,
				 "%s: the directory %.*s is %s: chmod go-w it", path,
				 shown, path, status.st_mode & S_IWOTH ?
				 "world-writable" : "group-writable");
	return 0;
}

/* Opens the directory that holds the last part of `path`; *ret_last is that
 * part. */
static int parent_open(const char *path, int *ret_fd, const char **ret_last,
		       struct error *error)
{
	OWN_FD at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *part = path;
	char name[NAME_MAX + 1];

	if (path[0] != '/')
		return error_set(error, EINVAL, "%s: an absolute path was expected",
				 path);
	if (at < 0)
		return error_errno(error, errno, "/");
	for (;;) {
		int result = directory_check(path, (size_t)(part - path), at, error);
		if (result < 0)
			return result;
		part += strspn(part, "/");
		size_t length = strcspn(part, "/");
		if (!part[length] || !part[length + strspn(part + length, "/")])
			break;
		if (length > NAME_MAX)
			return error_errno(error, ENAMETOOLONG, "%s", path);
		memcpy(name, part, length);
		name[length] = 0;
		part += length;
		int next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return error_errno(error, errno, "%s", path);
		own_close(&at);
		at = next;
	}
	*ret_last = part;
	*ret_fd = own_take_fd(&at);
	return 0;
}

/* O_NONBLOCK: a fifo would wait for its writer. */
static int file_open(int directory, const char *name, const char *path,
		     int flags, struct error *error)
{
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY |
						 O_CLOEXEC | flags);
	if (fd < 0 && errno == ELOOP)
		return error_set(error, ELOOP,
				 "%s: is a symbolic link: give the real path", path);
	if (fd < 0)
		return error_errno(error, errno, "%s", path);
	struct stat status;
	if (fstat(fd, &status) < 0) {
		own_close(&fd);
		return error_errno(error, errno, "%s", path);
	}
	if (!S_ISREG(status.st_mode)) {
		own_close(&fd);
		return error_set(error, EINVAL, "%s: is not a regular file", path);
	}
	return fd;
}

int trusted_open(const char *path, int *ret_fd, struct error *error)
{
	OWN_FD directory = -1;
	const char *name = NULL;
	struct stat status;

	int result = parent_open(path, &directory, &name, error);
	if (result < 0)
		return result;
	OWN_FD fd = file_open(directory, name, path, O_NOFOLLOW, error);
	if (fd < 0)
		return -error->code;
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "%s", path);
	if (status.st_uid != 0)
		return error_set(error, EPERM, "%s: belongs to uid %u, not to root: "
				 "chown root it", path, status.st_uid);
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(error, EPERM, "%s: is %s: chmod go-w it", path,
				 status.st_mode & S_IWOTH ? "world-writable" :
							    "group-writable");
	*ret_fd = own_take_fd(&fd);
	return 0;
}

static int read_all(int fd, const char *path, size_t limit, char **ret_text,
		    size_t *ret_length, struct error *error)
{
	size_t length = 0, room = 4096;
	OWN_MEMORY char *text = malloc(room);

	while (text) {
		ssize_t got = read(fd, text + length, room - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(error, errno, "%s", path);
		length += (size_t)got;
		if (length > limit)
			return error_set(error, E2BIG, "%s: is too large: at most "
					 "%zu bytes are read", path, limit);
		if (got == 0) {
			text[length] = 0;
			*ret_text = text;
			*ret_length = length;
			text = NULL;
			return 0;
		}
		if (length < room)
			continue;
		char *more = realloc(text, room * 2);
		if (!more)
			break;
		text = more;
		room *= 2;
	}
	return error_errno(error, ENOMEM, "%s", path);
}

int trusted_read(const char *path, size_t limit, char **ret_text,
		 size_t *ret_length, struct error *error)
{
	OWN_FD fd = -1;

	int result = trusted_open(path, &fd, error);
	if (result < 0)
		return result;
	return read_all(fd, path, limit, ret_text, ret_length, error);
}

int untrusted_read(const char *path, size_t limit, char **ret_text,
		   size_t *ret_length, struct error *error)
{
	OWN_FD fd = file_open(AT_FDCWD, path, path, 0, error);

	if (fd < 0)
		return -error->code;
	return read_all(fd, path, limit, ret_text, ret_length, error);
}

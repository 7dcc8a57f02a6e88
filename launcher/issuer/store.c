/* SPDX-License-Identifier: Apache-2.0 */
/* The key directory: see store.h. */
#include "store.h"

#include "base/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SET "authority"
#define UNFINISHED "authority.new"	/* of a first start that was cut short */

#define STORE_ROW(name, file, needed) { file, needed },
static const struct {
	const char *name;
	int needed;
} files[STORE_LIMIT] = { STORE_FILES(STORE_ROW) };
#undef STORE_ROW

/* Whoever could write here could choose the node's keys. */
static int check(int fd, const char *name, mode_t kind, uid_t uid,
		 struct error *error)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "keys: %s", name);
	if ((status.st_mode & S_IFMT) != kind)
		return error_set(error, EINVAL, "keys: %s: not a %s", name,
				 kind == S_IFDIR ? "directory" : "file");
	if (status.st_uid != uid)
		return error_set(error, EPERM, "keys: %s: owned by uid %u, "
				 "not by %u", name, status.st_uid, uid);
	mode_t wanted = kind == S_IFDIR ? 0700 : 0600;
	if ((status.st_mode & 07777) != wanted)
		return error_set(error, EPERM, "keys: %s: mode %04o, not %04o",
				 name, status.st_mode & 07777, wanted);
	if (kind == S_IFREG && status.st_nlink != 1)
		return error_set(error, EPERM, "keys: %s: has %lu names", name,
				 (unsigned long)status.st_nlink);
	return 0;
}

static int load_file(int set, enum store_file which, uid_t uid,
		     struct store *store, struct error *error)
{
	const char *name = files[which].name;
	/* Not blocking: a pipe put here must not stop the node. */
	OWN_FD fd = openat(set, name,
			   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "keys: %s", name);
	int result = check(fd, name, S_IFREG, uid, error);
	if (result < 0)
		return result;
	size_t length = 0;
	for (;;) {
		ssize_t got = read(fd, store->bytes[which] + length,
				   STORE_BYTES - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(error, errno, "keys: %s", name);
		if (got == 0)
			break;
		length += (size_t)got;
		if (length == STORE_BYTES)
			return error_set(error, EFBIG, "keys: %s: too large", name);
	}
	store->length[which] = length;
	return 0;
}

int store_load(int directory, uid_t uid, struct store *ret_store,
	       struct error *error)
{
	int result = check(directory, "key directory", S_IFDIR, uid, error);
	if (result < 0)
		return result;
	OWN_FD set = openat(directory, SET,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set < 0 && errno == ENOENT)
		return -ENOENT;
	if (set < 0)
		return error_errno(error, errno, "keys: " SET);
	result = check(set, SET, S_IFDIR, uid, error);
	for (int i = 0; i < STORE_LIMIT && !result; i++)
		if (files[i].needed)
			result = load_file(set, (enum store_file)i, uid,
					   ret_store, error);
	/* Half a set is broken, not absent. */
	if (result == -ENOENT)
		return -EINVAL;
	return result;
}

static int save_file(int set, enum store_file which, uid_t uid,
		     const struct store *store, struct error *error)
{
	const char *name = files[which].name;
	OWN_FD fd = openat(set, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
			   O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(error, errno, "keys: %s", name);
	for (size_t done = 0; done < store->length[which];) {
		ssize_t put = write(fd, store->bytes[which] + done,
				    store->length[which] - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(error, errno, "keys: %s", name);
		done += (size_t)put;
	}
	if (fchmod(fd, 0600) < 0 || fchown(fd, uid, (gid_t)uid) < 0 ||
	    fsync(fd) < 0)
		return error_errno(error, errno, "keys: %s", name);
	return 0;
}

/* Nothing was ever signed with what stands there. */
static int remove_unfinished(int directory, struct error *error)
{
	OWN_FD set = openat(directory, UNFINISHED,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set < 0 && errno == ENOENT)
		return 0;
	if (set < 0)
		return error_errno(error, errno, "keys: " UNFINISHED);
	for (int i = 0; i < STORE_LIMIT; i++)
		if (unlinkat(set, files[i].name, 0) < 0 && errno != ENOENT)
			return error_errno(error, errno, "keys: " UNFINISHED
					   "/%s", files[i].name);
	if (unlinkat(directory, UNFINISHED, AT_REMOVEDIR) < 0)
		return error_errno(error, errno, "keys: " UNFINISHED);
	return 0;
}

int store_save(int directory, uid_t uid, const struct store *store,
	       struct error *error)
{
	int result = check(directory, "key directory", S_IFDIR, uid, error);
	if (!result)
		result = remove_unfinished(directory, error);
	if (result < 0)
		return result;
	if (mkdirat(directory, UNFINISHED, 0700) < 0)
		return error_errno(error, errno, "keys: " UNFINISHED);
	OWN_FD set = openat(directory, UNFINISHED,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (set < 0)
		return error_errno(error, errno, "keys: " UNFINISHED);
	for (int i = 0; i < STORE_LIMIT && !result; i++)
		result = save_file(set, (enum store_file)i, uid, store, error);
	if (result < 0)
		return result;
	if (fchmod(set, 0700) < 0 || fchown(set, uid, (gid_t)uid) < 0 ||
	    fsync(set) < 0)
		return error_errno(error, errno, "keys: " UNFINISHED);
	/* Never over one that is there. */
	if (renameat2(directory, UNFINISHED, directory, SET,
		      RENAME_NOREPLACE) < 0)
		return error_errno(error, errno, "keys: " SET);
	if (fsync(directory) < 0)
		return error_errno(error, errno, "keys: key directory");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one credential: see files.h. */
#include "files.h"

#include "base/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define NAME_BYTES (AMBIT_NAME_SIZE + 16)
#define FILES 4
#define NONE 3	/* no second part */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* In the order in which they are put in place: the file that bears the
 * credential's own name is whole in itself and comes last. */
static const struct kind {
	const char *type;
	struct file {
		const char *suffix;
		uint8_t parts[2];	/* of the memfd, one after the other */
	} files[FILES];
	unsigned count;
} kinds[FILES_KINDS] = {
	[FILES_X509] = { "x509-svid",
		{ { ".bundle", { 2, NONE } }, { ".key", { 1, NONE } },
		  { ".crt", { 0, NONE } }, { "", { 0, 1 } } }, 4 },
	[FILES_JWT] = { "jwt-svid",
		{ { ".bundle", { 2, NONE } }, { "", { 0, NONE } } }, 2 },
};

int files_kind(const char *type, enum files_kind *ret_kind)
{
	for (int kind = 0; kind < FILES_KINDS; kind++) {
		if (strcmp(kinds[kind].type, type) != 0)
			continue;
		*ret_kind = (enum files_kind)kind;
		return 0;
	}
	return -EINVAL;
}

int files_name_valid(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && length < AMBIT_NAME_SIZE &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

int files_check_directory(int directory, uid_t uid)
{
	struct stat status;
	if (fstat(directory, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	if (status.st_uid != uid || status.st_gid == (gid_t)uid ||
	    status.st_gid == 0 || (status.st_mode & 07777) != 02750)
		return -EPERM;
	return 0;
}

static void final_name(char ret_name[NAME_BYTES], const char *name,
		       const struct file *file)
{
	snprintf(ret_name, NAME_BYTES, "%s%s", name, file->suffix);
}

static void temporary_name(char ret_name[NAME_BYTES], const char *name,
			   const struct file *file)
{
	snprintf(ret_name, NAME_BYTES, ".%s%s.new", name, file->suffix);
}

static int remove_one(int directory, const char *name)
{
	return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int copy(int to, int from, off_t offset, size_t bytes)
{
	while (bytes) {
		ssize_t moved = sendfile(to, from, &offset, bytes);
		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return -errno;
		if (moved == 0)
			return -EIO;
		bytes -= (size_t)moved;
	}
	return 0;
}

/* The agent reads it through its group; nobody else does. */
static int check_made(int fd, gid_t gid)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_mode != (S_IFREG | 0440) || status.st_gid != gid)
		return -EPERM;
	return 0;
}

static int make_one(int directory, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	int fd = openat(directory, name, flags, 0440);
	if (fd < 0 && errno == EEXIST) {
		/* Left by a porter that ended in between. */
		int result = remove_one(directory, name);
		if (result < 0)
			return result;
		fd = openat(directory, name, flags, 0440);
	}
	return fd < 0 ? -errno : fd;
}

static int write_one(int directory, gid_t gid, const char *name,
		     const struct file *file, int from, const uint32_t part[3])
{
	OWN_FD fd = make_one(directory, name);
	if (fd < 0)
		return fd;
	int result = check_made(fd, gid);
	const off_t offsets[3] = { 0, part[0], (off_t)part[0] + part[1] };
	for (int i = 0; i < 2 && !result; i++)
		if (file->parts[i] != NONE)
			result = copy(fd, from, offsets[file->parts[i]],
				      part[file->parts[i]]);
	return result;
}

/* What the issuer sent must be whole and must not change under our hands. */
static int check_sealed(int from, const uint32_t part[3])
{
	struct stat status;
	int seals = fcntl(from, F_GET_SEALS);
	if (seals < 0 || fstat(from, &status) < 0)
		return -errno;
	off_t bytes = (off_t)part[0] + part[1] + part[2];
	return (seals & SEALS) == SEALS && status.st_size == bytes ? 0 : -EBADMSG;
}

int files_prepare(int directory, const char *name, enum files_kind kind, int from,
		  const uint32_t part[3])
{
	char temporary[NAME_BYTES];
	struct stat status;
	int result = fstat(directory, &status) < 0 ? -errno :
						     check_sealed(from, part);
	for (unsigned i = 0; i < kinds[kind].count && !result; i++) {
		const struct file *file = &kinds[kind].files[i];
		temporary_name(temporary, name, file);
		result = write_one(directory, status.st_gid, temporary, file, from,
				   part);
	}
	if (result < 0)
		files_discard(directory, name, kind);
	return result;
}

int files_publish(int directory, const char *name, enum files_kind kind)
{
	char temporary[NAME_BYTES], final[NAME_BYTES];
	for (unsigned i = 0; i < kinds[kind].count; i++) {
		temporary_name(temporary, name, &kinds[kind].files[i]);
		final_name(final, name, &kinds[kind].files[i]);
		if (renameat(directory, temporary, directory, final) < 0) {
			int failure = errno;
			files_discard(directory, name, kind);
			return -failure;
		}
	}
	return 0;
}

static int remove_all(int directory, const char *name, enum files_kind kind,
		      void (*make)(char *, const char *, const struct file *))
{
	char path[NAME_BYTES];
	int first = 0;
	for (unsigned i = 0; i < kinds[kind].count; i++) {
		make(path, name, &kinds[kind].files[i]);
		int result = remove_one(directory, path);
		if (result < 0 && !first)
			first = result;
	}
	return first;
}

int files_discard(int directory, const char *name, enum files_kind kind)
{
	return remove_all(directory, name, kind, temporary_name);
}

int files_remove(int directory, const char *name, enum files_kind kind)
{
	return remove_all(directory, name, kind, final_name);
}

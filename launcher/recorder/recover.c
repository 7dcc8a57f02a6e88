/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a log over that another process left, maybe in the middle of a line:
 * see log_open in log.h.  Runs inside the walls, as the recorder's own uid: what
 * it reads may have been written by a recorder that was taken over.
 *
 * Only the end can be torn.  A bad line with good ones behind it was not made by
 * a crash; such a log is refused rather than cut, because a cut would destroy
 * the evidence.
 */
#include "log.h"

#include "base/number.h"
#include "base/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (1U << 20)
#define LONGEST 65536		/* no line is longer, newline included */
#define NEAR (16U << 20)	/* bytes that hold what the ring may repeat */

struct scan {
	uint64_t expected;	/* sequence of the next line */
	uint64_t good;		/* bytes that hold good lines */
	uint64_t bad;		/* lines behind them that are whole but wrong */
	uint64_t end;		/* bytes of the file */
	log_seen *seen;
	void *data;
};

static void scan_line(struct scan *scan, const char *line, size_t length)
{
	struct audit_scanned scanned;
	int good = audit_scan(line, length, &scanned) == 0;

	if (scan->good != scan->end) {
		scan->bad += (unsigned)good;
		scan->end += length + 1;
		return;
	}
	scan->end += length + 1;
	if (!good)
		return;
	if (scanned.sequence != scan->expected) {
		scan->bad++;
		return;
	}
	scan->expected++;
	scan->good = scan->end;
	scan->seen(scan->data, &scanned);
}

/* Reads the whole file line by line.  Bytes behind the last newline only count
 * towards `end`. */
static int scan_file(int fd, char *chunk, struct scan *scan)
{
	size_t held = 0;
	uint64_t offset = 0;

	for (;;) {
		ssize_t got = pread(fd, chunk + held, CHUNK - held, (off_t)offset);
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		offset += (uint64_t)got;
		held += (size_t)got;
		char *at = chunk, *newline;
		while ((newline = memchr(at, '\n', held - (size_t)(at - chunk)))) {
			scan_line(scan, at, (size_t)(newline - at));
			at = newline + 1;
		}
		held -= (size_t)(at - chunk);
		memmove(chunk, at, held);
		/* No newline for so long: zeros, or not our file. */
		if (held >= LONGEST) {
			scan->end += held;
			held = 0;
		}
	}
	scan->end += held;
	return 0;
}

static int open_segment(struct log *log, uint64_t first, int flags,
			struct error *error)
{
	char name[LOG_NAME_SIZE];
	struct stat status;

	log_name(name, first);
	OWN_FD fd = openat(log->directory, name,
			   flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int code = errno;
	if (fd < 0 && code == EACCES &&
	    fstatat(log->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    status.st_uid != geteuid())
		return error_set(error, code, "log: %s: it is uid %u's, not the "
				 "recorder's (%u): was uid-range another?", name,
				 status.st_uid, geteuid());
	if (fd < 0)
		return error_errno(error, code, "log: %s", name);
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "log: %s", name);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    status.st_nlink != 1)
		return error_set(error, EPERM,
				 "log: %s: not a file of the recorder's own", name);
	return own_take_fd(&fd);
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static int list_segments(struct log *log, struct error *error)
{
	static const char before[] = "audit-", behind[] = ".jsonl";
	int fd = openat(log->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int result = 0;

	if (!directory) {
		result = error_errno(error, errno, "log: directory");
		own_close(&fd);
		return result;
	}
	for (;;) {
		uint64_t first;
		errno = 0;
		const struct dirent *entry = readdir(directory);
		if (!entry)
			break;
		const char *name = entry->d_name;
		if (strlen(name) != sizeof(before) + sizeof(behind) - 2 + 20 ||
		    strncmp(name, before, sizeof(before) - 1) != 0 ||
		    strcmp(name + sizeof(before) - 1 + 20, behind) != 0 ||
		    number_parse(name + sizeof(before) - 1, 20, UINT64_MAX,
				 &first) < 0)
			continue;
		result = log_remember(log, first);
		if (result < 0)
			break;
	}
	if (!result && errno)
		result = -errno;
	closedir(directory);
	if (result < 0)
		return error_errno(error, -result, "log: directory");
	if (log->first_count)
		qsort(log->firsts, log->first_count, sizeof(*log->firsts), compare);
	return 0;
}

/* The segment before the last, for the lines that the ring may repeat. */
static int see_previous(struct log *log, char *chunk, log_seen *seen, void *data,
			struct error *error)
{
	if (log->first_count < 2)
		return 0;
	uint64_t first = log->firsts[log->first_count - 2];
	OWN_FD fd = open_segment(log, first, O_RDONLY, error);
	if (fd < 0)
		return fd;
	struct scan scan = { .expected = first, .seen = seen, .data = data };
	int result = scan_file(fd, chunk, &scan);
	if (result < 0)
		return error_errno(error, -result, "log: segment %llu",
				   (unsigned long long)first);
	return 0;
}

static int take_last(struct log *log, char *chunk, log_seen *seen, void *data,
		     struct error *error)
{
	uint64_t first = log->firsts[log->first_count - 1];
	OWN_FD fd = open_segment(log, first, O_RDWR | O_APPEND, error);
	if (fd < 0)
		return fd;
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return error_errno(error, errno, "log: size");
	int result = size < NEAR ? see_previous(log, chunk, seen, data, error) : 0;
	if (result < 0)
		return result;
	struct scan scan = { .expected = first, .seen = seen, .data = data };
	result = scan_file(fd, chunk, &scan);
	if (result < 0)
		return error_errno(error, -result, "log: read");
	if (scan.bad)
		return error_set(error, EUCLEAN,
				 "log: segment %llu: changed behind line %llu: "
				 "%llu lines do not follow; move the directory "
				 "aside and keep it",
				 (unsigned long long)first,
				 (unsigned long long)scan.expected,
				 (unsigned long long)scan.bad);
	log->cut = scan.end - scan.good;
	if (log->cut && ftruncate(fd, (off_t)scan.good) < 0)
		return error_errno(error, errno, "log: cutting a torn tail");
	/* What the last process wrote may not be on the disk yet; from here on
	 * it is taken for durable. */
	if (fsync(fd) < 0)
		return error_errno(error, errno, "log: sync");
	log->segment = own_take_fd(&fd);
	log->length = log->durable_length = scan.good;
	log->next = log->durable = log->unwritten = scan.expected;
	return 0;
}

int log_open(struct log *log, int directory, log_seen *seen, void *data,
	     struct error *error)
{
	OWN_MEMORY char *chunk = malloc(CHUNK);

	*log = (struct log){ .directory = -1, .segment = -1 };
	log->buffer = malloc(LOG_BUFFER);
	if (!chunk || !log->buffer)
		return error_errno(error, ENOMEM, "log");
	log->directory = openat(directory, ".",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log->directory < 0)
		return error_errno(error, errno, "log: directory");
	/* Two writers would number the same lines twice. */
	if (flock(log->directory, LOCK_EX | LOCK_NB) < 0)
		return error_errno(error, errno,
				   "log: another recorder has this directory");
	int result = list_segments(log, error);
	if (result < 0)
		return result;
	if (log->first_count)
		return take_last(log, chunk, seen, data, error);
	result = log_begin_segment(log, 0);
	if (result < 0)
		return error_errno(error, -result, "log: first segment");
	return 0;
}

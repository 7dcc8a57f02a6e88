/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the segments of a log, also one that is being written: see tool.h.
 * The names and the lines say everything; no index is used.
 */
#include "scan.h"
#include "tool.h"

#include "../base/number.h"
#include "../base/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (1U << 20)
#define SETTLE_MS 100	/* a line that is being written is whole by then */

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* "audit-<20 digits>.jsonl" */
static int segment_first(const char *name, uint64_t *ret_first)
{
	static const char before[] = "audit-", behind[] = ".jsonl";
	const size_t digits = 20;

	if (strlen(name) != sizeof(before) - 1 + digits + sizeof(behind) - 1 ||
	    strncmp(name, before, sizeof(before) - 1) != 0 ||
	    strcmp(name + sizeof(before) - 1 + digits, behind) != 0)
		return -EINVAL;
	return number_parse(name + sizeof(before) - 1, digits, UINT64_MAX,
			    ret_first);
}

static int remember(struct tool_files *files, uint64_t first)
{
	uint64_t *grown = reallocarray(files->firsts, files->count + 1,
				       sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	files->firsts = grown;
	files->firsts[files->count++] = first;
	return 0;
}

static int list(struct tool_files *files, DIR *directory)
{
	for (;;) {
		uint64_t first;
		errno = 0;
		const struct dirent *entry = readdir(directory);
		if (!entry)
			return -errno;
		if (segment_first(entry->d_name, &first) < 0)
			continue;
		int result = remember(files, first);
		if (result < 0)
			return result;
	}
}

int tool_files_open(const char *path, struct tool_files *ret_files,
		    struct error *error)
{
	struct tool_files files = { .directory = -1 };
	DIR *directory = opendir(path);

	if (!directory)
		return error_errno(error, errno, "%s", path);
	int result = list(&files, directory);
	if (!result)
		files.directory = fcntl(dirfd(directory), F_DUPFD_CLOEXEC, 3);
	if (!result && files.directory < 0)
		result = -errno;
	closedir(directory);
	if (result < 0) {
		tool_files_close(&files);
		return error_errno(error, -result, "%s", path);
	}
	if (files.count)
		qsort(files.firsts, files.count, sizeof(*files.firsts), compare);
	*ret_files = files;
	return 0;
}

void tool_files_close(struct tool_files *files)
{
	own_close(&files->directory);
	own_free(&files->firsts);
	files->count = 0;
}

/* One segment on its way through the buffer. */
struct walk {
	int fd;
	uint64_t limit;		/* sequence the next segment begins with */
	char *chunk;
	size_t held;
	uint64_t offset;
	tool_line *line;
	void *data;
};

static int walk_lines(struct walk *walk)
{
	char *at = walk->chunk, *newline;
	size_t left = walk->held;
	int result = 0;

	while (!result && (newline = memchr(at, '\n', left))) {
		struct audit_scanned scanned;
		size_t length = (size_t)(newline - at);
		int overlaps = !audit_scan(at, length, &scanned) &&
			       scanned.sequence >= walk->limit;
		result = walk->line(walk->data, at, length, overlaps);
		left -= length + 1;
		at = newline + 1;
	}
	memmove(walk->chunk, at, left);
	walk->held = left;
	return result;
}

/* Reads to the end of the file, or to the end that a writer leaves for a
 * moment. */
static int walk_file(struct walk *walk)
{
	int settled = 0;

	for (;;) {
		ssize_t got = pread(walk->fd, walk->chunk + walk->held,
				    CHUNK - walk->held, (off_t)walk->offset);
		if (got < 0)
			return -errno;
		if (got == 0 && (!walk->held || settled))
			return 0;
		if (got == 0) {
			poll(NULL, 0, SETTLE_MS);
			settled = 1;
			continue;
		}
		settled = 0;
		walk->offset += (uint64_t)got;
		walk->held += (size_t)got;
		int result = walk_lines(walk);
		if (result)
			return result;
		if (walk->held == CHUNK)
			return -EMSGSIZE;
	}
}

static int open_segment(const struct tool_files *files, size_t index,
			struct error *error)
{
	char name[64];
	struct stat status;

	snprintf(name, sizeof(name), "audit-%020llu.jsonl",
		 (unsigned long long)files->firsts[index]);
	OWN_FD fd = openat(files->directory, name,
			   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "%s", name);
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "%s", name);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s: not a regular file", name);
	return own_take_fd(&fd);
}

int tool_files_walk(const struct tool_files *files, uint64_t from,
		    tool_line *line, void *data, enum tool_tail *ret_tail,
		    struct error *error)
{
	OWN_MEMORY char *chunk = malloc(CHUNK);
	size_t index = 0;

	*ret_tail = TOOL_TAIL_WHOLE;
	if (!chunk)
		return error_errno(error, ENOMEM, "log");
	while (index + 1 < files->count && files->firsts[index + 1] <= from)
		index++;
	for (; index < files->count; index++) {
		OWN_FD fd = open_segment(files, index, error);
		if (fd < 0)
			return fd;
		struct walk walk = {
			.fd = fd, .chunk = chunk, .line = line, .data = data,
			.limit = index + 1 < files->count ?
					 files->firsts[index + 1] : UINT64_MAX,
		};
		int result = walk_file(&walk);
		if (result < 0)
			return error_errno(error, -result, "segment %llu",
				(unsigned long long)files->firsts[index]);
		if (result > 0)
			return result;
		if (walk.held)
			*ret_tail = TOOL_TAIL_TORN;
	}
	return 0;
}

static int see_end(void *data, const char *line, size_t length, int overlaps)
{
	struct audit_scanned scanned;

	if (!overlaps && audit_scan(line, length, &scanned) == 0)
		*(uint64_t *)data = scanned.sequence + 1;
	return 0;
}

int tool_files_end(const struct tool_files *files, uint64_t *ret_end,
		   struct error *error)
{
	enum tool_tail tail;
	uint64_t end = files->count ? files->firsts[files->count - 1] : 0;
	int result = tool_files_walk(files, UINT64_MAX, see_end, &end, &tail,
				     error);

	if (result < 0)
		return result;
	*ret_end = end;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail: the last records from the files, then those that come, from the audit
 * pipe.  Works on the files alone when no node runs.  Called by main.c.
 */
#include "scan.h"
#include "tool.h"

#include "../base/own.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The last wanted lines seen, a ring of `room`. */
struct last {
	const struct tool_show *show;
	char **lines;
	size_t *lengths;
	size_t room;
	uint64_t count;
	uint64_t end;		/* sequence behind the last line read */
	int broken;
};

static void last_release(struct last *last)
{
	for (size_t i = 0; last->lines && i < last->room; i++)
		free(last->lines[i]);
	free(last->lines);
	free(last->lengths);
}

static int last_keep(struct last *last, const char *line, size_t length)
{
	size_t at = last->count % last->room;
	char *copy = malloc(length + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, line, length);
	free(last->lines[at]);
	last->lines[at] = copy;
	last->lengths[at] = length;
	last->count++;
	return 0;
}

static int see_line(void *data, const char *line, size_t length, int overlaps)
{
	struct last *last = data;
	struct audit_scanned scanned;

	if (overlaps)
		return 0;
	json_t *record = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(record) || audit_scan(line, length, &scanned) < 0) {
		json_decref(record);
		last->broken = 1;
		return 0;
	}
	int wanted = tool_wanted(last->show, record);
	json_decref(record);
	last->end = scanned.sequence + 1;
	if (!wanted)
		return 0;
	if (last->show->from_given)
		return tool_show_line(stdout, last->show, line, length) < 0;
	return last->room ? last_keep(last, line, length) : 0;
}

static int show_files(const char *directory, const struct tool_show *show,
		      uint64_t *ret_end, struct error *error)
{
	struct tool_files files;
	enum tool_tail tail;
	struct last last = { .show = show, .room = show->lines };
	uint64_t from = show->from, end = 0;

	int result = tool_files_open(directory, &files, error);
	if (result < 0)
		return result;
	result = tool_files_end(&files, &end, error);
	/* Without a filter the last N records are the last N lines. */
	if (!show->from_given && !show->agent && !show->profile && !show->task &&
	    !show->denied)
		from = end > show->lines ? end - show->lines : 0;
	if (!show->from_given && last.room) {
		last.lines = calloc(last.room, sizeof(*last.lines));
		last.lengths = calloc(last.room, sizeof(*last.lengths));
		if (!last.lines || !last.lengths)
			result = error_errno(error, ENOMEM, "tail");
	}
	last.end = end;
	if (!result)
		result = tool_files_walk(&files, from, see_line, &last, &tail,
					 error);
	tool_files_close(&files);
	uint64_t first = last.count > last.room ? last.count - last.room : 0;
	for (uint64_t i = first; !result && i < last.count; i++) {
		size_t at = i % last.room;
		if (tool_show_line(stdout, show, last.lines[at],
				   last.lengths[at]) < 0)
			last.broken = 1;
	}
	*ret_end = last.end;
	int broken = last.broken;
	last_release(&last);
	if (result < 0)
		return result;
	if (broken)
		return error_set(error, EBADMSG, "%s: a line is not a record; "
				 "run ambit audit verify", directory);
	return 0;
}

static int connect_pipe(const char *path, uint64_t position, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char request[64];

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, ENAMETOOLONG, "%s: too long", path);
	memcpy(address.sun_path, path, strlen(path));
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "%s", path);
	int length = snprintf(request, sizeof(request), "position %llu\n",
			      (unsigned long long)position);
	/* EPIPE: refused before we could ask; the reason is there to read. */
	if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length &&
	    errno != EPIPE)
		return error_errno(error, errno, "%s", path);
	return own_take_fd(&fd);
}

static int show_live(const struct tool_show *show, const char *line,
		     size_t length, struct error *error)
{
	static const char refusal[] = "{\"error\":\"";

	if (length >= sizeof(refusal) - 1 &&
	    !memcmp(line, refusal, sizeof(refusal) - 1))
		return error_set(error, EPROTO, "audit pipe: %.*s", (int)length,
				 line);
	if (tool_show_line(stdout, show, line, length) < 0)
		return error_set(error, EBADMSG,
				 "audit pipe: a line is not a record");
	return 0;
}

static int follow(int fd, const struct tool_show *show, struct error *error)
{
	static char held[2 * TOOL_LINE];
	size_t count = 0;

	for (;;) {
		ssize_t got = read(fd, held + count, sizeof(held) - count);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(error, errno, "audit pipe");
		if (got == 0)
			return 0;
		count += (size_t)got;
		char *at = held, *newline;
		size_t left = count;
		while ((newline = memchr(at, '\n', left))) {
			size_t length = (size_t)(newline - at);
			int result = show_live(show, at, length, error);
			if (result < 0)
				return result;
			left -= length + 1;
			at = newline + 1;
		}
		if (left == sizeof(held))
			return error_set(error, EMSGSIZE,
					 "audit pipe: a line has no end");
		memmove(held, at, left);
		count = left;
		if (fflush(stdout) != 0)
			return error_errno(error, errno, "output");
	}
}

int tool_tail(const char *directory, const char *socket_path,
	      const struct tool_show *show, struct error *error)
{
	struct error none = { 0 };
	uint64_t end = 0;

	int result = show_files(directory, show, &end, error);
	if (result < 0)
		return result;
	if (fflush(stdout) != 0)
		return error_errno(error, errno, "output");
	if (show->no_follow)
		return 0;
	if (show->from_given && show->from > end)
		end = show->from;
	OWN_FD fd = connect_pipe(socket_path, end, &none);
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		fputs("ambit: audit: no node is running: nothing to follow\n", stderr);
		return 0;
	}
	if (fd < 0) {
		*error = none;
		return fd;
	}
	result = follow(fd, show, error);
	if (!result)
		fputs("ambit: audit: the node ended\n", stderr);
	return result;
}

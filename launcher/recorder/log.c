/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to the log: see log.h.  The order that everything else rests on:
 * write, then sync, then say so.  Called from the recorder's loop, inside the
 * walls.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void log_name(char name[LOG_NAME_SIZE], uint64_t first)
{
	snprintf(name, LOG_NAME_SIZE, "audit-%020llu.jsonl",
		 (unsigned long long)first);
}

int log_remember(struct log *log, uint64_t first)
{
	if (log->first_count && log->firsts[log->first_count - 1] == first)
		return 0;
	/* Grown by doubling: at every power of two. */
	if (!(log->first_count & (log->first_count - 1))) {
		size_t room = log->first_count ? 2 * log->first_count : 1;
		uint64_t *grown = reallocarray(log->firsts, room,
					       sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		log->firsts = grown;
	}
	log->firsts[log->first_count++] = first;
	return 0;
}

int log_begin_segment(struct log *log, uint64_t first)
{
	char name[LOG_NAME_SIZE];

	log_name(name, first);
	int fd = openat(log->directory, name,
			O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW |
				O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	/* A file whose name is not durable would take its lines with it. */
	int result = fsync(log->directory) < 0 ? -errno : 0;
	if (!result)
		result = log_remember(log, first);
	if (result < 0) {
		close(fd);
		if (unlinkat(log->directory, name, 0) < 0)
			return -errno;
		return result;
	}
	if (log->segment >= 0)
		close(log->segment);
	log->segment = fd;
	log->length = log->durable_length = 0;
	log->torn = 0;
	return 0;
}

char *log_room(struct log *log, size_t reserve)
{
	if (LOG_BUFFER - log->used < AUDIT_LINE + reserve)
		return NULL;
	return log->buffer + log->used;
}

void log_add(struct log *log, size_t length)
{
	log->used += length;
	log->next++;
}

/*
 * After a failed sync: the lines from `durable` on are written once more, into a
 * segment of their own.  What the old one has of them is cut off; when its disk
 * refuses even that, readers take the newer segment's lines, which are the same
 * bytes.
 */
static int begin_again(struct log *log)
{
	char name[LOG_NAME_SIZE];
	int fresh = log->first_count &&
		    log->firsts[log->first_count - 1] == log->durable;

	if (log->segment >= 0 && !fresh &&
	    ftruncate(log->segment, (off_t)log->durable_length) < 0)
		log->overlaps++;
	if (fresh) {
		/* Nothing in it is durable and its name is wanted. */
		log_name(name, log->durable);
		if (unlinkat(log->directory, name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	int result = log_begin_segment(log, log->durable);
	if (result < 0)
		return result;
	log->written = 0;
	log->unwritten = log->durable;
	log->again = 0;
	log->renewed = fresh;
	return 0;
}

static int rotate(struct log *log)
{
	int result = log_sync(log);

	if (result < 0)
		return result;
	result = log_begin_segment(log, log->unwritten);
	if (result < 0)
		return result;
	log->rotated = 1;
	return 0;
}

static int write_all(struct log *log)
{
	while (log->written < log->used) {
		ssize_t done = write(log->segment, log->buffer + log->written,
				     log->used - log->written);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		log->written += (size_t)done;
	}
	return 0;
}

int log_write(struct log *log)
{
	int result = 0;

	if (log->again)
		result = begin_again(log);
	if (result < 0 || log->written == log->used)
		return result;
	if (log->length &&
	    log->length + (log->used - log->written) > LOG_SEGMENT)
		result = rotate(log);
	if (result < 0)
		return result;
	if (log->torn && ftruncate(log->segment, (off_t)log->length) < 0)
		return -errno;
	log->torn = 0;
	size_t before = log->written;
	result = write_all(log);
	if (result < 0) {
		/* Half a line may stand there now: back to the last whole one,
		 * so that readers and a restart meet lines only. */
		log->written = before;
		log->torn = ftruncate(log->segment, (off_t)log->length) < 0;
		return result;
	}
	log->length += log->written - before;
	log->unwritten = log->next;
	return 0;
}

int log_sync(struct log *log)
{
	if (log->again)
		return -EIO;
	if (!log->written)
		return 0;
	if (fdatasync(log->segment) < 0) {
		log->again = 1;
		return -errno;
	}
	log->durable_length = log->length;
	log->durable = log->unwritten;
	memmove(log->buffer, log->buffer + log->written,
		log->used - log->written);
	log->used -= log->written;
	log->written = 0;
	return 0;
}

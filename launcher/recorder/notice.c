/* SPDX-License-Identifier: Apache-2.0 */
/* Lines about the log itself, and what stamps every line that is not a
 * connection: see recorder.h. */
#include "recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* A version 4 UUID. */
static void make_uid(char uid[AUDIT_UID])
{
	static const char hexadecimal[] = "0123456789abcdef";
	uint8_t bytes[16];
	size_t at = 0;

	/* 16 bytes never come short once the pool is ready, and it was ready
	 * before this process could be started. */
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		abort();
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uid[at++] = '-';
		uid[at++] = hexadecimal[bytes[i] >> 4];
		uid[at++] = hexadecimal[bytes[i] & 15];
	}
	uid[at] = 0;
}

void notice_stamp(struct recorder *recorder, struct audit_stamp *ret_stamp)
{
	*ret_stamp = (struct audit_stamp){
		.sequence = recorder->log.next,
		.time_ms = recorder->wall_ms,
		.logged_ms = recorder->wall_ms,
	};
	make_uid(ret_stamp->uid);
}

int notice_add(struct recorder *recorder, struct audit_notice *notice,
	       size_t reserve)
{
	struct audit_stamp stamp;
	char *line = log_room(&recorder->log, reserve);

	if (!line)
		return -ENOBUFS;
	notice_stamp(recorder, &stamp);
	log_add(&recorder->log,
		audit_notice(line, &recorder->node, &stamp, notice));
	return 0;
}

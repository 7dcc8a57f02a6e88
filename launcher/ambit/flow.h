/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on their way in one direction.  Filled only when empty, so that the slow
 * side holds back the fast one.  Nothing here waits.
 */
#ifndef AMBIT_FLOW_H
#define AMBIT_FLOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct flow {
	size_t start, end;
	char bytes[16384];
};

int flow_is_empty(const struct flow *flow);
void flow_drop(struct flow *flow);
/* Drops what is beyond `most` bytes.  Returns whether something was. */
int flow_shorten(struct flow *flow, uint64_t most);

/* Both return the bytes moved or a negative errno; flow_fill 0 at the end.  A
 * descriptor that is no socket has to be non-blocking; a socket need not be. */
ssize_t flow_fill(struct flow *flow, int fd, int is_socket);
ssize_t flow_empty(struct flow *flow, int fd, int is_socket);

/* 1 for the errors that only say "not now". */
int flow_later(ssize_t result);

#endif

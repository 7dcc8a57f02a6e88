/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a BPF ring buffer through its mapping, without libbpf: reading ahead
 * and giving the space back are two steps here, so that a record leaves the ring
 * only when its line is in the log.
 */
#ifndef RECORDER_RING_H
#define RECORDER_RING_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint64_t *consumer;		/* NULL: no ring */
	const uint64_t *producer;
	const uint8_t *data;
	uint64_t bytes;
	uint64_t at;	/* read up to here; *consumer stays behind until commit */
	/* A record that lies across the end of the data, put together. */
	_Alignas(8) uint8_t across[512];
};

int ring_open(struct ring *ring, int fd, uint32_t bytes, struct error *error);

/* Where the ring ends now: everything reserved before this call is below. */
uint64_t ring_end(const struct ring *ring);

/* Reads the next record below `end`.  Returns 1; 0 when there is none or a
 * producer is still writing it; -EBADMSG when the ring is broken.  The record
 * stays valid until ring_commit. */
int ring_next(struct ring *ring, uint64_t end, const void **ret_record,
	      size_t *ret_length);

/* Gives everything that was read back to the producers. */
void ring_commit(struct ring *ring);

/* 1 if a whole record waits.  To be asked after ring_commit and before waiting:
 * the kernel wakes only a consumer that had caught up. */
int ring_more(const struct ring *ring);

#endif

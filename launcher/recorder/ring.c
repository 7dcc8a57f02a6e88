/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer's side of a BPF ring buffer: see ring.h.
 *
 * The map's pages: one with the consumer's position (the only one that may be
 * written), one with the producers' position, then the data.  A record is a header (length
 * and two flags, then a page offset that is the kernel's) and its bytes, rounded
 * up to 8.
 *
 * Wake-ups.  A producer that does not force one wakes us only if, when it
 * commits, our position equals its record's: we had caught up.  Its commit is an
 * atomic exchange, then a read of our position; ours is a store of the position,
 * a full barrier, then a read of the record's header.  One of the two sees the
 * other, so that an edge-triggered epoll loses nothing and an idle recorder
 * needs no timer.
 */
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int ring_open(struct ring *ring, int fd, uint32_t bytes, struct error *error)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (bytes < page || bytes & (bytes - 1))
		return error_set(error, EINVAL, "ring: %u bytes", bytes);
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer == MAP_FAILED)
		return error_errno(error, errno, "ring: consumer page");
	const uint8_t *producer = mmap(NULL, page + (size_t)bytes, PROT_READ,
				       MAP_SHARED, fd, (off_t)page);
	if (producer == MAP_FAILED) {
		int code = errno;
		munmap(consumer, page);
		return error_errno(error, code, "ring: data pages");
	}
	ring->consumer = consumer;
	ring->producer = (const uint64_t *)(const void *)producer;
	ring->data = producer + page;
	ring->bytes = bytes;
	ring->at = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	return 0;
}

uint64_t ring_end(const struct ring *ring)
{
	if (!ring->consumer)
		return 0;
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

static uint32_t header_at(const struct ring *ring, uint64_t position)
{
	const uint8_t *header = ring->data + (position & (ring->bytes - 1));

	return __atomic_load_n((const uint32_t *)(const void *)header,
			       __ATOMIC_ACQUIRE);
}

/* The data pages could be mapped twice in a row, as libbpf does; once is half the
 * resident memory, and few records lie across the end. */
static const void *whole_record(struct ring *ring, uint64_t position,
				uint64_t length)
{
	uint64_t offset = position & (ring->bytes - 1);
	uint64_t first = ring->bytes - offset;

	if (first >= length)
		return ring->data + offset;
	memcpy(ring->across, ring->data + offset, first);
	memcpy(ring->across + first, ring->data, length - first);
	return ring->across;
}

int ring_next(struct ring *ring, uint64_t end, const void **ret_record,
	      size_t *ret_length)
{
	while (ring->consumer && ring->at < end) {
		uint32_t header = header_at(ring, ring->at);
		if (header & BPF_RINGBUF_BUSY_BIT)
			return 0;
		uint64_t length = header & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		uint64_t step = (length + BPF_RINGBUF_HDR_SZ + 7) & ~(uint64_t)7;
		if (length > sizeof(ring->across) || ring->at + step > end)
			return -EBADMSG;
		const void *record = whole_record(
			ring, ring->at + BPF_RINGBUF_HDR_SZ, length);
		ring->at += step;
		if (header & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*ret_record = record;
		*ret_length = length;
		return 1;
	}
	return 0;
}

void ring_commit(struct ring *ring)
{
	if (!ring->consumer)
		return;
	__atomic_store_n(ring->consumer, ring->at, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int ring_more(const struct ring *ring)
{
	return ring->consumer && ring->at < ring_end(ring) &&
	       !(header_at(ring, ring->at) & BPF_RINGBUF_BUSY_BIT);
}

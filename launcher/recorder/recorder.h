/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder's state and how its files call each other: one process, one
 * thread, one loop.  See main.c for the order of a turn.
 */
#ifndef RECORDER_RECORDER_H
#define RECORDER_RECORDER_H

#include "agents.h"
#include "audit/line.h"
#include "base/message.h"
#include "log.h"
#include "ring.h"

#include <stdint.h>

/* Ring records made into lines in one turn: also the most that a crash can make
 * the next recorder read twice. */
#define RECORDER_BATCH 1024
/* Ordinary records are synced this long after they were written, at most. */
#define RECORDER_SYNC_MS 20
/* An outage is tried again this often. */
#define RECORDER_RETRY_MS 500
/* Unsynced bytes that are synced without waiting for the timer. */
#define RECORDER_DIRTY (1U << 20)
/* Answers owed to the warden, at most; then its messages wait. */
#define RECORDER_ANSWERS 4096
#define RECORDER_CLIENTS 16

/* Room in the log's buffer that records of the ring leave to events, and events
 * to the record about an outage. */
#define RECORDER_EVENT_RESERVE (2U << 20)
#define RECORDER_NOTICE_RESERVE (64U << 10)

/* A record that is in the log already, although the ring has it still. */
struct repeat {
	uint64_t instance, kseq;
	uint64_t mark;		/* kernel time; of a loss, the total so far */
	int loss;
};

#define RECORDER_REPEATS 4096	/* twice a batch with a loss for each */

struct repeats {
	struct repeat *at;	/* circular; NULL once they can't come any more */
	uint64_t count;		/* ever put in */
	uint64_t left;		/* ring records that still may be repeats */
};

struct answer {
	enum ambit_message_type type;
	union {
		struct ambit_durable durable;
		struct ambit_closed closed;
	} body;
};

/* A DURABLE that is owed once line `sequence` is on the disk. */
struct waiter {
	uint64_t token, sequence;
};

struct closing {
	struct ambit_close close;
	uint64_t target;	/* ring position behind its last record */
	int lined;		/* its lines are made, CLOSED is owed */
	struct ambit_closed closed;
};

struct outage {
	int error;		/* errno, 0: there is none */
	uint64_t began_ms;
	uint64_t retry_ns;	/* CLOCK_MONOTONIC */
	uint64_t late_from, late_to;	/* lines answered as not durable */
	uint64_t events_lost;	/* that found no room */
};

struct client {
	int fd;			/* -1: free */
	int file;		/* the segment it reads, -1: none open */
	int waiting;		/* its request is for a line not durable yet */
	int streaming;		/* its request was granted */
	int deaf;		/* it closed its sending side */
	uint32_t watched;	/* epoll events */
	uint64_t age;		/* order of arrival */
	uint64_t first;		/* segment */
	uint64_t offset;
	char request[64];
	size_t request_length;
};

struct pipe {
	int epoll;
	int listener;
	uint64_t arrivals;
	struct client clients[RECORDER_CLIENTS];
};

struct recorder {
	struct audit_node node;
	struct log log;
	struct ring ring;
	struct agents agents;
	struct pipe pipe;
	struct repeats repeats;
	struct outage outage;
	int epoll, warden, ring_fd;
	int gone;		/* the warden closed the socket */
	uint64_t sync_ns;	/* when the dirty bytes are due, 0: none */
	uint64_t now_ns;	/* CLOCK_MONOTONIC, once per turn */
	uint64_t wall_ms;	/* since the epoch, once per turn */
	uint64_t boot_offset_ns;	/* wall clock minus CLOCK_BOOTTIME */

	/* Waiters and answers are queues, closings a list without holes. */
	struct waiter waiters[RECORDER_ANSWERS];
	uint32_t waiter_head, waiter_count;
	struct answer answers[RECORDER_ANSWERS];
	uint32_t answer_head, answer_count;
	int health_told;	/* the errno that the warden knows of */
	struct closing closings[AMBIT_SLOTS];
	uint32_t closing_count;
	uint32_t watched;	/* epoll events of the warden's socket */
};

/* events.c: what the warden says, and what it is told. */

/* Reads messages.  Returns 0 when none is left, 1 when there may be more. */
int events_receive(struct recorder *recorder, struct error *error);
/* 1 if another message may be taken: there is room for its answer. */
int events_room(const struct recorder *recorder);
void events_closed(struct recorder *recorder, const struct ambit_closed *closed);
int events_flush(struct recorder *recorder, struct error *error);
/* Answers all waiters whose lines are durable, or all with `code`. */
void events_durable(struct recorder *recorder);
void events_failed(struct recorder *recorder, int code);

/* drain.c: the ring. */
int drain_ring(struct recorder *recorder, uint64_t end, struct error *error);
/* The lines of closings whose records have all been read. */
void drain_closings(struct recorder *recorder);
/* Lines are written: give the ring and the credit back, answer CLOSED. */
void drain_commit(struct recorder *recorder);
void drain_seen(void *data, const struct audit_scanned *line);

/* write.c: everything that is made into lines goes to the disk, or the outage
 * begins, goes on, ends. */
void write_turn(struct recorder *recorder);

/* notice.c: lines about the log itself. */
int notice_add(struct recorder *recorder, struct audit_notice *notice,
	       size_t reserve);
void notice_stamp(struct recorder *recorder, struct audit_stamp *ret_stamp);

/* pipe.c: readers of the log. */
int pipe_open(struct pipe *pipe, int epoll, int listener, struct error *error);
void pipe_accept(struct recorder *recorder);
void pipe_ready(struct recorder *recorder, unsigned client, uint32_t events);
/* More is durable: everyone who waits gets it. */
void pipe_advance(struct recorder *recorder);

/* place.c: the offset of line `sequence` in a segment of `length` bytes. */
int place_find(int fd, uint64_t length, uint64_t sequence, uint64_t *ret_offset);

/* epoll_event.data of each source. */
enum { SOURCE_WARDEN, SOURCE_RING, SOURCE_LISTENER, SOURCE_CLIENT };

#endif

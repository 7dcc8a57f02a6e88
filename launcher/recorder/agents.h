/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the recorder knows of each agent: who it is (from the warden, in memory)
 * and how far its stream was consumed (in the drained map, which outlives the
 * recorder).
 */
#ifndef RECORDER_AGENTS_H
#define RECORDER_AGENTS_H

#include "audit/line.h"
#include "audit/refused.h"
#include "base/error.h"

#include <ambit/kernel.h>
#include <ambit/message.h>

#define AGENTS_BUCKETS 4096

struct agent {
	struct agent *next;	/* in its bucket */
	struct ambit_open open;
	/* By their ids, NULL: not told.  None at all of an agent without any, and
	 * of one that is closed: thousands of those are kept. */
	struct ambit_endpoint **endpoints;
	struct audit_totals totals;	/* once closed */
	struct refused *refused;	/* NULL: nothing was, or it is closed */
	int closed;
};

/* How far one slot's instance was consumed. */
struct stream {
	uint64_t instance;
	uint64_t position;	/* of the ring, behind the last record counted */
	uint64_t records, denied;
	uint64_t lost;		/* losses that have a line */
	uint64_t last_kseq;
	int touched;		/* changed since the last commit */
};

struct agents {
	struct agent *buckets[AGENTS_BUCKETS];
	struct agent *slots[AMBIT_SLOTS];
	struct ambit_drained *drained;	/* NULL: no maps yet */
	uint32_t slot_count;
	struct stream streams[AMBIT_SLOTS];	/* valid while touched */
	uint32_t touched[AMBIT_SLOTS];
	uint32_t touched_count;
};

/* The agent, or NULL. */
struct agent *agents_find(struct agents *agents, uint64_t instance);

/* OPEN and ENDPOINT.  A closed agent is kept, so that its last events have a
 * name, until its slot is used again. */
int agents_open(struct agents *agents, const struct ambit_open *open);
int agents_endpoint(struct agents *agents, const struct ambit_endpoint *endpoint);

/* What the agent calls rule `id`, or NULL. */
const struct ambit_endpoint *agents_endpoint_of(const struct agent *agent,
						uint32_t id);

/* All that the kernel recorded of the agent has its line: what it could reach
 * (hundreds of endpoints, of thousands of agents that ended) is not needed more. */
void agents_close(struct agent *agent, const struct audit_totals *totals);

/* Makes agent->refused where it is not there.  0: it is closed, or no memory is left
 * (the line that its caller is told then names nothing). */
int agents_refused(struct agent *agent);

/* Maps `fd`, the drained map. */
int agents_map(struct agents *agents, int fd, uint32_t slots,
	       struct error *error);

/* The stream of `instance` in `slot`, changed in memory until agents_commit.
 * NULL if the slot belongs to another instance that is open. */
struct stream *agents_stream(struct agents *agents, uint32_t slot,
			     uint64_t instance);

/* The slot that `instance` has or had last, or AMBIT_SLOTS. */
uint32_t agents_slot(struct agents *agents, uint64_t instance);

/* Writes the changed streams to the map: their lines are in the log. */
void agents_commit(struct agents *agents);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents and their streams: see agents.h.
 *
 * The drained map is both the credit that the kernel programs count with and
 * the recorder's memory.  A recorder may be killed between any two of its
 * stores; then the ring repeats what was not given back, and each slot has to
 * say whether it counted that already.  Hence two banks per slot, each with the
 * ring position it is valid for: the next state goes into the older bank, whose
 * position is zero while it is being written.
 */
#include "agents.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TRIM 4096	/* endpoints, a MiB and more */

/* struct ambit_drained as its writer sees it. */
struct bank {
	uint64_t position;	/* 0: not valid */
	uint64_t records, denied, lost, last_kseq;
};

struct entry {
	uint64_t records;
	uint64_t instance;
	struct bank banks[2];
	uint64_t pad[4];
};

_Static_assert(sizeof(struct entry) == sizeof(struct ambit_drained),
	       "the recorder's view of a drained entry");

static void store(uint64_t *place, uint64_t value)
{
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
}

static struct entry *entry_of(struct agents *agents, uint32_t slot)
{
	return (struct entry *)(void *)&agents->drained[slot];
}

static struct bank *entry_newest(struct entry *entry)
{
	return &entry->banks[entry->banks[1].position >
			     entry->banks[0].position];
}

static void entry_reset(struct entry *entry, uint64_t instance)
{
	store(&entry->instance, 0);
	for (int i = 0; i < 2; i++)
		store(&entry->banks[i].position, 0);
	store(&entry->records, 0);
	store(&entry->instance, instance);
}

static struct agent **bucket_of(struct agents *agents, uint64_t instance)
{
	/* Fibonacci hashing: instances may be counted or drawn. */
	return &agents->buckets[(instance * 0x9e3779b97f4a7c15U) >> 52];
}

_Static_assert(AGENTS_BUCKETS == 1 << (64 - 52), "bits of the hash");

struct agent *agents_find(struct agents *agents, uint64_t instance)
{
	struct agent *agent = *bucket_of(agents, instance);

	while (agent && agent->open.instance != instance)
		agent = agent->next;
	return agent;
}

/* What is kept of agents that ended lies between what is freed, so that the heap
 * does not shrink by itself: it is told to, once for every so many. */
static void free_endpoints(struct agent *agent)
{
	static unsigned freed;

	for (unsigned i = 0; agent->endpoints && i < AMBIT_RULES; i++) {
		freed += agent->endpoints[i] != NULL;
		free(agent->endpoints[i]);
	}
	free(agent->endpoints);
	agent->endpoints = NULL;
	if (freed >= TRIM) {
		freed = 0;
		malloc_trim(0);
	}
}

static void forget(struct agents *agents, struct agent *agent)
{
	struct agent **at = bucket_of(agents, agent->open.instance);

	while (*at != agent)
		at = &(*at)->next;
	*at = agent->next;
	agents->slots[agent->open.slot] = NULL;
	free_endpoints(agent);
	free(agent->refused);
	free(agent);
}

int agents_open(struct agents *agents, const struct ambit_open *open)
{
	if (open->slot >= AMBIT_SLOTS)
		return -EBADMSG;
	struct agent *agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	struct agent *known = agents_find(agents, open->instance);
	if (known)
		forget(agents, known);
	if (agents->slots[open->slot])
		forget(agents, agents->slots[open->slot]);
	agent->open = *open;
	struct agent **bucket = bucket_of(agents, open->instance);
	agent->next = *bucket;
	*bucket = agent;
	agents->slots[open->slot] = agent;
	/* What is left over of an earlier instance no longer counts here. */
	if (agents->streams[open->slot].instance != open->instance)
		agents->streams[open->slot] = (struct stream){
			.instance = open->instance,
			.touched = agents->streams[open->slot].touched,
		};
	/* Before the agent runs: the credit starts anew with its first record. */
	if (agents->drained && open->slot < agents->slot_count &&
	    entry_of(agents, open->slot)->instance != open->instance)
		entry_reset(entry_of(agents, open->slot), open->instance);
	return 0;
}

int agents_endpoint(struct agents *agents, const struct ambit_endpoint *endpoint)
{
	struct agent *agent = agents_find(agents, endpoint->instance);

	if (!agent || endpoint->id >= AMBIT_RULES)
		return -EBADMSG;
	if (!agent->endpoints)
		agent->endpoints = calloc(AMBIT_RULES, sizeof(*agent->endpoints));
	if (!agent->endpoints)
		return -ENOMEM;
	struct ambit_endpoint **place = &agent->endpoints[endpoint->id];
	if (!*place)
		*place = malloc(sizeof(**place));
	if (!*place)
		return -ENOMEM;
	**place = *endpoint;
	return 0;
}

const struct ambit_endpoint *agents_endpoint_of(const struct agent *agent,
						uint32_t id)
{
	return agent->endpoints && id < AMBIT_RULES ? agent->endpoints[id] : NULL;
}

void agents_close(struct agent *agent, const struct audit_totals *totals)
{
	agent->totals = *totals;
	agent->closed = 1;
	free_endpoints(agent);
	free(agent->refused);
	agent->refused = NULL;
}

int agents_refused(struct agent *agent)
{
	if (!agent->refused && !agent->closed)
		agent->refused = calloc(1, sizeof(*agent->refused));
	return agent->refused != NULL;
}

int agents_map(struct agents *agents, int fd, uint32_t slots, struct error *error)
{
	if (slots == 0 || slots > AMBIT_SLOTS)
		return error_set(error, EINVAL, "drained map: %u slots", slots);
	void *map = mmap(NULL, slots * sizeof(*agents->drained),
			 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error_errno(error, errno, "drained map");
	if (agents->drained)
		munmap(agents->drained,
		       agents->slot_count * sizeof(*agents->drained));
	agents->drained = map;
	agents->slot_count = slots;
	for (uint32_t slot = 0; slot < slots; slot++) {
		struct entry *entry = entry_of(agents, slot);
		const struct bank *bank = entry_newest(entry);
		/* Killed between the two stores of agents_commit. */
		if (bank->position && entry->records != bank->records)
			store(&entry->records, bank->records);
		const struct agent *agent = agents->slots[slot];
		if (agent && agent->open.instance != entry->instance)
			entry_reset(entry, agent->open.instance);
	}
	return 0;
}

struct stream *agents_stream(struct agents *agents, uint32_t slot,
			     uint64_t instance)
{
	if (!agents->drained || slot >= agents->slot_count)
		return NULL;
	struct stream *stream = &agents->streams[slot];
	if (stream->touched && stream->instance == instance)
		return stream;
	const struct agent *owner = agents->slots[slot];
	if (owner && !owner->closed && owner->open.instance != instance)
		return NULL;
	struct entry *entry = entry_of(agents, slot);
	*stream = (struct stream){ .instance = instance, .touched =
				   stream->touched };
	/* The map is the truth: the warden may have cleared the slot. */
	if (entry->instance == instance) {
		const struct bank *bank = entry_newest(entry);
		if (bank->position) {
			stream->position = bank->position;
			stream->records = bank->records;
			stream->denied = bank->denied;
			stream->lost = bank->lost;
			stream->last_kseq = bank->last_kseq;
		}
	}
	if (!stream->touched)
		agents->touched[agents->touched_count++] = slot;
	stream->touched = 1;
	return stream;
}

uint32_t agents_slot(struct agents *agents, uint64_t instance)
{
	const struct agent *agent = agents_find(agents, instance);

	if (agent)
		return agent->open.slot;
	for (uint32_t slot = 0; slot < agents->slot_count; slot++)
		if (entry_of(agents, slot)->instance == instance)
			return slot;
	return AMBIT_SLOTS;
}

void agents_commit(struct agents *agents)
{
	for (uint32_t i = 0; i < agents->touched_count; i++) {
		uint32_t slot = agents->touched[i];
		struct stream *stream = &agents->streams[slot];
		struct entry *entry = entry_of(agents, slot);
		stream->touched = 0;
		if (entry->instance != stream->instance)
			entry_reset(entry, stream->instance);
		if (!stream->position)
			continue;
		struct bank *bank =
			&entry->banks[entry_newest(entry) == &entry->banks[0]];
		store(&bank->position, 0);
		store(&bank->records, stream->records);
		store(&bank->denied, stream->denied);
		store(&bank->lost, stream->lost);
		store(&bank->last_kseq, stream->last_kseq);
		store(&bank->position, stream->position);
		store(&entry->records, stream->records);
	}
	agents->touched_count = 0;
}

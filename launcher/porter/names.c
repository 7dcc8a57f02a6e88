/* SPDX-License-Identifier: Apache-2.0 */
/* Names for the agents: see names.h. */
#include "names.h"

#include "base/own.h"
#include "door.h"

#include <string.h>
#include <time.h>

_Static_assert(NAMES_CONNECTIONS == DOOR_CONNECTIONS, "sockets for poll");

/*
 * What one agent may ask for: a C library asks twice for each name, so this is a
 * hundred names a second for ever and two hundred at once, far more than any
 * program asks for that resolves what it connects to, and at 30 µs each less than
 * a hundredth of a processor.  The kernel holds datagrams to the same rate before
 * they reach us; this is for what comes over connections.
 */
#define RATE_NS (1000000000ULL / AMBIT_LOOKUP_RATE)
#define BURST_NS (RATE_NS * AMBIT_LOOKUP_BURST)

#define ASKED_EACH 64		/* questions of one agent that resolvers have */
#define ASKED_MOST UPSTREAM_QUESTIONS
#define BACKLOG_MOST 1024	/* messages that the warden has not taken */
#define BUCKETS 1024
#define TOLD_NS (60 * 1000000000ULL)	/* a flood is one record in so long */

/* A question that waits for a resolver, then for the warden. */
struct asked {
	struct asked *next;	/* in its bucket */
	struct names *names;
	uint64_t token, instance;
	struct door_guest guest;
	struct dns_question question;
	struct dns_answer answer;
};

struct listed {
	struct listed *next;
	char name[NAME_SIZE];
};

struct agent {
	uint64_t instance;
	struct listed *listed;
	uint64_t due_ns;	/* when a bucket that is never full would be */
	unsigned asked;
	uint64_t told_ns;	/* when TOO_MANY was last recorded */
	uint32_t excess;	/* questions since, that were too many */
};

struct names {
	struct door *door;
	struct upstream *upstream;	/* NULL: no resolvers */
	struct outbox *outbox;	/* while names_work runs */
	struct agent *slots[AMBIT_SLOTS];
	struct asked *buckets[BUCKETS];
	uint64_t token;
	unsigned asked;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int names_open(const char *resolvers, struct names **ret_names,
	       struct error *error)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return error_errno(error, ENOMEM, "names");
	int failed = door_open(&names->door, error);
	if (!failed && *resolvers)
		failed = upstream_open(resolvers, &names->upstream, error);
	if (failed) {
		door_close(names->door);
		free(names);
		return failed;
	}
	*ret_names = names;
	return 0;
}

uint16_t names_port(const struct names *names)
{
	return door_port(names->door);
}

/* ---- whose names ------------------------------------------------------------ */

static void forget_listed(struct agent *agent)
{
	while (agent->listed) {
		struct listed *gone = agent->listed;
		agent->listed = gone->next;
		free(gone);
	}
}

static void forget(struct names *names, uint32_t slot)
{
	struct agent *agent = names->slots[slot];

	if (!agent)
		return;
	names->slots[slot] = NULL;
	forget_listed(agent);
	free(agent);
}

void names_close(struct names *names)
{
	if (names->upstream)
		upstream_close(names->upstream);
	for (uint32_t slot = 0; slot < AMBIT_SLOTS; slot++)
		forget(names, slot);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (names->buckets[i]) {
			struct asked *gone = names->buckets[i];
			names->buckets[i] = gone->next;
			free(gone);
		}
	door_close(names->door);
	free(names);
}

int names_listed(struct names *names, const struct ambit_name *name)
{
	if (name->slot >= AMBIT_SLOTS || strlen(name->name) >= NAME_SIZE)
		return -EBADMSG;
	struct agent *agent = names->slots[name->slot];
	if (!name->name[0]) {
		/* A new list of the same agent: what it has asked is still on its
		 * way and is counted. */
		if (agent && agent->instance == name->instance) {
			forget_listed(agent);
			return 0;
		}
		forget(names, name->slot);
		agent = calloc(1, sizeof(*agent));
		if (!agent)
			return -ENOMEM;
		agent->instance = name->instance;
		names->slots[name->slot] = agent;
		return 0;
	}
	if (!agent || agent->instance != name->instance)
		return -EBADMSG;
	struct listed *listed = calloc(1, sizeof(*listed));
	if (!listed)
		return -ENOMEM;
	memcpy(listed->name, name->name, strlen(name->name));
	listed->next = agent->listed;
	agent->listed = listed;
	return 0;
}

void names_dismiss(struct names *names, uint64_t instance)
{
	for (uint32_t slot = 0; slot < AMBIT_SLOTS; slot++)
		if (names->slots[slot] &&
		    names->slots[slot]->instance == instance)
			forget(names, slot);
}

static int is_listed(const struct agent *agent, const struct dns_question *question)
{
	if (question->odd)
		return 0;
	for (const struct listed *at = agent->listed; at; at = at->next)
		if (name_listed(at->name, question->name))
			return 1;
	return 0;
}

/* ---- answers and records ------------------------------------------------------ */

static void answer(struct names *names, const struct door_guest *guest,
		   const struct dns_question *question, int rcode,
		   const struct dns_answer *with, enum dns_extended extended)
{
	uint8_t bytes[2048];
	size_t room = door_room(guest, question->size);
	size_t length = dns_write_answer(bytes, room < sizeof(bytes) ?
						 room : sizeof(bytes),
					 question, rcode, with, extended);

	door_answer(names->door, guest, bytes, length);
}

static int record(struct names *names, uint64_t instance,
		  const struct dns_question *question, int rcode,
		  enum ambit_lookup_result result)
{
	struct ambit_lookup lookup = {
		.instance = instance, .result = result,
		.type = question->type, .rcode = (uint32_t)rcode,
	};

	memcpy(lookup.name, question->name, sizeof(question->name));
	return outbox_lookup(names->outbox, &lookup);
}

/* Records, then answers. */
static int refuse(struct names *names, uint64_t instance,
		  const struct door_guest *guest,
		  const struct dns_question *question, int rcode,
		  enum ambit_lookup_result result, enum dns_extended extended)
{
	int failed = record(names, instance, question, rcode, result);

	if (!failed)
		answer(names, guest, question, rcode, NULL, extended);
	return failed;
}

/* ---- what resolvers are asked -------------------------------------------------- */

static struct agent *agent_of(struct names *names, const struct asked *asked)
{
	struct agent *agent = names->slots[asked->guest.slot];

	return agent && agent->instance == asked->instance ? agent : NULL;
}

static void drop(struct asked *asked)
{
	struct names *names = asked->names;
	struct agent *agent = agent_of(names, asked);

	if (agent)
		agent->asked--;
	names->asked--;
	free(asked);
}

/* The agent is answered when the warden has had the addresses admitted. */
static int tell_warden(struct asked *asked)
{
	struct names *names = asked->names;
	struct ambit_lookup lookup = {
		.instance = asked->instance, .token = ++names->token,
		.result = AMBIT_LOOKUP_ANSWERED,
		.type = asked->question.type, .rcode = DNS_NOERROR,
		.ttl = asked->answer.ttl, .count = asked->answer.count,
	};

	memcpy(lookup.name, asked->question.name, sizeof(asked->question.name));
	memcpy(lookup.addresses, asked->answer.addresses,
	       sizeof(lookup.addresses));
	asked->token = lookup.token;
	struct asked **bucket = &names->buckets[asked->token % BUCKETS];
	asked->next = *bucket;
	*bucket = asked;
	return outbox_lookup(names->outbox, &lookup);
}

static void resolved(void *data, const struct dns_answer *got)
{
	struct asked *asked = data;
	struct names *names = asked->names;

	if (!agent_of(names, asked)) {
		drop(asked);
		return;
	}
	if (got && got->count) {
		asked->answer = *got;
		tell_warden(asked);
		return;
	}
	int rcode = got ? got->rcode : DNS_SERVFAIL;
	refuse(names, asked->instance, &asked->guest, &asked->question, rcode,
	       got ? AMBIT_LOOKUP_EMPTY : AMBIT_LOOKUP_FAILED,
	       got ? DNS_NO_EXTENDED : DNS_UNREACHABLE);
	drop(asked);
}

/* Not answered; a flood of them is a record now and then, with their number. */
static int too_many(struct names *names, struct agent *agent,
		    const struct door_guest *guest,
		    const struct dns_question *question)
{
	struct ambit_lookup lookup = {
		.instance = agent->instance, .result = AMBIT_LOOKUP_TOO_MANY,
		.type = question->type, .rcode = DNS_REFUSED,
	};
	uint64_t now = now_ns();

	door_answer(names->door, guest, NULL, 0);
	agent->excess++;
	if (agent->told_ns && now - agent->told_ns < TOLD_NS)
		return 0;
	lookup.withheld = agent->excess;
	memcpy(lookup.name, question->name, sizeof(question->name));
	agent->told_ns = now;
	agent->excess = 0;
	return outbox_lookup(names->outbox, &lookup);
}

static int ask(struct names *names, struct agent *agent,
	       const struct door_guest *guest, const struct dns_question *question)
{
	struct asked *asked = NULL;

	if (!names->upstream)
		return refuse(names, agent->instance, guest, question,
			      DNS_SERVFAIL, AMBIT_LOOKUP_FAILED,
			      DNS_UNREACHABLE);
	if (agent->asked < ASKED_EACH && names->asked < ASKED_MOST)
		asked = calloc(1, sizeof(*asked));
	if (!asked)
		return too_many(names, agent, guest, question);
	asked->names = names;
	asked->instance = agent->instance;
	asked->guest = *guest;
	asked->question = *question;
	agent->asked++;
	names->asked++;
	upstream_ask(names->upstream, question->name, question->type, resolved,
		     asked);
	return 0;
}

int names_admitted(struct names *names, const struct ambit_admitted_names *what)
{
	struct asked **at = &names->buckets[what->token % BUCKETS];

	while (*at && (*at)->token != what->token)
		at = &(*at)->next;
	struct asked *asked = *at;
	if (!asked)
		return -EBADMSG;
	*at = asked->next;
	struct dns_answer *with = &asked->answer;
	unsigned kept = 0;
	for (unsigned i = 0; i < with->count; i++)
		if (what->mask >> i & 1)
			memcpy(with->addresses[kept++], with->addresses[i], 16);
	with->count = kept;
	with->ttl = what->ttl;
	int withheld = what->result == AMBIT_LOOKUP_WITHHELD;
	int good = what->result == AMBIT_LOOKUP_ANSWERED;
	/* The name is there: that it is not would take its other family away, too
	 * (musl believes the first answer that says so). */
	answer(names, &asked->guest, &asked->question,
	       good || withheld ? DNS_NOERROR : DNS_SERVFAIL,
	       good ? with : NULL, withheld ? DNS_BLOCKED : DNS_NO_EXTENDED);
	drop(asked);
	return 0;
}

/* ---- questions ------------------------------------------------------------------ */

static int over_rate(struct agent *agent)
{
	uint64_t now = now_ns();

	if (agent->due_ns < now)
		agent->due_ns = now;
	if (agent->due_ns - now + RATE_NS > BURST_NS)
		return 1;
	agent->due_ns += RATE_NS;
	return 0;
}

static int take_question(void *data, const struct door_guest *guest,
			 const uint8_t *bytes, size_t length)
{
	struct names *names = data;
	struct agent *agent = names->slots[guest->slot];
	struct dns_question question;

	if (!agent || outbox_waiting(names->outbox) > BACKLOG_MOST) {
		door_answer(names->door, guest, NULL, 0);
		return 0;
	}
	int rcode = dns_read_question(bytes, length, &question);
	if (over_rate(agent))
		return too_many(names, agent, guest, &question);
	if (rcode < 0) {
		door_answer(names->door, guest, NULL, 0);
		return record(names, agent->instance, &question, DNS_REFUSED,
			      AMBIT_LOOKUP_MALFORMED);
	}
	if (rcode > 0)
		return refuse(names, agent->instance, guest, &question, rcode,
			      AMBIT_LOOKUP_MALFORMED, DNS_NO_EXTENDED);
	/* "No such name" ends the search of every C library at once; a refusal
	 * would be tried again. */
	if (question.class != 1 || !is_listed(agent, &question))
		return refuse(names, agent->instance, guest, &question,
			      DNS_NXDOMAIN, AMBIT_LOOKUP_UNLISTED, DNS_PROHIBITED);
	switch (question.type) {
	case DNS_A:
	case DNS_AAAA:
		return ask(names, agent, guest, &question);
	case DNS_SVCB:
	case DNS_HTTPS:	/* asked along with addresses; it is not needed */
		return refuse(names, agent->instance, guest, &question,
			      DNS_NOERROR, AMBIT_LOOKUP_EMPTY, DNS_NO_EXTENDED);
	default:
		return refuse(names, agent->instance, guest, &question,
			      DNS_REFUSED, AMBIT_LOOKUP_TYPE, DNS_UNSUPPORTED);
	}
}

/* ---- the loop --------------------------------------------------------------------- */

unsigned names_watch(struct names *names, struct pollfd *ret_sockets,
		     int *timeout_ms)
{
	unsigned count = door_watch(names->door, ret_sockets, timeout_ms);

	if (names->upstream)
		count += upstream_watch(names->upstream, ret_sockets + count,
					timeout_ms);
	return count;
}

int names_work(struct names *names, struct outbox *outbox,
	       const struct pollfd *sockets, unsigned count)
{
	unsigned own = 2;

	names->outbox = outbox;
	while (own < count && door_has(names->door, sockets[own].fd))
		own++;
	if (names->upstream)
		upstream_work(names->upstream, sockets + own, count - own);
	return door_work(names->door, sockets, own, take_question, names);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names: see names.h. */
#include "names.h"

#include "admitted.h"
#include "agents.h"
#include "base/name.h"
#include "base/own.h"
#include "proof.h"
#include "services.h"
#include "timer.h"

#include <ambit/blocks.h>
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/*
 * How long an address stays admitted: the answer's time to live, which the agent
 * is told, and a while beyond it, so that a program which resolves, waits and then
 * connects finds it admitted.  Names with a time to live of a second or none are
 * common; what takes an answer from them connects at once or within a minute.
 */
#define TTL_MOST 3600U
#define LIFE_LEAST 60U
#define LIFE_BEYOND 30U

#define ADDRESSES_EACH 1024	/* of one agent, of AMBIT_ADMITTED in all */
#define SWEEP_MS 30000

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- what the porter is told ------------------------------------------------ */

int names_serve(const struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	struct ambit_name name = { .instance = agent->instance,
				   .slot = agent->slot };
	int failed = services_send(agent->warden, SERVICE_PORTER,
				   AMBIT_MESSAGE_NAME, &name, NULL);

	for (unsigned i = 0; i < profile->egress_count && !failed; i++) {
		if (profile->egress[i].kind != PROFILE_ENDPOINT_NAME ||
		    agent->withdrawn[i])
			continue;
		snprintf(name.name, sizeof(name.name), "%s", profile->egress[i].to);
		failed = services_send(agent->warden, SERVICE_PORTER,
				       AMBIT_MESSAGE_NAME, &name, NULL);
	}
	return failed;
}

/* ---- addresses ----------------------------------------------------------------- */

static void words_of(const uint8_t address[16], uint64_t ret_words[2])
{
	memcpy(ret_words, address, 16);
	ret_words[0] = be64toh(ret_words[0]);
	ret_words[1] = be64toh(ret_words[1]);
}

static int inside(const uint64_t words[2], uint64_t high, uint64_t low,
		  unsigned prefix)
{
	uint64_t mask = prefix >= 64 ? UINT64_MAX : ~(UINT64_MAX >> prefix);

	if ((words[0] ^ high) & mask)
		return 0;
	if (prefix <= 64)
		return 1;
	mask = prefix == 128 ? UINT64_MAX : ~(UINT64_MAX >> (prefix - 64));
	return !((words[1] ^ low) & mask);
}

static int in_blocks(const uint64_t words[2], const struct ambit_block *blocks,
		     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (inside(words, blocks[i].high, blocks[i].low, blocks[i].prefix))
			return 1;
	return 0;
}

#define IN(words, blocks) in_blocks(words, blocks, sizeof(blocks) / sizeof(*blocks))

/* 1 if an entry lists the address: alone, or (exact 0) in a block. */
static int is_named(const struct agent *agent, const uint64_t words[2], int exact)
{
	const struct profile *profile = agent->compiled->profile;

	for (unsigned i = 0; i < profile->egress_count; i++) {
		const struct profile_endpoint *at = &profile->egress[i];
		uint64_t own[2];
		if (agent->withdrawn[i] ||
		    (at->kind != PROFILE_ENDPOINT_ADDRESS &&
		     (exact || at->kind != PROFILE_ENDPOINT_BLOCK)))
			continue;
		words_of(at->address, own);
		if (inside(words, own[0], own[1], at->prefix))
			return 1;
	}
	return 0;
}

/* ---- a lookup ------------------------------------------------------------------- */

struct entries {
	uint16_t ids[AMBIT_ADMITTED_ENTRIES];
	unsigned count;
};

/* 1 if a name's own list holds the private address. */
static int lists_private(const struct profile_endpoint *name,
			 const uint8_t address[16])
{
	for (unsigned i = 0; i < name->address_count; i++)
		if (profile_block_holds(&name->addresses[i], address, 128))
			return 1;
	return 0;
}

/*
 * Leaves of `entries` those that may lead to the address: an answer that leads to
 * where a public name has no business (rebinding) is for nobody, but for what the
 * profile says of that place.  An entry's own `addresses` are for that entry: of two
 * that list one name, the other's ports stay shut there.
 */
static void leave(const struct agent *agent, const uint8_t address[16],
		  struct entries *entries)
{
	static const struct ambit_block reserved[] = { AMBIT_RESERVED_BLOCKS };
	static const struct ambit_block private[] = { AMBIT_PRIVATE_BLOCKS };
	uint8_t judged[16];
	uint64_t words[2];
	unsigned left = 0;

	words_of(address, words);
	if (words[0] == AMBIT_NAT64_HIGH && !(words[1] >> 32)) {
		words[0] = 0;
		words[1] |= 0xffff00000000ULL;
	}
	uint64_t wire[2] = { htobe64(words[0]), htobe64(words[1]) };
	memcpy(judged, wire, sizeof(judged));
	if (IN(words, reserved) || admitted_is_own(agent->warden->kernel, judged)) {
		if (!is_named(agent, words, 1))
			entries->count = 0;
		return;
	}
	if (!IN(words, private) || is_named(agent, words, 0))
		return;
	for (unsigned i = 0; i < entries->count; i++)
		if (lists_private(&agent->compiled->profile->egress[entries->ids[i]],
				  judged))
			entries->ids[left++] = entries->ids[i];
	entries->count = left;
}

static void find_entries(const struct agent *agent, const char *name,
			 struct entries *ret_entries)
{
	const struct profile *profile = agent->compiled->profile;

	ret_entries->count = 0;
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_NAME &&
		    !agent->withdrawn[i] &&
		    name_listed(profile->egress[i].to, name) &&
		    ret_entries->count < AMBIT_ADMITTED_ENTRIES)
			ret_entries->ids[ret_entries->count++] = (uint16_t)i;
}

/* Room for one more address of the agent's. */
static int reserve(struct agent *agent)
{
	struct agent_addresses *own = &agent->admitted;

	if (own->count == ADDRESSES_EACH)
		return -ENOSPC;
	if (own->count < own->room)
		return 0;
	unsigned room = own->room ? own->room * 2 : 16;
	void *grown = realloc(own->addresses, room * sizeof(*own->addresses));
	if (!grown)
		return -ENOMEM;
	own->addresses = grown;
	own->room = room;
	return 0;
}

static int admit(struct agent *agent, const struct entries *entries,
		 const uint8_t address[16], uint64_t life_s)
{
	struct agent_addresses *own = &agent->admitted;
	uint64_t now = boot_ns();
	int result = reserve(agent);

	if (result == -ENOSPC && !admitted_over(agent->warden->kernel,
						agent->instance, address, now))
		result = 0;
	if (result < 0)
		return result;
	result = admitted_add(agent->warden->kernel, agent->instance, address,
			      entries->ids, entries->count,
			      now + life_s * 1000000000ULL, now);
	if (result == 1)
		memcpy(own->addresses[own->count++], address, 16);
	return result < 0 ? result : 0;
}

/* Admits what may be admitted; the rest is taken out of `lookup`.  Returns the
 * mask of what stays. */
static uint32_t judge(struct agent *agent, struct ambit_lookup *lookup)
{
	struct entries entries;
	uint32_t mask = 0, kept = 0, failed = 0;

	find_entries(agent, lookup->name, &entries);
	lookup->entry = entries.count ? entries.ids[0] : AMBIT_NO_ENTRY;
	if (lookup->ttl > TTL_MOST)
		lookup->ttl = TTL_MOST;
	uint64_t life = lookup->ttl > LIFE_LEAST ? lookup->ttl : LIFE_LEAST;
	for (uint32_t i = 0; i < lookup->count && entries.count; i++) {
		struct entries leading = entries;
		leave(agent, lookup->addresses[i], &leading);
		if (!leading.count)
			continue;
		if (admit(agent, &leading, lookup->addresses[i],
			  life + LIFE_BEYOND) < 0) {
			failed++;
			continue;
		}
		mask |= 1U << i;
		memmove(lookup->addresses[kept++], lookup->addresses[i], 16);
	}
	lookup->result = kept ? AMBIT_LOOKUP_ANSWERED :
			 failed ? AMBIT_LOOKUP_NOT_ADMITTED :
			 entries.count ? AMBIT_LOOKUP_WITHHELD :
					 AMBIT_LOOKUP_UNLISTED;
	lookup->withheld = lookup->count - kept;
	lookup->count = kept;
	if (!kept)
		/* As the porter tells the agent: names_admitted(). */
		lookup->rcode = lookup->result == AMBIT_LOOKUP_WITHHELD ? 0 : 2;
	return mask;
}

/* A lookup that led to no address: who lists the name, if somebody does. */
static void note(const struct agent *agent, struct ambit_lookup *lookup)
{
	struct entries entries;

	lookup->count = 0;
	lookup->ttl = 0;
	find_entries(agent, lookup->name, &entries);
	if (entries.count)
		lookup->entry = entries.ids[0];
	/* Answers are not told without a token. */
	if (lookup->result == AMBIT_LOOKUP_ANSWERED)
		lookup->result = AMBIT_LOOKUP_FAILED;
}

int names_lookup_good(const struct ambit_lookup *lookup)
{
	/* With a token it is a question, how it ended is ours to say. */
	return lookup->count <= AMBIT_ANSWERS &&
	       lookup->result <= AMBIT_LOOKUP_NOT_ADMITTED &&
	       (lookup->token || lookup->result >= AMBIT_LOOKUP_ANSWERED);
}

void names_lookup(struct warden *warden, struct ambit_lookup *lookup)
{
	struct agent *agent = agents_by_instance(warden, lookup->instance);
	struct ambit_admitted_names answer = { .token = lookup->token,
					       .result = AMBIT_LOOKUP_FAILED };
	uint32_t mask = 0;

	lookup->time_ms = warden_now_ms();
	lookup->entry = AMBIT_NO_ENTRY;
	if (proof_lookup(warden, lookup))
		services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_LOOKUP,
			      lookup, NULL);
	if (agent && !agent->gone) {
		if (lookup->token)
			mask = judge(agent, lookup);
		else
			note(agent, lookup);
		if (lookup->result == AMBIT_LOOKUP_UNLISTED ||
		    lookup->result == AMBIT_LOOKUP_WITHHELD ||
		    lookup->result == AMBIT_LOOKUP_FAILED)
			agent->asked_in_vain = 1;
		/* Not recorded: not answered.  What was admitted meanwhile is
		 * known to nobody and passes. */
		if (services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_LOOKUP,
				  lookup, NULL) == 0) {
			answer.mask = mask;
			answer.ttl = lookup->ttl;
			answer.result = lookup->result;
		} else {
			warden->lookups_lost++;
		}
	}
	if (lookup->token)
		services_send(warden, SERVICE_PORTER, AMBIT_MESSAGE_ADMITTED,
			      &answer, NULL);
}

/* ---- the end of what was admitted ------------------------------------------------- */

void names_forget(struct agent *agent)
{
	struct agent_addresses *own = &agent->admitted;

	for (unsigned i = 0; i < own->count; i++)
		admitted_remove(agent->warden->kernel, agent->instance,
				own->addresses[i]);
	free(own->addresses);
	*own = (struct agent_addresses){ NULL, 0, 0 };
}

static void sweep(struct warden *warden, void *data)
{
	struct agent *agent;
	uint64_t now = boot_ns();

	AGENTS_EACH(warden, agent) {
		struct agent_addresses *own = &agent->admitted;
		for (unsigned i = 0; i < own->count;) {
			if (!admitted_over(warden->kernel, agent->instance,
					   own->addresses[i], now)) {
				i++;
				continue;
			}
			admitted_remove(warden->kernel, agent->instance,
					own->addresses[i]);
			memcpy(own->addresses[i], own->addresses[--own->count],
			       16);
		}
	}
	timer_once(warden, SWEEP_MS, sweep, data);
}

static int adopt_one(void *data, const struct ambit_admitted_key *key)
{
	struct agent *agent = agents_by_instance(data, key->instance);

	if (!agent || agent->gone || reserve(agent) < 0)
		return 1;
	memcpy(agent->admitted.addresses[agent->admitted.count++], key->address,
	       16);
	return 0;
}

void names_adopt(struct warden *warden)
{
	admitted_walk(warden->kernel, adopt_one, warden);
	timer_once(warden, SWEEP_MS, sweep, NULL);
}

/* ---- resolvers ----------------------------------------------------------------------- */

static int address_of(const char *text, size_t length, uint8_t ret_address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char host[INET6_ADDRSTRLEN];

	if (length >= sizeof(host))
		return 0;
	memcpy(host, text, length);
	host[length] = 0;
	memcpy(ret_address, mapped, sizeof(mapped));
	return inet_pton(AF_INET, host, ret_address + 12) == 1 ||
	       inet_pton(AF_INET6, host, ret_address) == 1;
}

/* The ephemeral ports: the one that the porter's sockets get, and no service's. */
static void allow_answering(struct ambit_policy *policy)
{
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP };

	for (int i = 0; i < 2; i++)
		policy->listens[policy->listen_count++] = (struct ambit_listen){
			.port_low = 1024, .port_high = 65535,
			.protocol = protocols[i], .anywhere = 1,
		};
}

void names_porter_policy(const struct warden *warden, struct ambit_policy *policy)
{
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP };
	uint8_t address[16];

	policy->resolver = 1;
	allow_answering(policy);
	for (const char *at = warden->config.resolvers; *at;) {
		size_t length = strcspn(at, ",");
		for (int i = 0; i < 2 && address_of(at, length, address); i++) {
			struct ambit_rule *rule =
				&policy->rules[policy->rule_count];
			*rule = (struct ambit_rule){
				.prefix = 128, .protocol = protocols[i],
				.port_low = 53, .port_high = 53,
				.id = policy->rule_count++,
			};
			memcpy(rule->address, address, sizeof(address));
		}
		at += length + (at[length] == ',');
	}
}

static void add_resolver(const char *text, size_t length, char *resolvers,
			 size_t size)
{
	size_t used = strlen(resolvers);
	unsigned count = used ? 1 : 0;
	uint8_t address[16];

	for (const char *at = resolvers; *at; at++)
		count += *at == ',';
	if (count < 3 && address_of(text, length, address))
		snprintf(resolvers + used, size - used, "%s%.*s",
			 used ? "," : "", (int)length, text);
}

void names_resolvers(char *ret_resolvers, size_t size)
{
	char line[512];

	*ret_resolvers = 0;
	OWN_FILE *file = fopen("/etc/resolv.conf", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "nameserver", 10) || !strchr(" \t", line[10]))
			continue;
		const char *at = line + 10 + strspn(line + 10, " \t");
		add_resolver(at, strcspn(at, " \t\r\n"), ret_resolvers, size);
	}
}

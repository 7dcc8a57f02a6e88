/* SPDX-License-Identifier: Apache-2.0 */
/* The table of agents: see agents.h. */
#include "agents.h"

#include "base/own.h"
#include "closer.h"
#include "control.h"
#include "profiles.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_SLOT (1 + SERVICES)	/* 0 proves, then the services */

int agents_id(uint64_t now_ms, char ret_id[AMBIT_ID_SIZE])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -EIO;
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(now_ms >> (40 - 8 * i));
	b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(ret_id, AMBIT_ID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

static uint32_t slot_limit(const struct warden *warden)
{
	uint32_t most = warden->config.uid_count - AMBIT_UID_AGENTS;

	return most < AMBIT_SLOTS ? most : AMBIT_SLOTS;
}

uint32_t agents_most(const struct warden *warden)
{
	return slot_limit(warden) - FIRST_SLOT;
}

/* Slots go round, so that what the kernel still holds of an ended agent (a
 * socket in its last states) seldom meets a new one. */
static uint32_t free_slot(struct warden *warden)
{
	uint32_t most = slot_limit(warden);

	for (uint32_t tried = 0; tried < most; tried++) {
		uint32_t slot = warden->next_slot++;
		if (warden->next_slot >= most)
			warden->next_slot = FIRST_SLOT;
		if (slot >= FIRST_SLOT && !warden->agents[slot])
			return slot;
	}
	return 0;
}

int agents_new(struct warden *warden, struct agent **ret_agent,
	       struct error *error)
{
	uint32_t slot = free_slot(warden);
	struct agent *agent = slot ? calloc(1, sizeof(*agent)) : NULL;

	if (!slot)
		return error_set(error, EUSERS,
				 "node: all places for agents are taken");
	if (!agent)
		return error_errno(error, ENOMEM, "node");
	agent->warden = warden;
	agent->slot = slot;
	agent->uid = warden->config.uid_first + AMBIT_UID_AGENTS + slot;
	agent->mounts = agent->cgroup = agent->gate.fd = agent->pidfd.fd = agent->terminal = -1;
	agent->gate.owner = agent->pidfd.owner = agent;
	if (agents_id(warden_now_ms(), agent->id) < 0 ||
	    getrandom(&agent->instance, sizeof(agent->instance), 0) !=
		    sizeof(agent->instance)) {
		free(agent);
		return error_set(error, EIO, "node: no random numbers");
	}
	/* The slot is part of the number, so that it is found at once; small
	 * numbers are the node's own. */
	agent->instance = (agent->instance & ~(uint64_t)(AMBIT_SLOTS - 1)) |
			  1ULL << 63 | slot;
	warden->agents[slot] = agent;
	warden->agent_count++;
	*ret_agent = agent;
	return 0;
}

/* Rules only ever leave, and an agent that is cut stays so: the number of what left
 * counts the generations, before and after a restart. */
static uint32_t generation_of(const struct agent *agent,
			      enum ambit_policy_state state)
{
	return 1 + agent->withdrawn_count +
	       (state == AMBIT_POLICY_CUT ? AMBIT_EGRESS + 1 : 0);
}

const struct ambit_policy *agents_policy(const struct agent *agent,
					 enum ambit_policy_state state)
{
	static struct ambit_policy policy;
	unsigned kept = 0;

	policy = agent->compiled->plan->policy;
	policy.instance = agent->instance;
	policy.slot = agent->slot;
	policy.state = state;
	policy.generation = generation_of(agent, state);
	policy.names = 0;
	for (unsigned i = 0; i < policy.rule_count; i++) {
		const struct ambit_rule *rule = &policy.rules[i];
		if (agent->withdrawn[rule->id])
			continue;
		policy.names |= (rule->flags & AMBIT_RULE_NAME) != 0;
		policy.rules[kept++] = *rule;
	}
	policy.rule_count = (uint16_t)kept;
	return &policy;
}

void agents_free(struct agent *agent)
{
	struct warden *warden = agent->warden;

	control_forget(agent);
	loop_remove(&warden->loop, &agent->gate);
	loop_remove(&warden->loop, &agent->pidfd);
	own_close(&agent->cgroup);
	closer_take(&agent->mounts);
	own_close(&agent->terminal);
	profiles_release(warden, agent->compiled);
	for (unsigned i = 0; i < agent->argument_count; i++)
		free(agent->command[i]);
	free(agent->command);
	free(agent->source);
	warden->agents[agent->slot] = NULL;
	warden->agent_count -= agent->state != AGENT_PREPARED;
	free(agent);
	slots_freed(warden);
	control_settled(warden);
	if (warden->stopping && !warden->agent_count && !slots_any(warden))
		warden->loop.stopped = 1;
}

struct agent *agents_by_instance(struct warden *warden, uint64_t instance)
{
	struct agent *agent = warden->agents[instance & (AMBIT_SLOTS - 1)];

	return agent && agent->instance == instance ? agent : NULL;
}

struct agent *agents_find(struct warden *warden, const char *which)
{
	struct agent *agent, *ended = NULL;

	AGENTS_EACH(warden, agent) {
		if (!strcmp(agent->id, which))
			return agent;
		if (strcmp(agent->name, which))
			continue;
		if (agent->state != AGENT_ENDED)
			return agent;
		ended = agent;
	}
	return ended;
}

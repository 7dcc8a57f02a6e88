/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that leave running agents: see reload.h. */
#include "reload.h"

#include "agents.h"
#include "end.h"
#include "names.h"
#include "profile/withdraw.h"
#include "profiles.h"
#include "sockets.h"
#include "state.h"

#include <stdio.h>
#include <string.h>

/* "crm.example.com 443, 192.0.2.7 5432": cut short where there are many. */
static void list_entries(struct reload *reload)
{
	const struct profile *profile = reload->agent->compiled->profile;
	size_t size = sizeof(reload->entries), used = 0;

	for (unsigned i = 0; i < profile->egress_count; i++) {
		const struct profile_endpoint *at = &profile->egress[i];
		if (!reload->withdrawn[i] || reload->agent->withdrawn[i])
			continue;
		int put = snprintf(reload->entries + used, size - used, "%s%s %u%s",
				   used ? ", " : "", at->to, at->ports[0].low,
				   at->port_count > 1 ||
				   at->ports[0].high != at->ports[0].low ? "…" : "");
		if (put < 0 || (size_t)put >= size - used) {
			snprintf(reload->entries + size - sizeof("…"),
				 sizeof("…"), "…");
			return;
		}
		used += (size_t)put;
	}
}

int reload_find(struct agent *agent, struct reload *ret_reload,
		struct error *error)
{
	struct warden *warden = agent->warden;
	struct compiled *now = NULL;

	*ret_reload = (struct reload){ .agent = agent };
	memcpy(ret_reload->withdrawn, agent->withdrawn, sizeof(agent->withdrawn));
	int failed = profiles_read(warden, agent->source, &now, error);
	if (failed)
		return failed;
	int count = profile_withdraw(agent->compiled->profile, now->profile,
				     ret_reload->withdrawn, error);
	memcpy(ret_reload->sha256, now->profile->sha256, AMBIT_HASH_SIZE);
	profiles_release(warden, now);
	if (count < 0)
		return error_context(error, "agent %s: profile %s", agent->name,
				     agent->source);
	ret_reload->count = (unsigned)count;
	list_entries(ret_reload);
	return 0;
}

static enum ambit_policy_state state_of(const struct agent *agent)
{
	return agent->cut ? AMBIT_POLICY_CUT : AMBIT_POLICY_OPEN;
}

static void set(struct agent *agent, const uint8_t *withdrawn)
{
	agent->withdrawn_count = 0;
	memcpy(agent->withdrawn, withdrawn, sizeof(agent->withdrawn));
	for (unsigned i = 0; i < AMBIT_EGRESS; i++)
		agent->withdrawn_count += agent->withdrawn[i];
}

int reload_rules(const struct reload *reload, struct error *error)
{
	struct agent *agent = reload->agent;
	uint8_t before[AMBIT_EGRESS];
	int failed = 0;

	memcpy(before, agent->withdrawn, sizeof(before));
	set(agent, reload->withdrawn);
	/* First, so that a warden which is killed in between does not forget. */
	if (agent->recorded)
		failed = state_save(agent, error);
	if (!failed)
		failed = kernel_policy(agent->warden->kernel, agent->cgroup_id,
				       agents_policy(agent, state_of(agent)), error);
	if (failed) {
		struct error ignored = { 0 };
		set(agent, before);
		if (agent->recorded)
			state_save(agent, &ignored);
	}
	return failed;
}

int reload_flows(const struct reload *reload, struct error *error)
{
	struct agent *agent = reload->agent;

	names_serve(agent);
	int failed = sockets_withdraw(agent->cgroup_id,
				      kernel_flows(agent->warden->kernel),
				      agent->instance, agent->withdrawn);
	return failed ? error_errno(error, -failed, "sockets of %s", agent->id) : 0;
}

void reload_adopt(struct agent *agent)
{
	struct reload again = { .agent = agent };
	struct error error = { 0 };

	if (!agent->withdrawn_count)
		return;
	/* Refused as not newer where the kernel had them already. */
	kernel_policy(agent->warden->kernel, agent->cgroup_id,
		      agents_policy(agent, state_of(agent)), &error);
	error = (struct error){ 0 };
	reload_flows(&again, &error);
}

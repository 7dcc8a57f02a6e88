/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a plan that the kernel programs read: see policy.h. */
#include "policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static uint8_t protocol_of(enum profile_protocol protocol)
{
	return protocol == PROFILE_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static uint16_t flags_of(const struct profile_endpoint *endpoint)
{
	return (uint16_t)((endpoint->kind == PROFILE_ENDPOINT_NAME ?
				   AMBIT_RULE_NAME : 0) |
			  (endpoint->tls == PROFILE_TLS_REQUIRED ?
				   AMBIT_RULE_TLS : 0));
}

/* An address or a name: one rule per port range.  The address of a name is zero;
 * which ones it leads to is told to the kernel when it is looked up. */
static int add_rules(const struct profile_endpoint *endpoint, unsigned index,
		     struct ambit_policy *policy, struct error *error)
{
	for (unsigned i = 0; i < endpoint->port_count; i++) {
		if (policy->rule_count == AMBIT_RULES)
			return error_set(error, E2BIG, "egress[%u] to %s: too many "
					 "rules: an agent can have %d, one per "
					 "address and port range", index,
					 endpoint->to, AMBIT_RULES);
		struct ambit_rule *rule = &policy->rules[policy->rule_count++];
		memcpy(rule->address, endpoint->address, sizeof(rule->address));
		rule->prefix = endpoint->prefix;
		rule->protocol = protocol_of(endpoint->protocol);
		rule->id = (uint16_t)index;
		rule->port_low = endpoint->ports[i].low;
		rule->port_high = endpoint->ports[i].high;
		rule->flags = flags_of(endpoint);
		policy->names |= (rule->flags & AMBIT_RULE_NAME) != 0;
	}
	return 0;
}

static int add_path(const struct profile_endpoint *endpoint, unsigned index,
		    const char *front, const char *path,
		    struct ambit_policy *policy, struct error *error)
{
	char whole[AMBIT_UNIX_PATH + 8];
	int length = snprintf(whole, sizeof(whole), "%s%s", front, path);

	/* A spelling that fits no address is nobody's. */
	if (*front && length >= AMBIT_UNIX_PATH)
		return 0;
	if (policy->unix_count == AMBIT_UNIX_PATHS)
		return error_set(error, E2BIG, "egress[%u] to %s: too many unix "
				 "sockets: an agent can have %d, and one below /run "
				 "counts twice", index, endpoint->to,
				 AMBIT_UNIX_PATHS);
	struct ambit_unix *to = &policy->unix_paths[policy->unix_count++];
	to->id = (uint16_t)index;
	to->length = (uint16_t)length;
	memcpy(to->path, whole, to->length);
	return 0;
}

/* The hook compares the path as it was written.  A socket below /run has a second
 * name: the agent's /var/run is a link to /run, ambit's own, which the agent can't
 * put another in place of; clients of PostgreSQL and Docker go that way. */
static int add_unix(const struct profile_endpoint *endpoint, unsigned index,
		    struct ambit_policy *policy, struct error *error)
{
	const char *path = endpoint->to + strlen("unix:");

	int result = add_path(endpoint, index, "", path, policy, error);
	if (!result && !strncmp(path, "/run/", 5))
		result = add_path(endpoint, index, "/var", path, policy, error);
	return result;
}

/* Whether a path that is not listed can only lead to the agent's own sockets.
 * Any directory of the host may hold somebody's, /usr included (a read-only mount
 * keeps nobody from connecting), and the hook sees a name, which a link of the
 * agent's can lead there; beside a listed socket, another spelling of its path
 * would be recorded as the agent's own. */
static int only_private(const struct ambit_policy *policy,
			const struct profile *profile)
{
	return profile->files.system == PROFILE_SYSTEM_NONE &&
	       !profile->files.read_count && !profile->files.write_count &&
	       !policy->unix_count;
}

int policy_fill(const struct profile *profile,
		struct ambit_policy *policy, struct error *error)
{
	int result = 0;

	for (unsigned i = 0; i < profile->egress_count && !result; i++) {
		const struct profile_endpoint *endpoint = &profile->egress[i];
		switch (endpoint->kind) {
		case PROFILE_ENDPOINT_ADDRESS:
		case PROFILE_ENDPOINT_BLOCK:
		case PROFILE_ENDPOINT_NAME:
			result = add_rules(endpoint, i, policy, error);
			break;
		case PROFILE_ENDPOINT_UNIX:
			result = add_unix(endpoint, i, policy, error);
			break;
		}
	}
	if (result < 0)
		return result;
	if (profile->listen_count > AMBIT_LISTENS)
		return error_set(error, E2BIG, "listen: too many entries: an agent "
				 "can have %d", AMBIT_LISTENS);
	for (unsigned i = 0; i < profile->listen_count; i++) {
		const struct profile_listen *from = &profile->listen[i];
		policy->listens[policy->listen_count++] = (struct ambit_listen){
			.port_low = from->ports.low,
			.port_high = from->ports.high,
			.protocol = protocol_of(from->protocol),
			.anywhere = from->anywhere ? 1 : 0,
		};
	}
	policy->unix_mode = only_private(policy, profile) ? AMBIT_UNIX_PRIVATE :
							     AMBIT_UNIX_LISTED;
	/* The hook can't tell whose an abstract name is.  Landlock could, but what
	 * it refused behind the hook would stand in the log as allowed. */
	policy->abstract_scoped = 0;
	return 0;
}

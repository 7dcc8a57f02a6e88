/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's credentials: see credentials.h. */
#include "credentials.h"

#include "agents.h"
#include "base/own.h"
#include "launch.h"
#include "records.h"
#include "services.h"

#include <ambit/exit.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

/* The end of what is issued is the earliest of lifetime and review day. */
static uint64_t credentials_deadline(const struct agent *agent)
{
	const struct profile_date *by = &agent->compiled->profile->review.by;
	struct tm day = { .tm_year = by->year - 1900, .tm_mon = by->month - 1,
			  .tm_mday = by->day + 1 };
	uint64_t deadline = (uint64_t)timegm(&day);

	if (agent->deadline_ms && agent->deadline_ms / 1000 < deadline)
		deadline = agent->deadline_ms / 1000;
	return deadline;
}

int credentials_serve(struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	struct warden *warden = agent->warden;
	struct ambit_admit admit = {
		.instance = agent->instance,
		.deadline = credentials_deadline(agent),
		.credential_count = profile->credential_count,
	};
	struct ambit_serve serve = {
		.instance = agent->instance,
		.credential_count = profile->credential_count,
	};
	char path[64];

	admit.running = agent->state != AGENT_STARTING;
	if (!profile->credential_count)
		return 0;
	snprintf(admit.id, sizeof(admit.id), "%s", agent->id);
	snprintf(admit.spiffe_id, sizeof(admit.spiffe_id), "%s",
		 agent->spiffe_id);
	snprintf(admit.task, sizeof(admit.task), "%s", agent->task);
	for (unsigned i = 0; i < profile->credential_count; i++) {
		const struct profile_credential *from = &profile->credentials[i];
		struct ambit_credential *to = &admit.credentials[i];
		snprintf(to->name, sizeof(to->name), "%s", from->name);
		snprintf(to->type, sizeof(to->type), "%s",
			 from->type == PROFILE_X509_SVID ? "x509-svid" :
							   "jwt-svid");
		snprintf(to->audience, sizeof(to->audience), "%s",
			 from->audience);
		to->ttl = from->ttl;
		serve.credentials[i] = *to;
	}
	snprintf(path, sizeof(path), "%s/credentials", agent->id);
	OWN_FD directory = openat(warden->instances, path,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	int failed = services_send(warden, SERVICE_ISSUER, AMBIT_MESSAGE_ADMIT,
				   &admit, NULL);
	if (!failed)
		failed = services_send(warden, SERVICE_PORTER,
				       AMBIT_MESSAGE_SERVE, &serve, &directory);
	return failed;
}

int credentials_record(struct agent *agent, unsigned index, int renewed,
			     void (*done)(struct warden *, void *, int),
			     void *data)
{
	const struct profile_credential *wanted =
		&agent->compiled->profile->credentials[index];
	const struct agent_credential *got = &agent->credentials[index];
	struct ambit_event event;

	records_fill(&event, renewed ? AMBIT_EVENT_CREDENTIAL_RENEWED :
				       AMBIT_EVENT_CREDENTIAL_ISSUED,
		     agent, NULL);
	snprintf(event.credential, sizeof(event.credential), "%s", wanted->name);
	snprintf(event.credential_type, sizeof(event.credential_type), "%s",
		 wanted->type == PROFILE_X509_SVID ? "x509-svid" : "jwt-svid");
	snprintf(event.credential_id, sizeof(event.credential_id), "%s", got->id);
	snprintf(event.audience, sizeof(event.audience), "%s", wanted->audience);
	event.not_before = got->not_before;
	event.not_after = got->not_after;
	return records_send(agent->warden, &event, done, data);
}

int credentials_granted(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++)
		if (!agent->credentials[i].granted)
			return 0;
	return 1;
}

/* The issuer's word and the porter's come by two sockets, in either order; the record
 * was written from the first, and both must say the same. */
static int agree(struct agent *agent, uint32_t index, const char *id,
		 uint64_t not_before, uint64_t not_after)
{
	struct agent_credential *credential = &agent->credentials[index];

	if (!credential->granted) {
		snprintf(credential->id, sizeof(credential->id), "%s", id);
		credential->not_before = not_before;
		credential->not_after = not_after;
		credential->granted = 1;
		return 1;
	}
	if (!strcmp(credential->id, id) && credential->not_before == not_before &&
	    credential->not_after == not_after)
		return 1;
	launch_refuse_text(agent, EBADMSG, "credentials: what was signed is not what "
			   "was recorded");
	return 0;
}

static void refuse(struct agent *agent, uint32_t index, int code)
{
	struct error error = { 0 };

	error_errno(&error, code, "credentials: %s",
		    agent->compiled->profile->credentials[index].name);
	launch_refuse(agent, AMBIT_EXIT_REFUSED, &error);
}

static int publish(struct agent *agent, unsigned index)
{
	struct ambit_publish message = { agent->instance, index, 0 };

	return services_send(agent->warden, SERVICE_PORTER,
			     AMBIT_MESSAGE_PUBLISH, &message, NULL);
}

/* ---- renewals: signed, recorded, put in place ------------------------------ */

struct renewal {
	uint64_t instance;
	unsigned index;
	char id[96];
};

/* Not recorded, or not what the porter has: the old one stands until it ends. */
static void publish_renewal(struct agent *agent, unsigned index)
{
	struct agent_credential *credential = &agent->credentials[index];

	if (!credential->renewal_recorded ||
	    strcmp(credential->renewal_minted, credential->id))
		return;
	credential->renewal_recorded = 0;
	publish(agent, index);
}

static void renewal_durable(struct warden *warden, void *data, int error)
{
	struct renewal *renewal = data;
	struct agent *agent = agents_by_instance(warden, renewal->instance);

	if (!error && agent && !agent->gone &&
	    !strcmp(agent->credentials[renewal->index].id, renewal->id)) {
		agent->credentials[renewal->index].renewal_recorded = 1;
		publish_renewal(agent, renewal->index);
	}
	free(renewal);
}

static void take_renewal(struct agent *agent, const struct ambit_granted *granted)
{
	struct agent_credential *credential =
		&agent->credentials[granted->credential];
	struct renewal *renewal = malloc(sizeof(*renewal));

	if (!renewal)
		return;
	snprintf(credential->id, sizeof(credential->id), "%s", granted->id);
	credential->not_before = granted->not_before;
	credential->not_after = granted->not_after;
	credential->renewal_recorded = 0;
	*renewal = (struct renewal){ agent->instance, granted->credential, "" };
	memcpy(renewal->id, credential->id, sizeof(renewal->id));
	if (credentials_record(agent, granted->credential, 1, renewal_durable,
			       renewal) < 0)
		free(renewal);
}

/* ---- what the issuer and the porter say ------------------------------------ */

void credentials_take_granted(struct warden *warden,
			      const struct ambit_granted *granted)
{
	struct agent *agent = agents_by_instance(warden, granted->instance);

	if (!agent || agent->gone || agent->failure.code ||
	    granted->credential >= agent->compiled->profile->credential_count)
		return;
	if (agent->state != AGENT_STARTING && !granted->error)
		take_renewal(agent, granted);
	if (agent->state != AGENT_STARTING)
		return;
	if (granted->error)
		refuse(agent, granted->credential, granted->error);
	else if (agree(agent, granted->credential, granted->id,
		       granted->not_before, granted->not_after))
		launch_advance(agent);
}

void credentials_take_minted(struct warden *warden, const struct ambit_minted *minted)
{
	struct agent *agent = agents_by_instance(warden, minted->instance);

	if (!agent || agent->gone || agent->failure.code ||
	    minted->credential >= agent->compiled->profile->credential_count)
		return;
	struct agent_credential *credential =
		&agent->credentials[minted->credential];
	if (minted->error) {
		if (agent->state == AGENT_STARTING)
			refuse(agent, minted->credential, minted->error);
		return;
	}
	if (agent->state != AGENT_STARTING) {
		snprintf(credential->renewal_minted,
			 sizeof(credential->renewal_minted), "%s", minted->id);
		publish_renewal(agent, minted->credential);
		return;
	}
	if (!agree(agent, minted->credential, minted->id, minted->not_before,
		   minted->not_after))
		return;
	credential->minted = 1;
	/* In place already, for nobody yet: the agent's first instruction waits
	 * for the record. */
	if (publish(agent, minted->credential) < 0)
		launch_refuse_text(agent, EPIPE, "credentials: can't be delivered");
	launch_advance(agent);
}

void credentials_take_published(struct warden *warden,
		      const struct ambit_published *published)
{
	struct agent *agent = agents_by_instance(warden, published->instance);

	if (!agent || agent->state != AGENT_STARTING ||
	    published->credential >= agent->compiled->profile->credential_count)
		return;
	if (published->error) {
		struct error error = { 0 };
		error_errno(&error, published->error, "credentials: %s",
			    agent->compiled->profile
				    ->credentials[published->credential].name);
		launch_refuse(agent, AMBIT_EXIT_REFUSED, &error);
		return;
	}
	agent->credentials[published->credential].published = 1;
	launch_advance(agent);
}

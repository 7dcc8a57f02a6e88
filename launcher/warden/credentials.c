/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's credentials: see credentials.h. */
#include "credentials.h"

#include "agents.h"
#include "base/own.h"
#include "launch.h"
#include "records.h"
#include "services.h"
#include "state.h"

#include <ambit/exit.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define OTHER "credentials: what was signed is not what was recorded"

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

static void write_hex(const uint8_t *bytes, size_t length, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * length] = 0;
}

/* What the first of each is going to be, so that it can be recorded before it is
 * signed.  The issuer judges it by the same ceilings. */
static int draw_first(struct agent *agent, struct ambit_first *ret_first,
		      struct error *error)
{
	const struct profile *profile = agent->compiled->profile;
	uint64_t now = warden_now_ms() / 1000, end = credentials_deadline(agent);

	if (agent->warden->authority_ends < end)
		end = agent->warden->authority_ends;
	for (unsigned i = 0; i < profile->credential_count; i++) {
		const struct profile_credential *wanted = &profile->credentials[i];
		struct agent_credential *credential = &agent->credentials[i];
		int is_x509 = wanted->type == PROFILE_X509_SVID;
		uint64_t most = is_x509 ? AMBIT_X509_MOST : AMBIT_JWT_MOST;
		struct ambit_first *first = &ret_first[i];
		if (wanted->ttl < most)
			most = wanted->ttl;
		first->not_before = now - (is_x509 ? AMBIT_X509_BACK_DATED : 0);
		first->not_after = now + most < end ? now + most : end;
		if (first->not_after <= now)
			return error_errno(error, EKEYEXPIRED, "credentials: %s",
					   wanted->name);
		if (getrandom(first->id, sizeof(first->id), 0) !=
		    sizeof(first->id))
			return error_set(error, EIO, "node: no random numbers");
		first->id[0] = (uint8_t)((first->id[0] & 0x3f) | 0x40);
		write_hex(first->id, sizeof(first->id), credential->id);
		credential->not_before = first->not_before;
		credential->not_after = first->not_after;
	}
	return 0;
}

int credentials_serve(struct agent *agent, struct error *error)
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

	if (!profile->credential_count)
		return 0;
	serve.starting = agent->state == AGENT_STARTING;
	if (serve.starting && draw_first(agent, admit.first, error) < 0)
		return -error->code;
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
		return error_errno(error, errno, "credentials");
	int failed = services_send(warden, SERVICE_ISSUER, AMBIT_MESSAGE_ADMIT,
				   &admit, NULL);
	if (!failed)
		failed = services_send(warden, SERVICE_PORTER,
				       AMBIT_MESSAGE_SERVE, &serve, &directory);
	return failed ? error_set(error, EPIPE, "node: a service ended") : 0;
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

/* What was signed must be what was recorded. */
static int agrees(const struct agent_credential *credential, const char *id,
		  uint64_t not_before, uint64_t not_after)
{
	return !strcmp(credential->id, id) &&
	       credential->not_before == not_before &&
	       credential->not_after == not_after;
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

	if (agent && !agent->gone &&
	    !strcmp(agent->credentials[renewal->index].id, renewal->id)) {
		struct agent_credential *credential =
			&agent->credentials[renewal->index];
		credential->renewal_recorded = !error;
		credential->renewal_owed = error != 0;
		publish_renewal(agent, renewal->index);
	}
	free(renewal);
}

static void record_renewal(struct agent *agent, unsigned index)
{
	struct agent_credential *credential = &agent->credentials[index];
	struct renewal *renewal = malloc(sizeof(*renewal));

	credential->renewal_owed = 0;
	if (renewal) {
		*renewal = (struct renewal){ agent->instance, index, "" };
		memcpy(renewal->id, credential->id, sizeof(renewal->id));
	}
	if (renewal && credentials_record(agent, index, 1, renewal_durable,
					  renewal) == 0)
		return;
	free(renewal);
	credential->renewal_owed = 1;
	/* Held, for should another one be signed first, this one was, too. */
	credentials_record(agent, index, 1, NULL, NULL);
}

static void take_renewal(struct agent *agent, const struct ambit_granted *granted)
{
	struct agent_credential *credential =
		&agent->credentials[granted->credential];
	struct error ignored = { 0 };

	snprintf(credential->id, sizeof(credential->id), "%s", granted->id);
	credential->not_before = granted->not_before;
	credential->not_after = granted->not_after;
	credential->renewal_recorded = 0;
	/* Should this process end, the next one knows which one lives longest. */
	state_save(agent, &ignored);
	record_renewal(agent, granted->credential);
}

int credentials_owes(const struct agent *agent, const struct ambit_event *event)
{
	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++)
		if (agent->credentials[i].renewal_owed &&
		    !strcmp(agent->credentials[i].id, event->credential_id))
			return !agent->gone;
	return 0;
}

void credentials_tell_owed(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent)
		for (unsigned i = 0; !agent->gone && i < AMBIT_CREDENTIALS; i++)
			if (agent->credentials[i].renewal_owed)
				record_renewal(agent, i);
}

/* ---- what the issuer and the porter say ------------------------------------ */

void credentials_take_granted(struct warden *warden,
			      const struct ambit_granted *granted)
{
	struct agent *agent = agents_by_instance(warden, granted->instance);

	if (!agent || agent->gone || agent->failure.code ||
	    granted->credential >= agent->compiled->profile->credential_count)
		return;
	if (agent->state == AGENT_STARTING)
		launch_refuse_text(agent, EBADMSG, OTHER);
	else
		take_renewal(agent, granted);
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
	if (!agrees(credential, minted->id, minted->not_before,
		    minted->not_after)) {
		launch_refuse_text(agent, EBADMSG, OTHER);
		return;
	}
	/* In place at once, for nobody yet: the agent's first instruction waits
	 * for the record. */
	credential->minted = 1;
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
	if (!agent->credentials[published->credential].minted)
		return;
	agent->credentials[published->credential].published = 1;
	launch_advance(agent);
}

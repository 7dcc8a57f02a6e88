/* SPDX-License-Identifier: Apache-2.0 */
/* Records that the warden has written: see records.h. */
#include "records.h"

#include "agents.h"
#include "base/own.h"
#include "credentials.h"
#include "end.h"
#include "proof.h"
#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct waiting {
	struct waiting *next;
	uint64_t token;
	void (*done)(struct warden *, void *, int);
	void *data;
};

static struct waiting *waiting;
static uint64_t last_token;

#define HELD_MOST AMBIT_SLOTS	/* an order to each agent */

struct held {
	struct held *next;
	struct ambit_event event;
};

/* Events that no recorder took, in their order. */
static struct held *held, **held_end = &held;
static unsigned held_count;

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t warden_now_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

uint64_t warden_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

uint64_t warden_until_ms(uint64_t moment)
{
	uint64_t now = warden_boot_ms();

	return moment > now ? moment - now : 0;
}

void records_text(char *place, size_t size, const char *text)
{
	static const char cut[] = "…";
	size_t length = strnlen(text, size);

	if (length < size) {
		memcpy(place, text, length + 1);
		return;
	}
	length = size - sizeof(cut);
	/* Not in the middle of a character. */
	while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(place, text, length);
	memcpy(place + length, cut, sizeof(cut));
}

void records_fill(struct ambit_event *ret_event, enum ambit_event_kind kind,
		  const struct agent *agent, const struct caller *caller)
{
	memset(ret_event, 0, sizeof(*ret_event));
	ret_event->kind = kind;
	ret_event->time_ms = warden_now_ms();
	if (caller) {
		ret_event->caller_uid = caller->uid;
		ret_event->caller_pid = caller->pid;
	}
	if (!agent)
		return;
	ret_event->instance = agent->instance;
	ret_event->pid = (uint32_t)agent->pid;
	if (agent->argument_count)
		records_text(ret_event->command, sizeof(ret_event->command),
			     agent->command[0]);
	if (agent->compiled) {
		records_text(ret_event->profile, sizeof(ret_event->profile),
			     agent->compiled->profile->name);
		records_text(ret_event->profile_sha256,
			     sizeof(ret_event->profile_sha256),
			     agent->compiled->profile->sha256);
	}
}

static int hold(struct warden *warden, const struct ambit_event *event)
{
	struct held *entry = held_count < HELD_MOST ? malloc(sizeof(*entry)) : NULL;

	if (!entry) {
		warden->events_lost++;
		return -ENOBUFS;
	}
	entry->next = NULL;
	entry->event = *event;
	*held_end = entry;
	held_end = &entry->next;
	held_count++;
	return 0;
}

int records_send(struct warden *warden, struct ambit_event *event,
		 void (*done)(struct warden *, void *, int), void *data)
{
	struct waiting *entry = NULL;

	if (done) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		*entry = (struct waiting){ waiting, ++last_token, done, data };
		event->token = entry->token;
	}
	int failed = services_send(warden, SERVICE_RECORDER,
				   AMBIT_MESSAGE_EVENT, event, NULL);
	if (failed) {
		free(entry);
		return done ? failed : hold(warden, event);
	}
	if (entry)
		waiting = entry;
	return 0;
}

void records_durable(struct warden *warden, const struct ambit_durable *durable)
{
	for (struct waiting **at = &waiting; *at; at = &(*at)->next) {
		struct waiting *entry = *at;
		if (entry->token != durable->token)
			continue;
		*at = entry->next;
		entry->done(warden, entry->data, -durable->error);
		free(entry);
		return;
	}
}

void records_lost(struct warden *warden)
{
	struct waiting *all = waiting;

	waiting = NULL;
	while (all) {
		struct waiting *entry = all;
		all = entry->next;
		entry->done(warden, entry->data, -EIO);
		free(entry);
	}
}

/* The end of the recorder that runs, and that of the one before. */
static int kept = -1, left = -1;

void records_keep(int socket)
{
	int next = fcntl(socket, F_DUPFD_CLOEXEC, 3);

	/* One that ended before it was ready was sent nothing. */
	if (left < 0)
		left = own_take_fd(&kept);
	own_close(&kept);
	kept = next;
}

/* Whether the agent's end is told anew, all of it, or the renewal. */
static int is_told_anew(struct warden *warden, const struct ambit_event *event)
{
	const struct agent *agent = agents_by_instance(warden, event->instance);

	if (agent && event->kind == AMBIT_EVENT_CREDENTIAL_RENEWED)
		return credentials_owes(agent, event);
	return agent && agent->owed && (event->kind == AMBIT_EVENT_EXIT ||
					event->kind == AMBIT_EVENT_CREDENTIAL_ENDED);
}

static void tell_left(struct warden *warden)
{
	static struct message message;

	while (left >= 0 && message_receive(left, 0, &message) == 1) {
		union message_body *body = &message.body;
		message_release(&message);
		if (message.type == AMBIT_MESSAGE_LOOKUP &&
		    services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_LOOKUP,
				  &body->lookup, NULL))
			warden->lookups_lost++;
		if (message.type != AMBIT_MESSAGE_EVENT ||
		    is_told_anew(warden, &body->event))
			continue;
		/* Whoever waited for it knows by now that it is not there. */
		body->event.token = 0;
		records_send(warden, &body->event, NULL, NULL);
	}
	own_close(&left);
}

static void tell_held(struct warden *warden)
{
	struct held *all = held;

	held = NULL;
	held_end = &held;
	held_count = 0;
	while (all) {
		struct held *entry = all;
		all = entry->next;
		if (!is_told_anew(warden, &entry->event))
			records_send(warden, &entry->event, NULL, NULL);
		free(entry);
	}
}

void records_tell_ended(struct warden *warden)
{
	if (!warden->services[SERVICE_RECORDER].ready)
		return;
	for (int i = 0; i < SERVICES; i++) {
		struct ambit_event *event = &warden->ended_services[i];
		if (!event->kind)
			continue;
		if (i == SERVICE_RECORDER &&
		    (warden->lookups_lost || warden->events_lost))
			snprintf(event->reason, sizeof(event->reason),
				 "%llu lookups have no record, %llu events neither",
				 warden->lookups_lost, warden->events_lost);
		if (records_send(warden, event, NULL, NULL))
			continue;
		event->kind = 0;
		if (i == SERVICE_RECORDER)
			warden->lookups_lost = warden->events_lost = 0;
	}
}

static int send_endpoints(struct warden *warden, const struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	int failed = 0;

	for (unsigned i = 0; !failed && i < profile->egress_count; i++) {
		struct ambit_endpoint endpoint = { .instance = agent->instance,
						   .id = i };
		records_text(endpoint.to, sizeof(endpoint.to),
			     profile->egress[i].to);
		records_text(endpoint.tool, sizeof(endpoint.tool),
			     profile->egress[i].tool);
		failed = services_send(warden, SERVICE_RECORDER,
				       AMBIT_MESSAGE_ENDPOINT, &endpoint, NULL);
	}
	return failed;
}

int records_open(struct warden *warden, const struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	struct ambit_open open = {
		.instance = agent->instance,
		.cgroup_id = agent->cgroup_id,
		.slot = agent->slot,
		.uid = agent->uid,
	};

	records_text(open.id, sizeof(open.id), agent->id);
	records_text(open.name, sizeof(open.name), agent->name);
	records_text(open.profile, sizeof(open.profile), profile->name);
	records_text(open.profile_sha256, sizeof(open.profile_sha256),
		     profile->sha256);
	records_text(open.spiffe_id, sizeof(open.spiffe_id), agent->spiffe_id);
	records_text(open.task, sizeof(open.task), agent->task);
	records_text(open.owner, sizeof(open.owner), profile->owner);
	records_text(open.purpose, sizeof(open.purpose), profile->purpose);
	int failed = services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_OPEN,
				   &open, NULL);
	return failed ? failed : send_endpoints(warden, agent);
}

void records_greet(struct warden *warden)
{
	struct ambit_rings rings = { AMBIT_RING_BYTES, AMBIT_SLOTS, "" };
	struct agent *agent;
	int fds[3];

	OWN_FD file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (file < 0 || read(file, rings.boot_id, 36) != 36)
		return;
	AGENTS_EACH(warden, agent)
		if ((!agent->gone || agent->owed) && agent->cgroup_id)
			records_open(warden, agent);
	proof_open(warden);
	kernel_rings(warden->kernel, fds);
	services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_RINGS, &rings, fds);
	tell_left(warden);
	tell_held(warden);
	end_tell_owed(warden);
	credentials_tell_owed(warden);
}

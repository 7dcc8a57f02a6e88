/* SPDX-License-Identifier: Apache-2.0 */
/* The agents served: see serve.h. */
#include "serve.h"

#include "base/own.h"

#include <string.h>
#include <sys/random.h>

#define BACK_OFF_MOST 60	/* seconds */
/* poll sleeps on a clock that stands still while the machine does. */
#define SLEEP_MOST_MS 60000

_Static_assert(offsetof(struct serve_credential, timer) == 0, "from the heap");
_Static_assert(AMBIT_SLOTS == 1 << 12, "the hash's upper bits");

void serve_setup(struct serve *serve, int warden, int issuer, uid_t uid)
{
	memset(serve, 0, sizeof(*serve));
	TAILQ_INIT(&serve->wanted);
	outbox_setup(&serve->outbox, warden);
	serve->issuer = issuer;
	serve->uid = uid;
}

static struct serve_instance **find(struct serve *serve, uint64_t instance)
{
	/* Fibonacci hashing: the numbers may be drawn or counted. */
	uint64_t hash = instance * 0x9e3779b97f4a7c15ULL;
	struct serve_instance **at = &serve->buckets[hash >> 52];
	while (*at && (*at)->instance != instance)
		at = &(*at)->next;
	return at;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When a moment given in seconds has come; 0 means that it never does. */
static uint64_t moment(uint64_t seconds)
{
	return seconds && seconds < TIMERS_NEVER / 1000 ? seconds * 1000 :
							  TIMERS_NEVER;
}

static void schedule(struct serve *serve, struct serve_credential *credential)
{
	uint64_t when = moment(credential->held_until);
	if (credential->state == SERVE_WAITING)
		when = earliest(when, credential->attempt_ms);
	if (credential->state == SERVE_MINTED)
		when = earliest(when, moment(credential->not_after));
	timers_set(&serve->timers, &credential->timer, when);
}

static void want(struct serve *serve, struct serve_credential *credential)
{
	credential->state = SERVE_WANTED;
	TAILQ_INSERT_TAIL(&serve->wanted, credential, wanted);
}

/* Sends as many requests as the window lets through. */
static int pump(struct serve *serve)
{
	while (serve->in_flight < SERVE_WINDOW && !TAILQ_EMPTY(&serve->wanted)) {
		struct serve_credential *credential = TAILQ_FIRST(&serve->wanted);
		struct ambit_sign sign = {
			.instance = credential->instance->instance,
			.credential = credential->index,
		};
		int result = message_send(serve->issuer, AMBIT_MESSAGE_SIGN, &sign,
					  NULL);
		if (result < 0)
			return result;
		TAILQ_REMOVE(&serve->wanted, credential, wanted);
		credential->state = SERVE_SIGNING;
		serve->in_flight++;
	}
	return 0;
}

/* What asking again does not change. */
static int permanent(int error)
{
	return error == EKEYEXPIRED || error == EACCES || error == EPERM ||
	       error == EINVAL;
}

/* Waits before it asks again; what is in place stays until its end. */
static void back_off(struct serve *serve, struct serve_credential *credential,
		     int error, uint64_t now_ms)
{
	credential->state = SERVE_WAITING;
	credential->attempt_ms = now_ms + credential->back_off * 1000ULL;
	if (permanent(error))
		credential->attempt_ms = TIMERS_NEVER;
	if (credential->back_off < BACK_OFF_MOST)
		credential->back_off *= 2;
	schedule(serve, credential);
}

static int tell_minted(struct serve *serve,
		       const struct serve_credential *credential, int error,
		       const char *id)
{
	struct ambit_minted minted = {
		.instance = credential->instance->instance,
		.credential = credential->index,
		.error = error,
		.renewal = (uint32_t)credential->renewal,
	};
	if (!error) {
		minted.not_before = credential->not_before;
		minted.not_after = credential->not_after;
		snprintf(minted.id, sizeof(minted.id), "%s", id);
	}
	return outbox_minted(&serve->outbox, &minted);
}

static int failed(struct serve *serve, struct serve_credential *credential,
		  int error, uint64_t now_ms)
{
	/* Nothing is known to be in place, but a porter before this one may have
	 * left files: their time is over too. */
	if (permanent(error) && !credential->held_until)
		files_remove(credential->instance->directory, credential->name,
			     credential->kind);
	back_off(serve, credential, error, now_ms);
	return tell_minted(serve, credential, error, "");
}

/* ---- SERVE and DISMISS ---------------------------------------------------- */

static int well_formed(const struct ambit_serve *serve)
{
	if (serve->credential_count > AMBIT_CREDENTIALS)
		return 0;
	for (uint32_t i = 0; i < serve->credential_count; i++) {
		const struct ambit_credential *c = &serve->credentials[i];
		if (!memchr(c->name, 0, sizeof(c->name)) ||
		    !memchr(c->type, 0, sizeof(c->type)))
			return 0;
	}
	return 1;
}

static int fill(struct serve_instance *instance, const struct ambit_serve *from)
{
	for (uint32_t i = 0; i < from->credential_count; i++) {
		struct serve_credential *to = &instance->credentials[i];
		if (!files_name_valid(from->credentials[i].name))
			return -EINVAL;
		for (uint32_t j = 0; j < i; j++)
			if (!strcmp(from->credentials[i].name,
				    from->credentials[j].name))
				return -EEXIST;
		int result = files_kind(from->credentials[i].type, &to->kind);
		if (result < 0)
			return result;
		memcpy(to->name, from->credentials[i].name, sizeof(to->name));
		to->instance = instance;
		to->index = i;
		to->back_off = 1;
	}
	return 0;
}

static int refuse(struct serve *serve, const struct ambit_serve *what, int error)
{
	for (uint32_t i = 0; i < what->credential_count; i++) {
		struct ambit_minted minted = {
			.instance = what->instance, .credential = i, .error = error,
		};
		int result = outbox_minted(&serve->outbox, &minted);
		if (result < 0)
			return result;
	}
	return 0;
}

static int begin(struct serve *serve, const struct ambit_serve *what,
		 int *directory)
{
	if (!well_formed(what))
		return -EBADMSG;
	struct serve_instance **place = find(serve, what->instance);
	if (*place)
		return -EEXIST;
	int result = files_check_directory(*directory, serve->uid);
	if (result < 0)
		return refuse(serve, what, -result);
	size_t count = what->credential_count;
	OWN_MEMORY struct serve_instance *instance =
		calloc(1, sizeof(*instance) + count * sizeof(instance->credentials[0]));
	if (!instance)
		return -ENOMEM;
	result = fill(instance, what);
	if (result < 0)
		return refuse(serve, what, -result);
	result = timers_reserve(&serve->timers, serve->credentials + count);
	if (result < 0)
		return result;
	instance->instance = what->instance;
	instance->directory = own_take_fd(directory);
	instance->count = what->credential_count;
	instance->starting = what->starting != 0;
	serve->credentials += count;
	for (size_t i = 0; i < count; i++)
		want(serve, &instance->credentials[i]);
	*place = instance;
	instance = NULL;
	return pump(serve);
}

static void forget(struct serve *serve, struct serve_instance **place)
{
	struct serve_instance *instance = *place;
	for (uint32_t i = 0; i < instance->count; i++) {
		struct serve_credential *credential = &instance->credentials[i];
		timers_set(&serve->timers, &credential->timer, TIMERS_NEVER);
		if (credential->state == SERVE_WANTED)
			TAILQ_REMOVE(&serve->wanted, credential, wanted);
	}
	serve->credentials -= instance->count;
	*place = instance->next;
	close(instance->directory);
	free(instance);
}

static void remove_files(const struct serve_credential *credential)
{
	int directory = credential->instance->directory;
	int result = files_remove(directory, credential->name, credential->kind);
	if (!result)
		result = files_discard(directory, credential->name,
				       credential->kind);
	/* The warden has taken the directory back, to empty it itself. */
	if (result < 0 && result != -EACCES)
		fprintf(stderr, "ambit-porter: agent %llu: %s: not removed: %s\n",
			(unsigned long long)credential->instance->instance,
			credential->name, strerror(-result));
}

/* One that was refused was never kept. */
static int dismiss(struct serve *serve, uint64_t number)
{
	struct serve_instance **place = find(serve, number);
	if (!*place)
		return 0;
	for (uint32_t i = 0; i < (*place)->count; i++)
		remove_files(&(*place)->credentials[i]);
	forget(serve, place);
	return 0;
}

/* ---- SIGNED and PUBLISH --------------------------------------------------- */

/* Half of the lifetime that is left, ten percent sooner or later, so that what
 * started together does not renew together for ever. */
static uint64_t renewal_ms(uint64_t not_after, uint64_t now_ms)
{
	uint16_t dice;
	if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		dice = 0;	/* the early side */
	uint64_t left = not_after * 1000 - now_ms;
	return now_ms + left * (4500 + 1000ULL * dice / UINT16_MAX) / 10000;
}

/* What is minted goes in place, or is thrown away.  Returns 0 or a negative
 * errno. */
static int put_in_place(struct serve *serve, struct serve_credential *credential,
			uint64_t now_ms)
{
	int directory = credential->instance->directory;
	if (credential->state != SERVE_MINTED)
		return -EINVAL;
	if (moment(credential->not_after) <= now_ms) {
		files_discard(directory, credential->name, credential->kind);
		back_off(serve, credential, ETIME, now_ms);
		return -ETIME;
	}
	int result = files_publish(directory, credential->name, credential->kind);
	if (result < 0) {
		back_off(serve, credential, -result, now_ms);
		return result;
	}
	/* One that does not end later than the last has met the agent's deadline:
	 * there is nothing more to be had. */
	credential->attempt_ms = credential->not_after > credential->held_until ?
		renewal_ms(credential->not_after, now_ms) : TIMERS_NEVER;
	credential->held_until = credential->not_after;
	credential->back_off = 1;
	credential->state = SERVE_WAITING;
	schedule(serve, credential);
	return 0;
}

static int publish(struct serve *serve, const struct ambit_publish *what,
		   uint64_t now_ms)
{
	struct ambit_published published = {
		.instance = what->instance, .credential = what->credential,
		.error = ESRCH,
	};
	struct serve_instance *instance = *find(serve, what->instance);
	if (instance && what->credential >= instance->count)
		return -EBADMSG;
	if (instance)
		published.error = -put_in_place(
			serve, &instance->credentials[what->credential], now_ms);
	return outbox_published(&serve->outbox, &published);
}

static int take_signed(struct serve *serve, const struct ambit_signed *what,
		       int from, uint64_t now_ms)
{
	if (!serve->in_flight)
		return -EBADMSG;
	serve->in_flight--;
	struct serve_instance *instance = *find(serve, what->instance);
	if (!instance)
		return 0;	/* dismissed meanwhile */
	if (what->credential >= instance->count)
		return -EBADMSG;
	struct serve_credential *credential =
		&instance->credentials[what->credential];
	if (credential->state != SERVE_SIGNING)
		return -EBADMSG;
	int error = what->error;
	if (!error)
		error = -files_prepare(instance->directory, credential->name,
				       credential->kind, from, what->part);
	if (error)
		return failed(serve, credential, error, now_ms);
	credential->not_before = what->not_before;
	credential->not_after = what->not_after;
	credential->state = SERVE_MINTED;
	schedule(serve, credential);
	int result = tell_minted(serve, credential, 0, what->id);
	int first = instance->starting && !credential->renewal;
	credential->renewal = 1;
	if (result < 0 || !first)
		return result;
	struct ambit_publish at_once = { what->instance, what->credential, 0 };
	return publish(serve, &at_once, now_ms);
}

int serve_warden(struct serve *serve, struct message *message, uint64_t now_ms)
{
	switch (message->type) {
	case AMBIT_MESSAGE_SERVE:
		return begin(serve, &message->body.serve, &message->fds[0]);
	case AMBIT_MESSAGE_PUBLISH:
		return publish(serve, &message->body.publish, now_ms);
	case AMBIT_MESSAGE_DISMISS:
		return dismiss(serve, message->body.dismiss.instance);
	default:
		return -EBADMSG;
	}
}

int serve_issuer(struct serve *serve, struct message *message, uint64_t now_ms)
{
	if (message->type != AMBIT_MESSAGE_SIGNED)
		return -EBADMSG;
	int result = take_signed(serve, &message->body.signed_, message->fds[0],
				 now_ms);
	return result < 0 ? result : pump(serve);
}

/* ---- time ----------------------------------------------------------------- */

int serve_due(struct serve *serve, uint64_t now_ms)
{
	struct timer *first;
	while ((first = timers_first(&serve->timers)) && first->when <= now_ms) {
		struct serve_credential *credential = (void *)first;
		int directory = credential->instance->directory;
		if (moment(credential->held_until) <= now_ms) {
			files_remove(directory, credential->name, credential->kind);
			credential->held_until = 0;
		}
		/* Never recorded, never published: as if it had not been made. */
		if (credential->state == SERVE_MINTED &&
		    moment(credential->not_after) <= now_ms) {
			files_discard(directory, credential->name,
				      credential->kind);
			back_off(serve, credential, ETIME, now_ms);
		}
		if (credential->state == SERVE_WAITING &&
		    credential->attempt_ms <= now_ms)
			want(serve, credential);
		schedule(serve, credential);
	}
	return pump(serve);
}

int serve_timeout(const struct serve *serve, uint64_t now_ms)
{
	const struct timer *first = timers_first(&serve->timers);
	if (!first)
		return -1;
	if (first->when <= now_ms)
		return 0;
	return (int)earliest(first->when - now_ms, SLEEP_MOST_MS);
}

void serve_clear(struct serve *serve)
{
	for (size_t i = 0; i < AMBIT_SLOTS; i++)
		while (serve->buckets[i])
			forget(serve, &serve->buckets[i]);
	outbox_clear(&serve->outbox);
	free(serve->timers.heap);
	serve->timers = (struct timers){ NULL };
}

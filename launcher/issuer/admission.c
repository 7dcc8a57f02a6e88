/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have what signed: see admission.h. */
#include "admission.h"

#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The rules of each kind of credential. */
static const struct rule {
	const char *type;
	uint32_t ceiling;	/* seconds a credential may live */
	uint32_t back_dated;	/* seconds, for verifiers whose clock is behind */
	int audience;		/* must have one, or must not */
} rules[ADMISSION_KINDS] = {
	[ADMISSION_X509] = { "x509-svid", AMBIT_X509_MOST, AMBIT_X509_BACK_DATED, 0 },
	[ADMISSION_JWT] = { "jwt-svid", AMBIT_JWT_MOST, 0, 1 },
};

static struct admission **bucket_of(struct admissions *table, uint64_t instance)
{
	/* Fibonacci hashing: the numbers may be drawn or counted. */
	uint64_t hash = instance * 0x9e3779b97f4a7c15ULL;
	return &table->buckets[hash >> 52];
}

_Static_assert(AMBIT_SLOTS == 1 << 12, "the hash's upper bits");

static struct admission *find(struct admissions *table, uint64_t instance)
{
	struct admission *at = *bucket_of(table, instance);
	while (at && at->instance != instance)
		at = at->next;
	return at;
}

static int terminated(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

/* Of the nested texts, which the rows of message.c do not reach. */
static int well_formed(const struct ambit_admit *admit)
{
	if (admit->credential_count > AMBIT_CREDENTIALS)
		return 0;
	for (uint32_t i = 0; i < AMBIT_CREDENTIALS; i++) {
		const struct ambit_credential *c = &admit->credentials[i];
		if (!terminated(c->name, sizeof(c->name)) ||
		    !terminated(c->type, sizeof(c->type)) ||
		    !terminated(c->audience, sizeof(c->audience)))
			return 0;
	}
	return terminated(admit->id, sizeof(admit->id)) &&
	       terminated(admit->spiffe_id, sizeof(admit->spiffe_id)) &&
	       terminated(admit->task, sizeof(admit->task));
}

static int all_of(const char *text, const char *letters)
{
	return text[strspn(text, letters)] == 0;
}

/* spiffe://DOMAIN/agent/NAME and nothing else. */
static int spiffe_id_valid(const char *id, const char *domain)
{
	static const char scheme[] = "spiffe://", path[] = "/agent/";
	size_t domain_length = strlen(domain);

	if (strncmp(id, scheme, sizeof(scheme) - 1) != 0)
		return 0;
	id += sizeof(scheme) - 1;
	if (strncmp(id, domain, domain_length) != 0)
		return 0;
	id += domain_length;
	if (strncmp(id, path, sizeof(path) - 1) != 0)
		return 0;
	id += sizeof(path) - 1;
	size_t length = strlen(id);
	return length > 0 && length < AMBIT_NAME_SIZE &&
	       all_of(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

/* The shape of a UUID, lower case. */
static int agent_id_valid(const char *id)
{
	if (strlen(id) != 36)
		return 0;
	for (int i = 0; i < 36; i++) {
		int dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? id[i] != '-' : !strchr("0123456789abcdef", id[i]))
			return 0;
	}
	return 1;
}

static int judge_credential(const struct ambit_credential *wanted,
			    struct admission_credential *ret_credential,
			    struct error *refusal)
{
	int kind = 0;
	while (kind < ADMISSION_KINDS && strcmp(wanted->type, rules[kind].type))
		kind++;
	if (kind == ADMISSION_KINDS)
		return error_set(refusal, EINVAL, "credential %s: no such type",
				 wanted->name);
	if ((*wanted->audience != 0) != rules[kind].audience)
		return error_set(refusal, EINVAL, "credential %s: %s", wanted->name,
				 rules[kind].audience ? "without an audience" :
							"with an audience");
	if (!text_clean(wanted->audience))
		return error_set(refusal, EINVAL, "credential %s: audience: not "
				 "plain text", wanted->name);
	if (wanted->ttl < ADMISSION_TTL_LEAST)
		return error_set(refusal, EINVAL, "credential %s: lives for less "
				 "than %d s", wanted->name, ADMISSION_TTL_LEAST);
	ret_credential->kind = (enum admission_kind)kind;
	ret_credential->ttl = wanted->ttl < rules[kind].ceiling ?
				      wanted->ttl : rules[kind].ceiling;
	return 0;
}

static int judge(const struct ambit_admit *admit, const char *domain,
		 struct admission *admission, struct error *refusal)
{
	if (!spiffe_id_valid(admit->spiffe_id, domain))
		return error_set(refusal, EPERM, "its SPIFFE ID is not one of "
				 "spiffe://%s/agent/", domain);
	if (!agent_id_valid(admit->id))
		return error_set(refusal, EINVAL, "its id is not a UUID");
	if (!text_clean(admit->task))
		return error_set(refusal, EINVAL, "its task is not plain text");
	for (uint32_t i = 0; i < admit->credential_count; i++) {
		int result = judge_credential(&admit->credentials[i],
					      &admission->credentials[i], refusal);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Copies `text` to *at, moves *at behind it. */
static const char *keep(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *kept = memcpy(*at, text, size);
	*at += size;
	return kept;
}

static struct admission *make(const struct ambit_admit *admit)
{
	size_t size = strlen(admit->id) + strlen(admit->spiffe_id) +
		      strlen(admit->task) + 3;
	for (uint32_t i = 0; i < admit->credential_count; i++)
		size += strlen(admit->credentials[i].audience) + 1;
	struct admission *admission = calloc(1, sizeof(*admission) + size);
	if (!admission)
		return NULL;
	char *at = admission->texts;
	admission->id = keep(&at, admit->id);
	admission->spiffe_id = keep(&at, admit->spiffe_id);
	admission->task = keep(&at, admit->task);
	for (uint32_t i = 0; i < admit->credential_count; i++)
		admission->credentials[i].audience =
			keep(&at, admit->credentials[i].audience);
	admission->instance = admit->instance;
	admission->deadline = admit->deadline;
	admission->count = admit->credential_count;
	return admission;
}

void admissions_remove(struct admissions *table, uint64_t instance)
{
	struct admission **at = bucket_of(table, instance);
	while (*at && (*at)->instance != instance)
		at = &(*at)->next;
	struct admission *gone = *at;
	if (!gone)
		return;	/* never got so far */
	*at = gone->next;
	free(gone);
	table->count--;
}

void admissions_clear(struct admissions *table)
{
	for (size_t i = 0; i < AMBIT_SLOTS; i++)
		while (table->buckets[i])
			admissions_remove(table, table->buckets[i]->instance);
}

/* Takes one token.  Returns 0 when there is none. */
static int take_token(struct admission *admission, uint64_t steady_ms)
{
	uint64_t passed = steady_ms - admission->refilled_ms;
	uint64_t more = passed / ADMISSION_REFILL_MS;
	if (more >= ADMISSION_BURST - admission->tokens) {
		admission->tokens = ADMISSION_BURST;
		admission->refilled_ms = steady_ms;
	} else {
		admission->tokens += (uint32_t)more;
		admission->refilled_ms += more * ADMISSION_REFILL_MS;
	}
	if (!admission->tokens)
		return 0;
	admission->tokens--;
	return 1;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Which credential, and from when to when. */
static int judge_grant(struct admission *admission, uint32_t index,
		       const struct admission_clock *clock, uint64_t latest,
		       struct admission_grant *ret_grant)
{
	if (admission->refused)
		return -admission->refused;
	const struct admission_credential *credential =
		&admission->credentials[index];
	uint64_t end = earliest(clock->seconds + credential->ttl,
				earliest(admission->deadline, latest));
	if (end <= clock->seconds)
		return -EKEYEXPIRED;
	*ret_grant = (struct admission_grant){
		.admission = admission,
		.credential = credential,
		.not_before = clock->seconds - rules[credential->kind].back_dated,
		.not_after = end,
	};
	return 0;
}

static struct admission *find_admitted(struct admissions *table, uint64_t instance,
				       uint32_t index)
{
	struct admission *admission = find(table, instance);
	return admission && (admission->refused || index < admission->count) ?
		       admission : NULL;
}

/* The warden says what the first one is going to be; what it may be is judged here. */
static int hold(struct admission *admission, uint32_t index,
		const struct ambit_first *first,
		const struct admission_clock *clock, uint64_t latest)
{
	const struct admission_credential *credential =
		&admission->credentials[index];
	uint64_t begun = first->not_before + rules[credential->kind].back_dated;

	if ((first->id[0] & 0xc0) != 0x40 || begun > clock->seconds + 1 ||
	    begun + ADMISSION_HOLD < clock->seconds ||
	    first->not_after <= clock->seconds ||
	    first->not_after > earliest(begun + credential->ttl,
					earliest(admission->deadline, latest)))
		return -EINVAL;
	struct admission_held *held = &admission->held[index];
	*held = (struct admission_held){ clock->seconds, first->not_before,
					 first->not_after, { 0 } };
	memcpy(held->id, first->id, ADMISSION_ID);
	return 0;
}

static int hold_all(struct admission *admission, const struct ambit_admit *admit,
		    const struct admission_clock *clock, uint64_t latest,
		    struct error *refusal)
{
	for (uint32_t i = 0; i < admit->credential_count; i++)
		if (admit->first[i].not_after &&
		    hold(admission, i, &admit->first[i], clock, latest) < 0)
			return error_set(refusal, EINVAL, "credential %s: what the "
					 "first is to be is not what it may be",
					 admit->credentials[i].name);
	return 0;
}

int admissions_add(struct admissions *table, const struct ambit_admit *admit,
		   const char *domain, const struct admission_clock *clock,
		   uint64_t latest, struct error *refusal)
{
	if (!well_formed(admit))
		return -EBADMSG;
	if (find(table, admit->instance))
		return -EEXIST;
	if (table->count == AMBIT_SLOTS)
		return -ENOSPC;
	struct admission *admission = make(admit);
	if (!admission)
		return -ENOMEM;
	admission->refused = -judge(admit, domain, admission, refusal);
	if (!admission->refused)
		admission->refused = -hold_all(admission, admit, clock, latest,
					       refusal);
	admission->tokens = ADMISSION_BURST;
	admission->refilled_ms = clock->steady_ms;
	struct admission **bucket = bucket_of(table, admit->instance);
	admission->next = *bucket;
	*bucket = admission;
	table->count++;
	return 0;
}

int admissions_permit(struct admissions *table, const struct ambit_sign *sign,
		      const struct admission_clock *clock, uint64_t latest,
		      struct admission_grant *ret_grant)
{
	struct admission *admission =
		find_admitted(table, sign->instance, sign->credential);
	if (!admission)
		return -EACCES;
	if (!take_token(admission, clock->steady_ms))
		return -EAGAIN;
	int result = judge_grant(admission, sign->credential, clock, latest,
				 ret_grant);
	if (result < 0)
		return result;
	struct admission_held *held = &admission->held[sign->credential];
	if (held->since && clock->seconds - held->since <= ADMISSION_HOLD &&
	    held->not_after > clock->seconds) {
		ret_grant->not_before = held->not_before;
		ret_grant->not_after = held->not_after;
		memcpy(ret_grant->id, held->id, ADMISSION_ID);
		ret_grant->is_held = 1;
	}
	held->since = 0;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have what signed: the instances that the warden admitted, and the
 * fixed rules that hold whatever the warden or the porter says.  Pure; the
 * clocks are arguments.
 */
#ifndef ISSUER_ADMISSION_H
#define ISSUER_ADMISSION_H

#include "base/error.h"

#include <ambit/kernel.h>
#include <ambit/message.h>
#include <ambit/node.h>

#define ADMISSION_BURST 16	/* signatures an instance may ask for at once … */
#define ADMISSION_REFILL_MS 1000	/* … and one more after so long */
#define ADMISSION_TTL_LEAST 2	/* seconds */
#define ADMISSION_HOLD 5	/* seconds that a grant waits for its SIGN */
#define ADMISSION_ID AMBIT_CREDENTIAL_ID

enum admission_kind { ADMISSION_X509, ADMISSION_JWT, ADMISSION_KINDS };

struct admission_credential {
	enum admission_kind kind;
	uint32_t ttl;
	const char *audience;
};

/* What the warden said that the first one is going to be, until it is asked for. */
struct admission_held {
	uint64_t since;		/* seconds since the epoch; 0: none */
	uint64_t not_before, not_after;
	uint8_t id[ADMISSION_ID];
};

/* One instance; its texts lie behind the struct. */
struct admission {
	struct admission *next;	/* of the same bucket */
	uint64_t instance;
	uint64_t deadline;	/* seconds since the epoch */
	uint64_t refilled_ms;
	uint32_t tokens;
	int refused;		/* errno that answers every SIGN, or 0 */
	uint32_t count;
	const char *id, *spiffe_id, *task;
	struct admission_credential credentials[AMBIT_CREDENTIALS];
	struct admission_held held[AMBIT_CREDENTIALS];
	char texts[];
};

struct admissions {
	struct admission *buckets[AMBIT_SLOTS];
	uint32_t count;
};

/* When a credential is valid, and of which kind. */
struct admission_grant {
	const struct admission *admission;
	const struct admission_credential *credential;
	uint64_t not_before, not_after;
	uint8_t id[ADMISSION_ID];
	int is_held;		/* the warden said it; else the id is the caller's to
				 * draw */
};

struct admission_clock {
	uint64_t seconds;	/* since the epoch */
	uint64_t steady_ms;	/* never set back */
};

/* Registers what ADMIT says.  An instance that breaks a rule is registered as
 * refused, so that its SIGN has a clear answer: then the return is 0 and
 * `refusal` is filled.  `latest` is when the authority ends.  -EBADMSG, -EEXIST: the
 * warden is broken. */
int admissions_add(struct admissions *table, const struct ambit_admit *admit,
		   const char *domain, const struct admission_clock *clock,
		   uint64_t latest, struct error *refusal);

void admissions_remove(struct admissions *table, uint64_t instance);
void admissions_clear(struct admissions *table);

/* Judges one SIGN and counts it.  `latest` is when the CA ends.  Returns 0 or
 * -EACCES (not admitted), -EAGAIN (too many), -EKEYEXPIRED (deadline passed),
 * or what the instance was refused for. */
int admissions_permit(struct admissions *table, const struct ambit_sign *sign,
		      const struct admission_clock *clock, uint64_t latest,
		      struct admission_grant *ret_grant);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the node's processes.  They travel over SOCK_SEQPACKET
 * socket pairs made by ambitd, one packet a message: a header, then exactly the
 * bytes that the type's row says.  launcher/base/message.h sends and receives
 * them and refuses a packet whose length is not the row's.  Texts are
 * zero-terminated inside their array; the receiver checks that.
 *
 * How one launch goes:
 *
 *   warden → issuer    ADMIT       this instance may have these credentials, and
 *                                  these are the first ones
 *   warden → porter    SERVE       deliver them into this directory (descriptor)
 *   warden → recorder  OPEN, EVENT launch and credential records
 *   porter → issuer    SIGN        one per credential
 *   issuer → porter    SIGNED      the bytes, kept in a memfd (descriptor)
 *   porter → warden    MINTED      what it is
 *   porter → warden    PUBLISHED   its files are in place
 *   recorder → warden  DURABLE     the records are on disk: the agent may start
 *
 *   warden → porter    NAME       who asks from which slot, and for what names
 *
 * How one lookup goes:
 *
 *   porter → warden    LOOKUP     the addresses that a resolver gave for a name
 *   warden → recorder  LOOKUP     the record, without those that are withheld
 *   warden → porter    ADMITTED   which of them the kernel now admits: the porter
 *                                 answers the agent with these
 *
 * How a credential is renewed:
 *
 *   porter → issuer    SIGN
 *   issuer → warden    GRANTED    what it has signed
 *   issuer → porter    SIGNED
 *   porter → warden    MINTED     its files are not in place yet
 *   warden → recorder  EVENT      by what the issuer said
 *   recorder → warden  DURABLE
 *   warden → porter    PUBLISH    rename the files into place
 *   porter → warden    PUBLISHED
 */
#ifndef AMBIT_MESSAGE_H
#define AMBIT_MESSAGE_H

#include <ambit/node.h>
#include <stdint.h>

enum ambit_message_type {
	/* warden → recorder */
	AMBIT_MESSAGE_RINGS = 1,	/* struct ambit_rings, 3 descriptors */
	AMBIT_MESSAGE_OPEN,	/* struct ambit_open */
	AMBIT_MESSAGE_ENDPOINT,	/* struct ambit_endpoint, one per egress entry */
	AMBIT_MESSAGE_EVENT,	/* struct ambit_event */
	AMBIT_MESSAGE_CLOSE,	/* struct ambit_close */
	/* recorder → warden */
	AMBIT_MESSAGE_DURABLE,	/* struct ambit_durable */
	AMBIT_MESSAGE_CLOSED,	/* struct ambit_closed */
	AMBIT_MESSAGE_HEALTH,	/* struct ambit_health */
	/* warden → issuer */
	AMBIT_MESSAGE_ADMIT,	/* struct ambit_admit */
	AMBIT_MESSAGE_DISMISS,	/* struct ambit_dismiss; also warden → porter */
	/* issuer → warden */
	AMBIT_MESSAGE_GRANTED,	/* struct ambit_granted */
	/* porter → warden, warden → recorder */
	AMBIT_MESSAGE_LOOKUP,	/* struct ambit_lookup */
	/* warden → porter */
	AMBIT_MESSAGE_NAME,	/* struct ambit_name */
	AMBIT_MESSAGE_ADMITTED,	/* struct ambit_admitted_names */
	AMBIT_MESSAGE_SERVE,	/* struct ambit_serve, 1 descriptor */
	AMBIT_MESSAGE_PUBLISH,	/* struct ambit_publish */
	/* porter → warden */
	AMBIT_MESSAGE_MINTED,	/* struct ambit_minted */
	AMBIT_MESSAGE_PUBLISHED,	/* struct ambit_published */
	/* porter → issuer */
	AMBIT_MESSAGE_SIGN,	/* struct ambit_sign */
	/* issuer → porter */
	AMBIT_MESSAGE_SIGNED,	/* struct ambit_signed, 1 descriptor if error == 0 */
	/* recorder, issuer, porter → warden, once, before anything else */
	AMBIT_MESSAGE_READY,	/* struct ambit_ready */
	AMBIT_MESSAGE_LIMIT
};

struct ambit_message {
	uint32_t type;
	uint32_t length;	/* of the body behind this header */
};

/* Descriptors, in this order: ring map, tally map, drained map. */
struct ambit_rings {
	uint32_t ring_bytes;
	uint32_t slots;
	char boot_id[AMBIT_ID_SIZE];
};

/* An agent whose kernel records will come: sent before it can run. */
struct ambit_open {
	uint64_t instance;
	uint64_t cgroup_id;
	uint32_t slot;
	uint32_t uid;
	char id[AMBIT_ID_SIZE];
	char name[AMBIT_NAME_SIZE];	/* of the instance, --name or made */
	char profile[AMBIT_NAME_SIZE];
	char profile_sha256[AMBIT_HASH_SIZE];
	char spiffe_id[AMBIT_SPIFFE_SIZE];
	char task[AMBIT_TASK_SIZE];
	char owner[AMBIT_TEXT_SIZE];
	char purpose[AMBIT_TEXT_SIZE];
};

/* What the audit calls rule `id` of an opened agent. */
struct ambit_endpoint {
	uint64_t instance;
	uint32_t id;
	char to[AMBIT_TEXT_SIZE];
	char tool[AMBIT_NAME_SIZE];
};

/* X(name, number, word): records that do not come from the kernel. */
#define AMBIT_EVENTS(X)                                       \
	X(NODE_START, 1, "node started")                      \
	X(NODE_STOP, 2, "node stopped")                       \
	X(PROVEN, 3, "layer proven")                          \
	X(PROCESS, 4, "node process ended and restarted")     \
	X(LAUNCH, 5, "agent launched")                        \
	X(REFUSAL, 6, "launch refused")                       \
	X(EXIT, 7, "agent ended")                             \
	X(KILL, 8, "agent killed")                            \
	X(RETIRE, 9, "agent retired")                         \
	X(RETIRE_PROFILE, 10, "profile retired")              \
	X(REINSTATE, 11, "profile reinstated")                \
	X(CREDENTIAL_ISSUED, 12, "credential issued")         \
	X(CREDENTIAL_RENEWED, 13, "credential renewed")       \
	X(CREDENTIAL_ENDED, 14, "credential ended")           \
	X(ADOPTED, 15, "agent adopted by a restarted node")     \
	X(CUT, 20, "agent cut off")                           \
	X(WITHDRAW, 21, "egress withdrawn")

#define AMBIT_EVENT_ENUM(name, number, word) \
	AMBIT_EVENT_##name = number,
enum ambit_event_kind { AMBIT_EVENTS(AMBIT_EVENT_ENUM) AMBIT_EVENT_LIMIT };
#undef AMBIT_EVENT_ENUM

struct ambit_event {
	uint64_t token;		/* answered by DURABLE; 0: no answer wanted */
	uint64_t instance;	/* 0: no agent, or one that was never opened */
	uint64_t time_ms;	/* since the epoch */
	uint64_t not_before;	/* of a credential, seconds since the epoch */
	uint64_t not_after;
	uint32_t kind;		/* enum ambit_event_kind */
	uint32_t caller_uid;	/* who asked; the node itself is 0 with pid 0 */
	uint32_t caller_pid;
	uint32_t pid;		/* of the agent, in the host's namespace */
	int32_t exit_code;	/* EXIT: status as `ambit run` would give it */
	int32_t signal;		/* EXIT, KILL: the signal, or 0 */
	char profile[AMBIT_NAME_SIZE];	/* where no agent is open */
	char profile_sha256[AMBIT_HASH_SIZE];
	char command[AMBIT_TEXT_SIZE];	/* LAUNCH, REFUSAL: the program only */
	char command_sha256[AMBIT_HASH_SIZE];	/* of all arguments, each with its zero */
	char reason[1024];	/* why, as a person wrote it or as it was refused;
				 * LAUNCH: the plan's summary */
	char credential[AMBIT_NAME_SIZE];
	char credential_type[16];	/* x509-svid | jwt-svid */
	char credential_id[96];	/* serial or jti */
	char audience[AMBIT_TEXT_SIZE];
	char seccomp_sha256[AMBIT_HASH_SIZE];
	char subject[AMBIT_TEXT_SIZE];	/* PROVEN: the layer; PROCESS: its name;
				 * WITHDRAW: the entries that left */
};

/* The agent is gone: nothing new will be counted for it.  The recorder drains
 * what is left, writes a loss record if numbers are missing, answers CLOSED. */
struct ambit_close {
	uint64_t instance;
	uint64_t attempts;
	uint64_t lost;
	uint64_t dropped_packets;
};

struct ambit_durable {
	uint64_t token;
	int32_t error;		/* 0, or the errno that kept it off the disk */
};

#define AMBIT_REFUSED 6		/* refused endpoints and lookups that an agent's caller is
				 * told: at most half of them of either kind */
#define AMBIT_REFUSED_SIZE 96
struct ambit_closed {
	uint64_t instance;
	uint64_t allowed;	/* connection records written */
	uint64_t denied;
	uint32_t refused_count;
	uint32_t refused_more;	/* bits: 1: more endpoints than these; 2: lookups */
	char refused[AMBIT_REFUSED][AMBIT_REFUSED_SIZE];
};

/* Whether records can be written; sent on each change. */
struct ambit_health {
	int32_t error;		/* 0, or the errno of the failed write */
	uint32_t pad;
};

struct ambit_credential {
	char name[AMBIT_NAME_SIZE];
	char type[16];		/* x509-svid | jwt-svid */
	char audience[AMBIT_TEXT_SIZE];
	uint32_t ttl;		/* seconds, before the ceilings */
};

#define AMBIT_CREDENTIAL_ID 16		/* bytes of a serial number or jti; the upper
					 * two bits are 01, as a serial is positive and
					 * of one length */
#define AMBIT_X509_MOST 86400		/* seconds a credential may live */
#define AMBIT_JWT_MOST 3600
#define AMBIT_X509_BACK_DATED 10	/* for verifiers whose clock is behind */

/* What the first credential of a kind is going to be: the warden says it, so that the
 * record can be on its way to the disk before anything is signed.  not_after 0: nothing
 * is said, the issuer decides. */
struct ambit_first {
	uint64_t not_before;
	uint64_t not_after;
	uint8_t id[AMBIT_CREDENTIAL_ID];
};

struct ambit_admit {
	uint64_t instance;
	uint64_t deadline;	/* seconds since the epoch no credential outlives */
	uint32_t credential_count;
	uint32_t pad;
	struct ambit_first first[AMBIT_CREDENTIALS];
	char id[AMBIT_ID_SIZE];
	char spiffe_id[AMBIT_SPIFFE_SIZE];
	char task[AMBIT_TASK_SIZE];
	struct ambit_credential credentials[AMBIT_CREDENTIALS];
};

struct ambit_dismiss {
	uint64_t instance;
};

/* What was signed and ADMIT did not tell of, before the porter has it: the record is
 * made from this. */
struct ambit_granted {
	uint64_t instance;
	uint64_t not_before;
	uint64_t not_after;
	uint32_t credential;
	uint32_t pad;
	char id[96];		/* as in struct ambit_signed */
};

/* Descriptor: the agent's credential directory, owned by the porter, group the
 * agent's, mode 2750, on a file system in memory. */
struct ambit_serve {
	uint64_t instance;
	uint32_t credential_count;
	uint32_t starting;	/* 1: nobody can read the directory yet, so that the
				 * first ones are put in place without a PUBLISH */
	struct ambit_credential credentials[AMBIT_CREDENTIALS];
};

struct ambit_sign {
	uint64_t instance;
	uint32_t credential;	/* index */
	uint32_t pad;
};

/*
 * Descriptor: a sealed memfd of `length` bytes holding, one after the other,
 * the parts a credential's files are made of: for an X509-SVID the certificate
 * chain (PEM), the key (PKCS#8 PEM), the trust bundle (PEM); for a JWT-SVID the
 * token, nothing, and the trust bundle (JWKS).
 */
struct ambit_signed {
	uint64_t instance;
	uint64_t not_before;
	uint64_t not_after;
	uint32_t credential;
	int32_t error;		/* 0, or an errno and no descriptor */
	uint32_t part[3];	/* bytes of each part */
	char id[96];		/* serial in hexadecimal, or jti */
};

struct ambit_minted {
	uint64_t instance;
	uint64_t not_before;
	uint64_t not_after;
	uint32_t credential;
	int32_t error;
	uint32_t renewal;	/* 0: the first of this instance */
	char id[96];
};

struct ambit_publish {
	uint64_t instance;
	uint32_t credential;
	uint32_t pad;
};

struct ambit_published {
	uint64_t instance;
	uint32_t credential;
	int32_t error;
};

/* Instance `instance`, in slot `slot`, may ask for what `name` lists; an empty
 * name comes first and begins its list. */
struct ambit_name {
	uint64_t instance;
	uint32_t slot;
	uint32_t pad;
	char name[AMBIT_TEXT_SIZE];
};

#define AMBIT_ANSWERS 32	/* addresses of one answer; more are left out */

/* X(name, number, allowed, explanation): how a lookup ended. */
#define AMBIT_LOOKUPS(X)                                                     \
	X(ANSWERED, 1, 1, "an entry lists it")                               \
	X(EMPTY, 2, 1, "an entry lists it; it has no such address")          \
	X(UNLISTED, 3, 0, "no entry lists this name")                        \
	X(TYPE, 4, 0, "only addresses are looked up")                        \
	X(WITHHELD, 5, 0, "its addresses are private, reserved or the "      \
			  "node's own, and no entry names them")             \
	X(FAILED, 6, 0, "no resolver answered")                              \
	X(MALFORMED, 7, 0, "not a question")                                 \
	X(TOO_MANY, 8, 0, "more lookups than the node answers")              \
	X(NOT_ADMITTED, 9, 0, "the kernel holds no more addresses of the "   \
			      "agent")

#define AMBIT_LOOKUP_ENUM(name, number, allowed, explanation) \
	AMBIT_LOOKUP_##name = number,
enum ambit_lookup_result { AMBIT_LOOKUPS(AMBIT_LOOKUP_ENUM) };
#undef AMBIT_LOOKUP_ENUM

struct ambit_lookup {
	uint64_t instance;
	uint64_t token;		/* answered by ADMITTED; 0: no answer wanted */
	uint64_t time_ms;	/* since the epoch; the warden's */
	uint32_t result;	/* enum ambit_lookup_result */
	uint32_t type;		/* of the question */
	uint32_t rcode;		/* as the agent is told */
	uint32_t ttl;		/* seconds */
	uint32_t count;
	uint32_t withheld;	/* addresses that were given and are not here */
	uint32_t entry;		/* the egress entry that lists it, or
				 * AMBIT_NO_ENTRY; the warden's */
	uint32_t pad;
	uint8_t addresses[AMBIT_ANSWERS][16];	/* as kernel.h has them */
	char name[AMBIT_TEXT_SIZE];
};
#define AMBIT_NO_ENTRY 0xffffU

struct ambit_admitted_names {
	uint64_t token;
	uint32_t mask;		/* bit N: the Nth address of the LOOKUP */
	uint32_t ttl;		/* for the agent */
	uint32_t result;	/* enum ambit_lookup_result */
	uint32_t pad;
};

struct ambit_ready {
	int32_t error;		/* 0: walls up, loop entered */
	uint32_t port;		/* porter only: where it answers lookups */
	uint64_t not_after;	/* issuer only: when its authority ends */
	char trust_domain[AMBIT_TEXT_SIZE];	/* issuer only */
	char reason[AMBIT_TEXT_SIZE];	/* when error != 0 */
};

#endif

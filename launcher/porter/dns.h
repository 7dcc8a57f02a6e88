/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, 6891, 8914), as little as the porter needs: one
 * question is read from an agent, one answer is read from a resolver, one answer
 * is written.  Every byte read is hostile.  Pure: no system calls, no globals,
 * no allocation.
 */
#ifndef PORTER_DNS_H
#define PORTER_DNS_H

#include "base/name.h"

#include <ambit/message.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_WIRE 255		/* bytes of a name in a message */
#define DNS_UDP 512		/* of an answer to somebody without EDNS */
#define DNS_UDP_MOST 1232	/* with it: whole on every link */

enum dns_type {
	DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41,
	DNS_SVCB = 64, DNS_HTTPS = 65,
};

enum dns_rcode {
	DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4, DNS_REFUSED = 5, DNS_BADVERS = 16,
};

/* Extended errors: what a person who asks with dig reads. */
enum dns_extended {
	DNS_NO_EXTENDED = 0, DNS_BLOCKED = 15, DNS_PROHIBITED = 18,
	DNS_UNSUPPORTED = 21, DNS_UNREACHABLE = 22,
};

struct dns_question {
	uint16_t id, type, class;
	uint16_t size;		/* most bytes of an answer by UDP */
	uint8_t recursion;	/* RD, copied */
	uint8_t edns;		/* there was an OPT record */
	uint8_t odd;		/* the name has bytes that no entry can have */
	uint8_t wire_length;
	uint8_t wire[DNS_WIRE];	/* the name as it was asked, case included */
	char name[NAME_SIZE];	/* in lower case; odd bytes are '?' */
};

/* Reads a question.  Returns DNS_NOERROR, the code to answer with, or -1 where
 * nothing is to be answered (no question, or not even a header). */
int dns_read_question(const uint8_t *bytes, size_t length,
		      struct dns_question *ret_question);

#define DNS_ASKING (12 + DNS_WIRE + 4 + 11)	/* bytes of a question to a resolver */
#define DNS_DICE 34		/* random bytes that go into one */

/* Writes a question for `name`, which was read by dns_read_question.  Its number
 * and the case of every letter are thrown with `dice`.  Returns the length. */
size_t dns_write_question(uint8_t bytes[DNS_ASKING],
			  const uint8_t dice[DNS_DICE], const char *name,
			  uint16_t type, int edns);

/* 1 if what came back is to this very question: to its number, and to its name
 * as it was spelled, byte for byte. */
int dns_answers(const uint8_t *bytes, size_t length,
		const uint8_t question[DNS_ASKING]);

/* What a resolver answered. */
struct dns_answer {
	unsigned count;
	int truncated;
	uint32_t ttl;		/* the shortest of the chain, in seconds */
	uint16_t rcode;
	uint8_t addresses[AMBIT_ANSWERS][16];	/* as kernel.h has them */
};

/* Reads the answer to a question for `name` (lower case) and `type`: follows the
 * CNAME records that are in it and takes the addresses at their end, the first
 * AMBIT_ANSWERS of them.  Returns 0, or -1 where the bytes are not an answer. */
int dns_read_answer(const uint8_t *bytes, size_t length, const char *name,
		    uint16_t type, struct dns_answer *ret_answer);

/* Writes the answer: `answer` for an rcode with addresses, or NULL.  At most
 * `size` bytes; what does not fit is left out and the truncated flag set.
 * Returns the length, 0 if not even the question fits. */
size_t dns_write_answer(uint8_t *bytes, size_t size,
			const struct dns_question *question, int rcode,
			const struct dns_answer *answer,
			enum dns_extended extended);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of DNS messages.  First byte: 0 for a question of an agent's, else an
 * answer of a resolver's; the message is behind it.  A question that is read is
 * answered, and what is written must be read again as what was meant.
 */
#include "../../launcher/porter/dns.c"

#include <stdlib.h>

static void check_question(const uint8_t *bytes, size_t length)
{
	struct dns_answer meant = { .count = AMBIT_ANSWERS, .ttl = 60 }, read;
	struct dns_question question;
	uint8_t written[2048];

	for (unsigned i = 0; i < meant.count; i++) {
		meant.addresses[i][10] = meant.addresses[i][11] = 0xff;
		meant.addresses[i][15] = (uint8_t)i;
	}
	int rcode = dns_read_question(bytes, length, &question);
	if (rcode < 0)
		return;
	if (strlen(question.name) >= NAME_SIZE || question.size < DNS_UDP ||
	    question.size > DNS_UDP_MOST)
		abort();
	int with = !rcode && question.type == DNS_A && question.class == 1;
	size_t size = dns_write_answer(written, question.size, &question, rcode,
				       with ? &meant : NULL, DNS_PROHIBITED);
	if (!size || size > question.size)
		abort();
	if (!with || question.odd || !question.name[0])
		return;
	if (dns_read_answer(written, size, question.name, DNS_A, &read) ||
	    !read.count || read.count > meant.count || read.ttl != meant.ttl ||
	    memcmp(read.addresses, meant.addresses, read.count * 16))
		abort();
}

static void check_answer(const uint8_t *bytes, size_t length)
{
	struct dns_answer answer;

	for (uint16_t type = DNS_A; type <= DNS_AAAA; type += DNS_AAAA - DNS_A)
		if (!dns_read_answer(bytes, length, "good.evil.test", type, &answer) &&
		    (answer.count > AMBIT_ANSWERS || answer.ttl >> 31))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	/* Of its own allocation, so that a read too far is seen. */
	uint8_t *copy = length ? malloc(length) : NULL;

	if (!copy)
		return 0;
	memcpy(copy, bytes, length);
	if (copy[0])
		check_answer(copy + 1, length - 1);
	else
		check_question(copy + 1, length - 1);
	free(copy);
	return 0;
}

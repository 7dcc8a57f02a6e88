/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages as hostile peers write them: questions of agents, answers of
 * resolvers.  (tests/fuzz/dns.c tries what nobody thought of.)
 */
#include "../../launcher/porter/dns.c"

#include "tap.h"

#include <stdlib.h>

struct bytes {
	uint8_t at[1024];
	size_t length;
};

static void add(struct bytes *to, const void *from, size_t length)
{
	memcpy(to->at + to->length, from, length);
	to->length += length;
}

static void add_u16(struct bytes *to, unsigned value)
{
	uint8_t two[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	add(to, two, 2);
}

/* "crm.test" as labels, without the end. */
static void add_labels(struct bytes *to, const char *name)
{
	while (*name) {
		uint8_t length = (uint8_t)strcspn(name, ".");
		add(to, &length, 1);
		add(to, name, length);
		name += length + (name[length] == '.');
	}
}

static void add_header(struct bytes *to, unsigned flags, unsigned questions,
		       unsigned answers)
{
	to->length = 0;
	add_u16(to, 0x1234);
	add_u16(to, flags);
	add_u16(to, questions);
	add_u16(to, answers);
	add_u16(to, 0);
	add_u16(to, 0);
}

static void add_question(struct bytes *to, const char *name, unsigned type)
{
	add_labels(to, name);
	add(to, "", 1);
	add_u16(to, type);
	add_u16(to, 1);
}

/* Of its own allocation, so that the sanitizers see a read too far. */
static int ask(const struct bytes *message, size_t length,
	       struct dns_question *question)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, message->at, length);
	int result = dns_read_question(copy, length, question);
	free(copy);
	return result;
}

static int answered(const struct bytes *message, size_t length,
		    struct dns_answer *answer)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, message->at, length);
	int result = dns_read_answer(copy, length, "crm.test", DNS_A, answer);
	free(copy);
	return result;
}

/* ---- questions ----------------------------------------------------------------- */

static char *long_name(size_t length)
{
	static char name[300];

	for (size_t i = 0; i < length; i++)
		name[i] = i % 50 == 49 && i + 1 < length ? '.' : 'a';
	name[length] = 0;
	return name;
}

static void test_questions(void)
{
	struct dns_question question;
	struct bytes message;
	int unanswered = 1;

	add_header(&message, 0x0100, 1, 0);
	add_question(&message, "CRM.Test", DNS_A);
	is_int(ask(&message, message.length, &question), DNS_NOERROR, "a question");
	is_string(question.name, "crm.test", "in lower case");
	ok(!memcmp(question.wire, "\3CRM\4Test", 9), "the case is kept for the answer");
	is_int(question.odd, 0, "nothing odd about it");
	for (size_t length = 0; length < message.length; length++)
		unanswered &= ask(&message, length, &question) != DNS_NOERROR;
	ok(unanswered, "no beginning of it is a question");

	add_header(&message, 0x8100, 1, 0);
	add_question(&message, "crm.test", DNS_A);
	is_int(ask(&message, message.length, &question), -1, "an answer is none");
	add_header(&message, 0x0100, 2, 0);
	add_question(&message, "crm.test", DNS_A);
	add_question(&message, "crm.test", DNS_A);
	is_int(ask(&message, message.length, &question), DNS_FORMERR, "nor are two");
	add_header(&message, 0x2900, 1, 0);
	add_question(&message, "crm.test", DNS_A);
	is_int(ask(&message, message.length, &question), DNS_NOTIMP,
	       "another operation is not known");

	add_header(&message, 0x0100, 1, 0);
	add_question(&message, long_name(253), DNS_A);
	is_int(ask(&message, message.length, &question), DNS_NOERROR, "253 bytes");
	is_int((long long)strlen(question.name), 253, "are read whole");
	add_header(&message, 0x0100, 1, 0);
	add_question(&message, long_name(254), DNS_A);
	is_int(ask(&message, message.length, &question), DNS_FORMERR, "254 are too many");
	add_header(&message, 0x0100, 1, 0);
	add(&message, "\100", 1);
	add(&message, long_name(64), 64);
	add_question(&message, "test", DNS_A);
	is_int(ask(&message, message.length, &question), DNS_FORMERR,
	       "a label of 64 bytes");
	add_header(&message, 0x0100, 1, 0);
	add(&message, "\300\014\0\1\0\1", 6);
	is_int(ask(&message, message.length, &question), DNS_FORMERR,
	       "a name that points at itself");
	add_header(&message, 0x0100, 1, 0);
	add_question(&message, "cr\303\251m.te\1st", DNS_A);
	is_int(ask(&message, message.length, &question), DNS_NOERROR, "odd bytes");
	is_string(question.name, "cr??m.te?st", "are not shown");
	is_int(question.odd, 1, "and noted");
}

/* ---- answers ------------------------------------------------------------------- */

static void add_record(struct bytes *to, const char *owner, unsigned type,
		       unsigned ttl, const void *data, unsigned length)
{
	add_labels(to, owner);
	add(to, "", 1);
	add_u16(to, type);
	add_u16(to, 1);
	add_u16(to, ttl >> 16);
	add_u16(to, ttl & 0xffff);
	add_u16(to, length);
	add(to, data, length);
}

static void begin_answer(struct bytes *message, unsigned records)
{
	add_header(message, 0x8180, 1, records);
	add_question(message, "crm.test", DNS_A);
}

static void test_answers(void)
{
	struct dns_answer answer;
	struct bytes message;
	int read = 0;

	begin_answer(&message, 2);
	add_record(&message, "CRM.TEST", DNS_CNAME, 60, "\1a\4test", 8);
	add_record(&message, "a.test", DNS_A, 300, "\xc0\0\2\1", 4);
	is_int(answered(&message, message.length, &answer), 0, "a chain");
	is_int(answer.count, 1, "leads to an address");
	is_int(answer.ttl, 60, "that lives as long as the shortest");
	ok(!memcmp(answer.addresses[0] + 10, "\xff\xff\xc0\0\2\1", 6), "as IPv4, mapped");
	for (size_t length = 0; length < message.length; length++)
		read += answered(&message, length, &answer) == 0 && answer.count;
	is_int(read, 0, "no beginning of it leads to one");

	begin_answer(&message, 2);
	add_record(&message, "crm.test", DNS_CNAME, 60, "\1a\4test", 8);
	add_record(&message, "a.test", DNS_CNAME, 60, "\3crm\4test", 10);
	answer.count = 0;
	ok(answered(&message, message.length, &answer) || !answer.count,
	   "a chain that comes back to its beginning leads nowhere");
	begin_answer(&message, 1);
	add_record(&message, "evil.test", DNS_A, 60, "\xc0\0\2\1", 4);
	answer.count = 0;
	ok(answered(&message, message.length, &answer) || !answer.count,
	   "the address of another name is not taken");
	begin_answer(&message, 1);
	add_record(&message, "crm.test", DNS_A, 60, "\xc0\0\2\1\1", 5);
	answer.count = 0;
	ok(answered(&message, message.length, &answer) || !answer.count,
	   "nor is one of five bytes");
	begin_answer(&message, 1);
	size_t owner = message.length;
	add_u16(&message, 0xc000 | (unsigned)owner);
	add(&message, "\0\1\0\1\0\0\0\74\0\4\xc0\0\2\1", 14);
	is_int(answered(&message, message.length, &answer), -1,
	       "an owner that points at itself");
	begin_answer(&message, 1);
	add_u16(&message, 0xc3ff);
	add(&message, "\0\1\0\1\0\0\0\74\0\4\xc0\0\2\1", 14);
	is_int(answered(&message, message.length, &answer), -1,
	       "one that points behind the end");
	add_header(&message, 0x8180, 1, 0);
	add_question(&message, "other.test", DNS_A);
	is_int(answered(&message, message.length, &answer), -1,
	       "the answer to another question");
	begin_answer(&message, 40);
	for (int i = 0; i < 40; i++) {
		add_u16(&message, 0xc00c);
		add(&message, "\0\1\0\1\0\0\0\74\0\4\xc0\0\2", 13);
		add(&message, &(uint8_t){ (uint8_t)i }, 1);
	}
	is_int(answered(&message, message.length, &answer), 0, "40 addresses");
	is_int(answer.count, AMBIT_ANSWERS, "are as many as fit");
	is_int(answer.truncated, 0, "none of them cut off");
	message.at[2] |= 2;
	is_int(answered(&message, message.length, &answer) + answer.truncated, 1,
	       "or so it says");
}

/* ---- our own questions ----------------------------------------------------------- */

/* What a resolver makes of a question: the same with another flag. */
static void test_asking(void)
{
	uint8_t dice[DNS_DICE] = { 0x12, 0x34 }, bytes[DNS_ASKING], back[DNS_ASKING];
	struct dns_question question;

	size_t length = dns_write_question(bytes, dice, "crm-1.te_st", DNS_AAAA, 1);
	is_int(dns_read_question(bytes, length, &question), DNS_NOERROR, "a question of ours");
	is_string(question.name, "crm-1.te_st", "has the name");
	ok(!memcmp(question.wire, "\5crm-1\5te_st", 13), "in lower case with these dice");
	is_int(question.id, 0x1234, "the number that was thrown");
	is_int(question.type, DNS_AAAA, "the type");
	is_int(question.recursion && question.edns && question.size == DNS_UDP_MOST, 1,
	       "wants recursion and has room");
	length = dns_write_question(bytes, dice, long_name(253), DNS_A, 1);
	is_int((long long)length, DNS_ASKING, "253 bytes are the most");
	is_int(dns_read_question(bytes, length, &question), DNS_NOERROR, "which are a name");

	memset(dice + 2, 0xff, sizeof(dice) - 2);
	dice[2] = 0x0a;
	length = dns_write_question(bytes, dice, "crm-1.te_st.test", DNS_A, 0);
	ok(!memcmp(bytes + 12, "\5cRm-1\5te_ST\4TEST", 18), "each letter as its bit says");
	is_int(bytes[11], 0, "without EDNS if need be");

	memcpy(back, bytes, length);
	ok(!dns_answers(back, length, bytes), "a question is no answer");
	back[2] |= 0x80;
	ok(dns_answers(back, length, bytes), "the answer to it");
	for (size_t i = 0, taken = 0; i < length; i++) {
		taken += (size_t)dns_answers(back, i, bytes);
		if (i + 1 == length)
			is_int((long long)taken, 0, "no beginning of it");
	}
	static const struct {
		size_t at;
		uint8_t change;
		const char *what;
	} wrong[] = {
		{ 0, 1, "another number" }, { 1, 0x80, "another number, its end" },
		{ 2, 0x08, "another operation" }, { 5, 3, "two questions" },
		{ 12, 1, "another length of a label" }, { 13, 0x20, "another case" },
		{ 28, 0x20, "another case, at the end" }, { 16, 1, "another name" },
		{ 31, 2, "another type" }, { 33, 2, "another class" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		back[wrong[i].at] ^= wrong[i].change;
		ok(!dns_answers(back, length, bytes), wrong[i].what);
		back[wrong[i].at] ^= wrong[i].change;
	}
	ok(dns_answers(back, length, bytes), "and again the right one");
}

int main(void)
{
	test_questions();
	test_asking();
	test_answers();
	return done_testing();
}

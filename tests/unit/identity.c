/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of issuer and porter: text, admission, timers. */
#include "issuer/text.c"
#include "issuer/admission.c"
#include "porter/timers.c"
#include "tap.h"

#define DOMAIN "node.example.com"
#define UUID "01900000-0000-7000-8000-000000000001"

static void test_pem(void)
{
	int good = 1;
	for (size_t length = 1; length < 200; length++) {
		uint8_t der[200], back[200];
		char *pem = malloc(400);
		struct text text = { pem, 400, 0, 0 };
		size_t got = 0;
		for (size_t i = 0; i < length; i++)
			der[i] = (uint8_t)(i * 151 + length);
		text_pem(&text, "X", der, length);
		/* Exactly as long as it is: reading beyond is found out. */
		char *exact = malloc(text.length);
		memcpy(exact, pem, text.length);
		good &= !text.overflow &&
			text_unpem(exact, text.length, "X", back, sizeof(back),
				   &got) == 0 &&
			got == length && memcmp(der, back, length) == 0;
		good &= text_unpem(exact, text.length, "X", back, length - 1,
				   &got) == -E2BIG;
		for (size_t cut = 0; cut < text.length; cut++) {
			char *part = malloc(cut + 1);
			memcpy(part, exact, cut);
			good &= text_unpem(part, cut, "X", back, sizeof(back),
					   &got) < 0;
			free(part);
		}
		free(exact);
		free(pem);
	}
	ok(good, "PEM of 1 to 199 bytes reads back, no beginning of it does");
	static const char *const wrong[] = {
		"-----BEGIN X-----\n-----END X-----\n",
		"-----BEGIN X-----\nAAAA\n-----END X-----\nAAAA",
		" -----BEGIN X-----\nAAAA\n-----END X-----\n",
		"-----BEGIN Y-----\nAAAA\n-----END Y-----\n",
		"-----BEGIN X-----\nAAA\n-----END X-----\n",
		"-----BEGIN X-----\nA=AA\n-----END X-----\n",
		"-----BEGIN X-----\nAA==AAAA\n-----END X-----\n",
		"-----BEGIN X-----\nAA==\nAAAA\n-----END X-----\n",
		"-----BEGIN X-----\nAAAA\nAAAA\n-----END X-----\n",
		"-----BEGIN X-----\nAAAA\n\n-----END X-----\n",
		"-----BEGIN X-----\nAA-_\n-----END X-----\n",
	};
	good = 1;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t back[64];
		size_t got;
		if (text_unpem(wrong[i], strlen(wrong[i]), "X", back,
			       sizeof(back), &got) == 0) {
			diag("taken: %s", wrong[i]);
			good = 0;
		}
	}
	ok(good, "PEM that is not as it is written is refused");
}

static void test_text(void)
{
	char bytes[64];
	struct text text = { bytes, sizeof(bytes) - 1, 0, 0 };
	text_base64(&text, TEXT_BASE64, "fo", 2);
	text_say(&text, " ");
	text_base64(&text, TEXT_BASE64URL, "\xfb\xff\xfe" "f", 4);
	text_say(&text, " ");
	text_json(&text, "a\"b\\c");
	bytes[text.length] = 0;
	is_string(bytes, "Zm8= -__-Zg \"a\\\"b\\\\c\"", "base64, base64url, JSON");
	struct text small = { bytes, 4, 0, 0 };
	text_say(&small, "12345");
	text_say(&small, "1");
	ok(small.overflow && small.length == 0,
	   "what does not fit is not written, nor what comes after");

	static const struct {
		const char *string;
		int clean;
	} rows[] = {
		{ "", 1 }, { "CASE-7 \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80", 1 },
		{ "a\nb", 0 }, { "a\x7f", 0 }, { "\x1b[1m", 0 },
		{ "\xc2\x85", 0 },		/* a C1 control */
		{ "\xc0\x80", 0 }, { "\xe0\x80\x80", 0 },	/* overlong */
		{ "\xed\xa0\x80", 0 },		/* a surrogate */
		{ "\xf4\x90\x80\x80", 0 }, { "\xf8\x88\x80\x80\x80", 0 },
		{ "\xc3", 0 }, { "\xe2\x82", 0 }, { "\xf0\x9f\x98", 0 },
		{ "\x80", 0 }, { "\xff", 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_int(text_clean(rows[i].string), rows[i].clean,
		       "UTF-8 row %zu", i);
}

static const struct admission_clock start = { 1000000, 5000 };

static struct ambit_admit sample(uint64_t instance)
{
	struct ambit_admit admit = {
		.instance = instance, .deadline = UINT64_MAX,
		.credential_count = 2, .id = UUID, .task = "CASE-7",
		.spiffe_id = "spiffe://" DOMAIN "/agent/support-agent",
		.credentials = {
			{ "tls", "x509-svid", "", 1U << 30 },
			{ "crm", "jwt-svid", "https://crm.example.com", 300 },
		},
	};
	return admit;
}

/* The errno that answers the SIGN of what `admit` says. */
static int answer(const struct ambit_admit *admit)
{
	static struct admissions table;
	struct error refusal = { 0 };
	struct admission_clock clock = { 1000000, 0 };
	struct ambit_sign sign = { admit->instance, 0, 0 };
	struct admission_grant grant;
	int result = admissions_add(&table, admit, DOMAIN, &start, UINT64_MAX, &refusal);
	if (!result)
		result = admissions_permit(&table, &sign, &clock, UINT64_MAX,
					   &grant);
	admissions_clear(&table);
	return -result;
}

static void test_spiffe_ids(void)
{
	static const struct {
		const char *id;
		int error;
	} rows[] = {
		{ "spiffe://" DOMAIN "/agent/a", 0 },
		{ "spiffe://" DOMAIN "/agent/support-agent-7", 0 },
		{ "spiffe://" DOMAIN "/agent/", EPERM },
		{ "spiffe://" DOMAIN "/agent", EPERM },
		{ "spiffe://" DOMAIN, EPERM },
		{ "spiffe://" DOMAIN "/agent/a/b", EPERM },
		{ "spiffe://" DOMAIN "/agent/..", EPERM },
		{ "spiffe://" DOMAIN "/agent/A", EPERM },
		{ "spiffe://" DOMAIN "/agent/a?b", EPERM },
		{ "spiffe://" DOMAIN "/agent/a%62", EPERM },
		{ "spiffe://" DOMAIN "/other/a", EPERM },
		{ "spiffe://" DOMAIN ".example.org/agent/a", EPERM },
		{ "spiffe://other.example.com/agent/a", EPERM },
		{ "spiffe://x" DOMAIN "/agent/a", EPERM },
		{ "spiffe://nodf.example.com/agent/a", EPERM },
		{ "SPIFFE://" DOMAIN "/agent/a", EPERM },
		{ "https://" DOMAIN "/agent/a", EPERM },
		{ "", EPERM },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ambit_admit admit = sample(1);
		snprintf(admit.spiffe_id, sizeof(admit.spiffe_id), "%s",
			 rows[i].id);
		is_int(answer(&admit), rows[i].error, "SPIFFE ID '%s'",
		       rows[i].id);
	}
	struct ambit_admit admit = sample(1);
	memset(admit.spiffe_id + strlen("spiffe://" DOMAIN "/agent/"), 'a', 64);
	is_int(answer(&admit), EPERM, "a name of 64");
}

static void test_rules(void)
{
	struct ambit_admit admit = sample(1);
	memset(admit.credentials[7].audience, 'a', AMBIT_TEXT_SIZE);
	is_int(answer(&admit), EBADMSG, "a text without its end");
	admit = sample(1);
	admit.credential_count = AMBIT_CREDENTIALS + 1;
	is_int(answer(&admit), EBADMSG, "too many credentials");
	admit = sample(1);
	admit.id[0] = 'A';
	is_int(answer(&admit), EINVAL, "an id that is no UUID");
	admit = sample(1);
	snprintf(admit.task, sizeof(admit.task), "a\nb");
	is_int(answer(&admit), EINVAL, "a task with a control character");
	admit = sample(1);
	snprintf(admit.credentials[0].type, 16, "ssh");
	is_int(answer(&admit), EINVAL, "an unknown type");
	admit = sample(1);
	snprintf(admit.credentials[0].audience, 16, "a");
	is_int(answer(&admit), EINVAL, "a certificate with an audience");
	admit = sample(1);
	admit.credentials[1].audience[0] = 0;
	is_int(answer(&admit), EINVAL, "a token without an audience");
	admit = sample(1);
	snprintf(admit.credentials[1].audience, 16, "a\nb");
	is_int(answer(&admit), EINVAL, "an audience with a control character");
	admit = sample(1);
	admit.credentials[1].ttl = 1;
	is_int(answer(&admit), EINVAL, "a lifetime of one second");
}

static void test_times(void)
{
	static struct admissions table;
	struct error refusal = { 0 };
	struct admission_clock clock = { 1000000, 5000 };
	struct admission_grant grant;
	struct ambit_admit admit = sample(1);
	is_int(admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal), 0, "admitted");
	is_int(admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal), -EEXIST,
	       "not twice");
	struct ambit_sign tls = { 1, 0, 0 }, crm = { 1, 1, 0 };
	is_int(admissions_permit(&table, &tls, &clock, UINT64_MAX, &grant), 0, "tls");
	is_int((long long)grant.not_after, 1000000 + 86400, "24 hours are the most");
	is_int((long long)grant.not_before, 1000000 - 10, "back-dated by 10 s");
	is_int(admissions_permit(&table, &crm, &clock, UINT64_MAX, &grant), 0, "crm");
	is_int((long long)grant.not_after, 1000000 + 300, "as long as was asked for");
	is_int((long long)grant.not_before, 1000000, "not back-dated");
	is_int(admissions_permit(&table, &crm, &clock, 1000100, &grant), 0, "CA");
	is_int((long long)grant.not_after, 1000100, "not beyond the CA's end");
	is_int(admissions_permit(&table, &crm, &clock, 1000000, &grant),
	       -EKEYEXPIRED, "nothing from a CA that has ended");

	admit = sample(2);
	admit.deadline = 1000007;
	admit.credentials[1].ttl = 100000;
	admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal);
	struct ambit_sign late = { 2, 1, 0 };
	admissions_permit(&table, &late, &clock, UINT64_MAX, &grant);
	is_int((long long)grant.not_after, 1000007, "not beyond the deadline");
	clock.seconds = 1000007;
	is_int(admissions_permit(&table, &late, &clock, UINT64_MAX, &grant),
	       -EKEYEXPIRED, "nothing from the deadline on");
	admissions_clear(&table);
	is_int(table.count, 0, "cleared");
}

static void test_rate(void)
{
	static struct admissions table;
	struct error refusal = { 0 };
	struct admission_clock clock = { 1000000, 5000 };
	struct admission_grant grant;
	struct ambit_sign sign = { 1, 0, 0 }, other = { 2, 0, 0 };
	struct ambit_admit admit = sample(1);
	admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal);
	admit.instance = 2;
	admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal);
	int granted = 0;
	while (admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant) == 0)
		granted++;
	is_int(granted, ADMISSION_BURST, "a burst");
	is_int(admissions_permit(&table, &other, &clock, UINT64_MAX, &grant), 0,
	       "is one instance's own");
	clock.steady_ms += ADMISSION_REFILL_MS - 1;
	is_int(admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant), -EAGAIN,
	       "not yet");
	clock.steady_ms += 1;
	is_int(admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant), 0,
	       "one more after a second");
	is_int(admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant), -EAGAIN,
	       "and only one");
	clock.steady_ms += 3600 * 1000;
	for (granted = 0; !admissions_permit(&table, &sign, &clock, UINT64_MAX,
					     &grant);)
		granted++;
	is_int(granted, ADMISSION_BURST, "never more than a burst");
	sign.credential = 2;
	is_int(admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant), -EACCES,
	       "a credential that was not admitted");
	admissions_remove(&table, 1);
	admissions_remove(&table, 77);
	sign.credential = 0;
	is_int(admissions_permit(&table, &sign, &clock, UINT64_MAX, &grant), -EACCES,
	       "an instance that was dismissed");
	admissions_clear(&table);
	int good = 1;
	for (uint64_t i = 0; i < AMBIT_SLOTS; i++) {
		admit.instance = i;
		good &= !admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal);
	}
	ok(good, "every slot may have one");
	admit.instance = AMBIT_SLOTS;
	is_int(admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal), -ENOSPC,
	       "and no more");
	admissions_clear(&table);
}

static uint32_t dice_state = 1;

static uint32_t dice(void)
{
	dice_state = dice_state * 1664525 + 1013904223;
	return dice_state >> 8;
}

static void test_timers(void)
{
	enum { COUNT = 300, ROUNDS = 20000 };
	static struct timer all[COUNT];
	struct timers timers = { NULL };
	int good = timers_reserve(&timers, COUNT) == 0 && !timers_first(&timers);
	for (int round = 0; round < ROUNDS && good; round++) {
		struct timer *timer = &all[dice() % COUNT];
		timers_set(&timers, timer,
			   dice() % 3 ? dice() % 1000 : TIMERS_NEVER);
		uint64_t least = TIMERS_NEVER;
		size_t set = 0;
		for (int i = 0; i < COUNT; i++) {
			set += all[i].place != 0;
			if (all[i].place && all[i].when < least)
				least = all[i].when;
			good &= !all[i].place ||
				timers.heap[all[i].place - 1] == &all[i];
		}
		const struct timer *first = timers_first(&timers);
		good &= set == timers.count &&
			(first ? first->when == least : set == 0);
	}
	ok(good, "the first timer is the earliest, after %d changes", ROUNDS);
	uint64_t last = 0;
	for (struct timer *first; (first = timers_first(&timers));) {
		good &= first->when >= last;
		last = first->when;
		timers_set(&timers, first, TIMERS_NEVER);
	}
	ok(good, "they come in order");
	free(timers.heap);
}

/* What the first one is to be, from `before` seconds ago, for `seconds`. */
static struct ambit_first first_of(uint64_t before, uint64_t seconds)
{
	struct ambit_first first = { start.seconds - before,
				     start.seconds - before + seconds,
				     "E123456789abcde" };
	return first;
}

static void test_hold(void)
{
	static struct admissions table;
	struct error refusal = { 0 };
	struct admission_clock clock = start;
	struct admission_grant grant;
	struct ambit_admit admit = sample(1);
	struct ambit_sign tls = { 1, 0, 0 }, crm = { 1, 1, 0 };

	admit.first[0] = first_of(AMBIT_X509_BACK_DATED, 60);
	admit.first[1] = first_of(0, 60);
	admissions_add(&table, &admit, DOMAIN, &start, UINT64_MAX, &refusal);
	clock.seconds += ADMISSION_HOLD;
	is_int(admissions_permit(&table, &crm, &clock, UINT64_MAX, &grant), 0, "SIGN");
	ok(grant.is_held && !memcmp(grant.id, admit.first[1].id, sizeof(grant.id)) &&
		   grant.not_before == admit.first[1].not_before &&
		   grant.not_after == admit.first[1].not_after,
	   "is given what the warden said");
	is_int(admissions_permit(&table, &crm, &clock, UINT64_MAX, &grant), 0,
	       "the next SIGN");
	is_int(grant.is_held, 0, "is another credential");
	is_int((long long)grant.not_before, (long long)clock.seconds, "from now on");
	clock.seconds++;
	is_int(admissions_permit(&table, &tls, &clock, UINT64_MAX, &grant), 0,
	       "a SIGN that comes late");
	is_int(grant.is_held, 0, "is given another one too");
	admissions_clear(&table);
}

/* The warden says it, the issuer judges it. */
static void test_first(void)
{
	static struct admissions table;
	const uint64_t back = AMBIT_X509_BACK_DATED;
	struct {
		const char *what;
		struct ambit_first first;
		uint64_t deadline, latest;
		int good;
	} rows[] = {
		{ "as long as the profile says", first_of(back, back + 60), 0, 0, 1 },
		{ "longer", first_of(back, back + 61), 0, 0, 0 },
		{ "begun some seconds ago", first_of(back + 2, back + 60), 0, 0, 1 },
		{ "begun too long ago", first_of(back + ADMISSION_HOLD + 1, 60), 0, 0, 0 },
		{ "not begun yet", first_of(back - 2, 60), 0, 0, 0 },
		{ "over", first_of(back, back), 0, 0, 0 },
		{ "up to the deadline", first_of(back, back + 5), 5, 0, 1 },
		{ "beyond it", first_of(back, back + 6), 5, 0, 0 },
		{ "up to the authority's end", first_of(back, back + 5), 0, 5, 1 },
		{ "beyond it", first_of(back, back + 6), 0, 5, 0 },
		{ "another serial", first_of(back, 60), 0, 0, 0 },
	};

	rows[sizeof(rows) / sizeof(*rows) - 1].first.id[0] = 0x80;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error refusal = { 0 };
		struct ambit_admit admit = sample(1);
		struct admission_grant grant;
		struct ambit_sign tls = { 1, 0, 0 };
		admit.credentials[0].ttl = 60;
		admit.first[0] = rows[i].first;
		if (rows[i].deadline)
			admit.deadline = start.seconds + rows[i].deadline;
		admissions_add(&table, &admit, DOMAIN, &start, rows[i].latest ?
			       start.seconds + rows[i].latest : UINT64_MAX, &refusal);
		is_int(admissions_permit(&table, &tls, &start, UINT64_MAX, &grant),
		       rows[i].good ? 0 : -EINVAL, "first: %s", rows[i].what);
		ok(rows[i].good ? grant.is_held && !refusal.code : refusal.code,
		   "first: %s: %s", rows[i].what, rows[i].good ? "held" : "said");
		admissions_clear(&table);
	}
}

int main(void)
{
	test_pem();
	test_text();
	test_spiffe_ids();
	test_rules();
	test_times();
	test_rate();
	test_hold();
	test_first();
	test_timers();
	return done_testing();
}

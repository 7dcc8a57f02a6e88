/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-issuer: the only process that holds private keys.  Started by ambitd as
 * root with descriptor 3 to the warden, 4 to the porter and 5 the key directory.
 * Before the walls it only moves bytes out of that directory (or makes its first
 * keys); behind them it reads its keys, and signs what the warden admitted when
 * the porter asks.  It parses nothing that an agent wrote but the texts of ADMIT,
 * which have one rule each (admission.c).
 *
 * A peer that sends what it must not, or that is gone, ends the process: the
 * warden starts issuer and porter anew, as a pair.
 */
#include "admission.h"
#include "answer.h"
#include "authority.h"

#include "base/message.h"
#include "base/number.h"
#include "base/own.h"
#include "base/walls.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { WARDEN = 3, PORTER = 4, KEYS = 5 };

struct issuer {
	struct authority authority;
	struct answer answer;
	struct admissions admissions;
	struct store store;
};

static const char *const calls[] = {
	"poll", "ppoll", "recvmsg", "sendmsg", "write", "close",
	"memfd_create", "getrandom", "getpid", "clock_gettime", "futex",
	"brk", "munmap", "mremap", "madvise", "rt_sigreturn",
	"restart_syscall", "exit", "exit_group", NULL,
};

#define EXACTLY(n, v) { .argument = n, .used = FILTER_EQUAL, .mask = 0xffffffff, .value = v }
#define NONE_OF(n, m) { .argument = n, .used = FILTER_EQUAL, .mask = m, .value = 0 }

/* No memory is ever made executable, nothing is opened, and the one thing that
 * is done to a descriptor is to seal it. */
static const struct filter_rule rules[] = {
	{ "fcntl", 0, { EXACTLY(1, F_ADD_SEALS) } },
	{ "mmap", 0, { NONE_OF(2, PROT_EXEC), EXACTLY(4, (uint32_t)-1) } },
	{ "mprotect", 0, { NONE_OF(2, PROT_EXEC) } },
};

static uint64_t now_seconds(void)
{
	return (uint64_t)time(NULL);
}

static uint64_t steady_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int parse(int count, char **words, uid_t *ret_uid, const char **ret_domain)
{
	uint64_t uid;
	if (count != 5 || strcmp(words[1], "--uid") != 0 ||
	    strcmp(words[3], "--trust-domain") != 0 ||
	    number_parse(words[2], strlen(words[2]), UINT32_MAX - 1, &uid) < 0)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	*ret_domain = words[4];
	return 0;
}

/* What ambitd promises to have passed. */
static int check_descriptors(struct error *error)
{
	int result = message_check(WARDEN, error);
	if (!result)
		result = message_check(PORTER, error);
	if (result)
		return result;
	/* A porter that does not take its answers must not stop the issuer, who
	 * would then stop the warden. */
	if (fcntl(PORTER, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(error, errno, "descriptor %d", PORTER);
	if (close_range(KEYS + 1, ~0U, 0) < 0)
		return error_errno(error, errno, "descriptors");
	return 0;
}

static int load_or_make(struct issuer *issuer, uid_t uid, const char *domain,
			struct error *error)
{
	int result = store_load(KEYS, uid, &issuer->store, error);
	if (result != -ENOENT)
		return result;
	result = authority_make(domain, now_seconds(), &issuer->store, error);
	return result ? result : store_save(KEYS, uid, &issuer->store, error);
}

/* One of each kind, thrown away: a call that the filter lacks or an OpenSSL
 * that can't do it shows now and not at the first launch. */
static int prove(struct issuer *issuer, struct error *error)
{
	struct admission agent = {
		.id = "", .task = "", .spiffe_id = "spiffe://proof/agent/proof",
	};
	uint64_t now = now_seconds();
	for (int kind = 0; kind < ADMISSION_KINDS; kind++) {
		struct admission_credential credential = {
			(enum admission_kind)kind, ADMISSION_TTL_LEAST, "proof",
		};
		struct admission_grant grant = {
			.admission = &agent, .credential = &credential,
			.not_before = now, .not_after = now,
		};
		struct ambit_signed made = { 0 };
		OWN_FD fd = -1;
		int result = answer_make(&issuer->answer, &grant, &made, &fd);
		if (result < 0)
			return error_errno(error, -result, "proof: signing");
	}
	return 0;
}

static int start(struct issuer *issuer, uid_t uid, const char *domain,
		 struct error *error)
{
	const struct walls walls = {
		.uid = uid, .calls = calls, .rules = rules,
		.rule_count = sizeof(rules) / sizeof(rules[0]),
	};
	umask(0077);
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		return error_errno(error, errno, "core limit");
	int result = check_descriptors(error);
	if (!result)
		result = key_setup(error);
	if (!result)
		result = load_or_make(issuer, uid, domain, error);
	close(KEYS);
	if (!result)
		result = walls_enter(&walls, error);
	if (!result)
		result = authority_open(&issuer->store, domain, now_seconds(),
					&issuer->authority, error);
	key_wipe(&issuer->store, sizeof(issuer->store));
	if (!result)
		result = answer_setup(&issuer->authority, &issuer->answer, error);
	if (!result)
		result = prove(issuer, error);
	return result;
}

static int tell_ready(const struct issuer *issuer, const struct error *error)
{
	struct ambit_ready ready = { .error = error->code };
	if (error->code)
		snprintf(ready.reason, sizeof(ready.reason), "%.255s", error->text);
	else
		snprintf(ready.trust_domain, sizeof(ready.trust_domain), "%s",
			 issuer->authority.ca.domain);
	ready.not_after = error->code ? 0 : issuer->authority.ca.not_after;
	return message_send(WARDEN, AMBIT_MESSAGE_READY, &ready, NULL);
}

static int admit(struct issuer *issuer, const struct ambit_admit *admit)
{
	struct error refusal = { 0 };
	struct admission_clock clock = { now_seconds(), steady_ms() };
	int result = admissions_add(&issuer->admissions, admit,
				    issuer->authority.ca.domain, &clock,
				    issuer->authority.ca.not_after, &refusal);
	if (refusal.code)
		fprintf(stderr, "ambit-issuer: agent %llu refused: %s\n",
			(unsigned long long)admit->instance, refusal.text);
	return result;
}

/* Everything the warden has said so far.  Returns 1, 0 when it is gone, or a
 * negative errno. */
static int serve_warden(struct issuer *issuer)
{
	static struct message message;
	int got;
	while ((got = message_receive(WARDEN, 0, &message)) == 1) {
		int result = -EBADMSG;
		if (message.type == AMBIT_MESSAGE_ADMIT) {
			result = admit(issuer, &message.body.admit);
		} else if (message.type == AMBIT_MESSAGE_DISMISS) {
			admissions_remove(&issuer->admissions,
					  message.body.dismiss.instance);
			result = 0;
		}
		message_release(&message);
		if (result < 0)
			return result;
	}
	return got == -EAGAIN ? 1 : got;
}

/* The warden hears of it from who signed it: the porter reads hostile bytes. */
static int tell_signed(const struct ambit_signed *made)
{
	struct ambit_granted granted = {
		.instance = made->instance, .credential = made->credential,
		.not_before = made->not_before, .not_after = made->not_after,
	};

	memcpy(granted.id, made->id, sizeof(granted.id));
	return message_send(WARDEN, AMBIT_MESSAGE_GRANTED, &granted, NULL);
}

static int sign(struct issuer *issuer, const struct ambit_sign *sign)
{
	struct admission_clock clock = { now_seconds(), steady_ms() };
	struct admission_grant grant;
	struct ambit_signed made = {
		.instance = sign->instance, .credential = sign->credential,
	};
	OWN_FD fd = -1;
	int result = admissions_permit(&issuer->admissions, sign, &clock,
				       issuer->authority.ca.not_after, &grant);
	if (!result && !grant.is_held)
		result = key_identifier(grant.id);
	if (!result)
		result = answer_make(&issuer->answer, &grant, &made, &fd);
	if (!result && !grant.is_held)
		result = tell_signed(&made);
	if (result < 0)
		made = (struct ambit_signed){
			.instance = sign->instance,
			.credential = sign->credential, .error = -result,
		};
	return message_send(PORTER, AMBIT_MESSAGE_SIGNED, &made, &fd);
}

/* At most one request, so that the warden is heard before the next: an ADMIT is
 * always sent before the SIGN that it permits, and a DISMISS counts at once. */
static int serve_porter(struct issuer *issuer)
{
	static struct message message;
	int got = message_receive(PORTER, 0, &message);
	if (got != 1)
		return got == -EAGAIN ? 1 : got;
	int result = message.type == AMBIT_MESSAGE_SIGN ?
			     sign(issuer, &message.body.sign) : -EBADMSG;
	message_release(&message);
	return result < 0 ? result : 1;
}

/* What was signed wakes the porter, which may wait for this processor: keys are made
 * ahead only when nothing was asked for that long. */
#define REFILL_MS 1

/* Returns the exit status. */
static int loop(struct issuer *issuer)
{
	struct pollfd peers[2] = { { WARDEN, POLLIN, 0 }, { PORTER, POLLIN, 0 } };
	for (;;) {
		int idle = answer_idle(&issuer->answer);
		int count = poll(peers, 2, idle ? -1 : REFILL_MS);
		if (count < 0 && errno != EINTR) {
			fprintf(stderr, "ambit-issuer: poll: %s\n", strerror(errno));
			return 1;
		}
		if (count == 0 && answer_refill(&issuer->answer) < 0) {
			fprintf(stderr, "ambit-issuer: no key can be made\n");
			return 1;
		}
		if (count <= 0)
			continue;
		int result = serve_warden(issuer);
		if (result == 0)
			return 0;
		const char *peer = "warden";
		if (result > 0 && peers[1].revents) {
			peer = "porter";
			result = serve_porter(issuer);
		}
		if (result <= 0) {
			fprintf(stderr, "ambit-issuer: %s: %s\n", peer,
				result ? strerror(-result) : "is gone");
			return 1;
		}
	}
}

int main(int count, char **words)
{
	static struct issuer issuer;
	struct error error = { 0 };
	const char *domain;
	uid_t uid;

	if (parse(count, words, &uid, &domain) < 0) {
		fprintf(stderr, "ambit-issuer: is started by ambitd\n");
		return 2;
	}
	start(&issuer, uid, domain, &error);
	int told = tell_ready(&issuer, &error);
	if (error.code)
		fprintf(stderr, "ambit-issuer: %s\n", error.text);
	int status = error.code || told < 0 ? 1 : loop(&issuer);
	admissions_clear(&issuer.admissions);
	answer_release(&issuer.answer);
	authority_release(&issuer.authority);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: a whole log is found whole, and each way of making it less is found,
 * also by somebody who renumbers the lines.
 */
#include "audit/line.h"
#include "audit/tool.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINES 16

static const struct audit_node node = {
	"host.example.com", "0123456789abcdef0123456789abcdef",
	"11111111-2222-4333-8444-555555555555",
};

static const struct ambit_open agent = {
	.instance = 0x8000000000000001, .slot = 16, .name = "support-1",
	.id = "01890000-0000-7000-8000-000000000001", .profile = "support-agent",
};

struct log {
	char lines[LINES][AUDIT_LINE];
	size_t lengths[LINES];
	int count;
	uint64_t next;
};

static struct audit_stamp stamp_of(struct log *log)
{
	struct audit_stamp stamp = { .sequence = log->next++, .time_ms = 1,
				     .logged_ms = 1 };

	snprintf(stamp.uid, sizeof(stamp.uid), "uid-%llu",
		 (unsigned long long)stamp.sequence);
	return stamp;
}

/* Lines are kept without their newline, as readers see them. */
static void add_connection(struct log *log, const struct ambit_open *who,
			   uint64_t instance, uint64_t kseq)
{
	struct ambit_record record = {
		.instance = instance, .kseq = kseq, .attempt = 1, .verdict = 1,
		.reason = 1, .ktime_ns = 1000 * log->next, .rule = AMBIT_NO_RULE,
	};
	const struct audit_connection made = { &record, who, NULL };
	struct audit_stamp stamp = stamp_of(log);

	log->lengths[log->count] = audit_connection(log->lines[log->count], &node,
						    &stamp, &made) - 1;
	log->count++;
}

static void add_notice(struct log *log, struct audit_notice notice)
{
	struct audit_stamp stamp = stamp_of(log);

	notice.agent = &agent;
	notice.instance = agent.instance;
	notice.message = "words";
	log->lengths[log->count] = audit_notice(log->lines[log->count], &node,
						&stamp, &notice) - 1;
	log->count++;
}

static void add_loss(struct log *log, uint64_t count, uint64_t after,
		     uint64_t before, uint64_t total)
{
	add_notice(log, (struct audit_notice){
		.kind = AUDIT_NOTICE_LOSS,
		.numbers = { { "count", count }, { "kseq_after", after },
			     { "kseq_before", before }, { "lost_total", total } },
	});
}

static void add_close(struct log *log, uint64_t attempts, uint64_t records)
{
	add_notice(log, (struct audit_notice){
		.kind = AUDIT_NOTICE_CLOSE,
		.numbers = { { "attempts", attempts }, { "records", records } },
	});
}

/* Numbers 1 2 4 3, 5 and 6 lost, 7, 8 lost at the end. */
static void make_whole(struct log *log)
{
	*log = (struct log){ 0 };
	add_connection(log, &agent, agent.instance, 1);
	add_connection(log, &agent, agent.instance, 2);
	add_connection(log, &agent, agent.instance, 4);
	add_connection(log, &agent, agent.instance, 3);
	add_loss(log, 2, 4, 7, 2);
	add_connection(log, &agent, agent.instance, 7);
	add_loss(log, 1, 7, 9, 3);
	add_close(log, 8, 5);
}

static uint64_t verify(const struct log *log, uint64_t first, enum tool_tail tail,
		       char **ret_said)
{
	size_t size;
	FILE *out = open_memstream(ret_said, &size);
	struct tool_verify *state = tool_verify_begin(out, first);

	for (int i = 0; i < log->count; i++)
		tool_verify_line(state, log->lines[i], log->lengths[i], 0);
	uint64_t faults = tool_verify_end(state, tail, 1);
	fclose(out);
	return faults;
}

static void finds(const struct log *log, const char *part, const char *what)
{
	char *said = NULL;
	uint64_t faults = verify(log, 0, TOOL_TAIL_WHOLE, &said);

	ok(faults > 0 && strstr(said, part) && strstr(said, "not whole: "),
	   "%s", what);
	if (!faults || !strstr(said, part))
		diag("said: %s", said);
	free(said);
}

static void is_whole(const struct log *log, const char *what)
{
	char *said = NULL;
	uint64_t faults = verify(log, 0, TOOL_TAIL_WHOLE, &said);

	ok(faults == 0 && !strncmp(said, "whole: ", 7), "%s", what);
	if (faults)
		diag("said: %s", said);
	free(said);
}

static void delete_line(struct log *log, int at)
{
	for (int i = at; i + 1 < log->count; i++) {
		memcpy(log->lines[i], log->lines[i + 1], AUDIT_LINE);
		log->lengths[i] = log->lengths[i + 1];
	}
	log->count--;
}

static struct log log;

static void tampered(void)
{
	make_whole(&log);
	is_whole(&log, "out of order and lossy, but whole");
	for (int at = 0; at < 7; at++) {
		char what[64];
		make_whole(&log);
		delete_line(&log, at);
		snprintf(what, sizeof(what), "line %d removed", at);
		finds(&log, "missing", what);
	}
	make_whole(&log);
	memcpy(log.lines[1], log.lines[2], AUDIT_LINE);
	log.lengths[1] = log.lengths[2];
	finds(&log, "missing", "a line put in the place of another");

	make_whole(&log);
	log.lengths[3]--;
	finds(&log, "not a JSON object", "a line that was shortened");
	make_whole(&log);
	char *said = NULL;
	ok(verify(&log, 0, TOOL_TAIL_TORN, &said) == 1 && strstr(said, "torn"),
	   "a torn tail");
	free(said);
	make_whole(&log);
	char *class = strstr(log.lines[0], "\"activity_id\":1,");
	class[14] = '5';
	finds(&log, "type_uid", "a verdict that was changed in one place");
	make_whole(&log);
	memcpy(strstr(log.lines[0], "\"time\""), "\"tame\"", 6);
	finds(&log, "no time", "a member that is missing");
}

/* Somebody who can write lines and number them. */
static void renumbered(void)
{
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_connection(&log, &agent, agent.instance, 3);
	add_close(&log, 3, 3);
	finds(&log, "records", "a record left out, its end says otherwise");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_connection(&log, &agent, agent.instance, 3);
	add_close(&log, 3, 2);
	finds(&log, "are missing, 0 are told", "a gap that nobody told");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_loss(&log, 5, 1, 4, 5);
	add_connection(&log, &agent, agent.instance, 4);
	add_close(&log, 4, 2);
	finds(&log, "2 of 4 kernel numbers", "a loss told larger than it was");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_connection(&log, &agent, agent.instance, 1);
	finds(&log, "twice", "a number twice");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 2);
	add_loss(&log, 1, 2, 4, 1);
	add_close(&log, 3, 1);
	finds(&log, "missing", "a loss that covers one of two");
	log = (struct log){ 0 };
	add_close(&log, 1, 0);
	finds(&log, "missing", "an attempt without anything");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_close(&log, 2, 1);
	add_connection(&log, &agent, agent.instance, 2);
	finds(&log, "behind the stream's end", "a record behind the end");
}

static void tolerated(void)
{
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_connection(&log, &agent, agent.instance, 5);
	is_whole(&log, "an open stream may be short of its last numbers");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_connection(&log, &agent, agent.instance, 500);
	finds(&log, "missing", "but not of older ones");
	log = (struct log){ 0 };
	add_connection(&log, &agent, agent.instance, 1);
	add_loss(&log, 2, 1, 4, 2);
	add_loss(&log, 2, 1, 4, 2);
	add_connection(&log, &agent, agent.instance, 4);
	add_close(&log, 4, 2);
	add_close(&log, 4, 2);
	is_whole(&log, "a loss and an end told twice by a crash");
	log = (struct log){ 0 };
	add_close(&log, 0, 0);
	add_connection(&log, &agent, agent.instance, 1);
	is_whole(&log, "a socket that outlives its agent has new numbers");
	log = (struct log){ 0 };
	add_connection(&log, NULL, 2, 1);
	add_connection(&log, NULL, 2, 2);
	add_connection(&log, NULL, 2, 1);
	is_whole(&log, "a node's own process counts from one again");
	log = (struct log){ .next = 100 };
	add_connection(&log, &agent, agent.instance, 50);
	add_connection(&log, &agent, agent.instance, 51);
	add_close(&log, 51, 51);
	char *said = NULL;
	is_int((long long)verify(&log, 100, TOOL_TAIL_WHOLE, &said), 0,
	       "a pruned log counts from its beginning");
	free(said);
}

/* CPU seconds for the records and losses from..to of one stream. */
static double spend(struct tool_verify *state, uint64_t from, uint64_t to)
{
	clock_t start = clock();

	for (uint64_t i = from; i < to; i++) {
		log.count = 0;
		add_loss(&log, 1, i - 1, i + 1, i);
		tool_verify_line(state, log.lines[0], log.lengths[0], 0);
	}
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* What an agent that goes on trying leaves in a few minutes. */
static void many_losses(void)
{
	enum { HALF = 20000 };
	char *said = NULL;
	size_t size;
	FILE *out = open_memstream(&said, &size);
	struct tool_verify *state = tool_verify_begin(out, 0);

	log = (struct log){ 0 };
	double first = spend(state, 1, HALF), second = spend(state, HALF, 2 * HALF);
	ok(second < 1.6 * first + 0.1,
	   "the time for a loss does not grow with those before it");
	diag("%.2f s, then %.2f s", first, second);
	log.count = 0;
	add_close(&log, 2 * HALF - 1, 0);
	tool_verify_line(state, log.lines[0], log.lengths[0], 0);
	is_int((long long)tool_verify_end(state, TOOL_TAIL_WHOLE, 1), 0,
	       "and all are counted");
	fclose(out);
	free(said);
}

int main(void)
{
	tampered();
	renumbered();
	tolerated();
	many_losses();
	return done_testing();
}

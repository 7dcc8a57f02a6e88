/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a log whole?  Each line is an object with the required members; the
 * sequence has no gap; and for each stream of kernel records the numbers that
 * the kernel gave out are all there or counted as lost.  The numbers of two
 * processors may reach the log in the other order, so that the sums are
 * compared, for a stream that has ended without any tolerance.
 *
 * Nothing here is signed: who can write the directory can write a whole log.
 */
#include "tool.h"

#include "../base/own.h"

#include <errno.h>
#include <string.h>

#define FAULTS_SHOWN 20
#define IN_FLIGHT 64	/* numbers of an open stream that may still come */

/* Numbers low..high were seen. */
struct range {
	uint64_t low, high;
};

struct loss {
	uint64_t before, total, count;
};

struct stream {
	char *name;
	struct range *ranges;	/* ascending, none touching the next */
	size_t range_count, range_room;
	struct loss *losses;
	size_t loss_count, loss_room;
	uint64_t seen;		/* different numbers */
	int closed;
	uint64_t attempts, records;	/* as its end says */
};

struct tool_verify {
	FILE *out;
	uint64_t first, next;
	uint64_t faults, overlaps, lost;
	json_t *index;		/* boot and stream → place in streams */
	struct stream *streams;
	size_t stream_count;
};

__attribute__((format(printf, 2, 3)))
static void fault(struct tool_verify *verify, const char *format, ...)
{
	va_list arguments;

	if (verify->faults++ >= FAULTS_SHOWN)
		return;
	fputs("not whole: ", verify->out);
	va_start(arguments, format);
	vfprintf(verify->out, format, arguments);
	va_end(arguments);
	putc('\n', verify->out);
}

#define NUMBER(value) ((unsigned long long)(value))

struct tool_verify *tool_verify_begin(FILE *out, uint64_t first)
{
	struct tool_verify *verify = calloc(1, sizeof(*verify));

	if (!verify)
		return NULL;
	verify->out = out;
	verify->first = verify->next = first;
	verify->index = json_object();
	return verify;
}

static void *grown(void *array, size_t count, size_t size)
{
	void *result = reallocarray(array, count, size);

	/* Half a check must not look like a whole one. */
	if (!result)
		abort();
	return result;
}

static struct stream *stream_of(struct tool_verify *verify, const json_t *record)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/%s", tool_text(record, "unmapped.boot_id"),
		 tool_text(record, "unmapped.stream"));
	const json_t *place = json_object_get(verify->index, name);
	if (place)
		return &verify->streams[json_integer_value(place)];
	if (json_object_set_new(verify->index, name,
				json_integer((json_int_t)verify->stream_count)) < 0)
		abort();
	verify->streams = grown(verify->streams, verify->stream_count + 1,
				sizeof(*verify->streams));
	struct stream *stream = &verify->streams[verify->stream_count++];
	*stream = (struct stream){ .name = strdup(name) };
	if (!stream->name)
		abort();
	return stream;
}

/* Marks `number` as seen.  Returns 0 if it was already. */
static int stream_mark(struct stream *stream, uint64_t number)
{
	size_t at = stream->range_count;

	while (at && stream->ranges[at - 1].low > number)
		at--;
	struct range *below = at ? &stream->ranges[at - 1] : NULL;
	struct range *above = at < stream->range_count ? &stream->ranges[at] : NULL;
	if (below && number <= below->high)
		return 0;
	stream->seen++;
	if (below && number == below->high + 1) {
		below->high = number;
		if (above && above->low == number + 1) {
			below->high = above->high;
			memmove(above, above + 1,
				(--stream->range_count - at) * sizeof(*above));
		}
		return 1;
	}
	if (above && above->low == number + 1) {
		above->low = number;
		return 1;
	}
	if (stream->range_count == stream->range_room) {
		stream->range_room = stream->range_room ? 2 * stream->range_room : 4;
		stream->ranges = grown(stream->ranges, stream->range_room,
				       sizeof(*stream->ranges));
	}
	memmove(stream->ranges + at + 1, stream->ranges + at,
		(stream->range_count++ - at) * sizeof(*stream->ranges));
	stream->ranges[at] = (struct range){ number, number };
	return 1;
}

/* An agent that goes on trying makes one of these for each of its records: what is
 * looked up among them is looked up once, at the end. */
static void stream_lose(struct stream *stream, const struct loss *loss)
{
	if (stream->loss_count == stream->loss_room) {
		stream->loss_room = stream->loss_room ? 2 * stream->loss_room : 4;
		stream->losses = grown(stream->losses, stream->loss_room,
				       sizeof(*stream->losses));
	}
	stream->losses[stream->loss_count++] = *loss;
}

static int compare_losses(const void *left, const void *right)
{
	const struct loss *a = left, *b = right;

	if (a->total != b->total)
		return a->total < b->total ? -1 : 1;
	return a->before < b->before ? -1 : a->before > b->before;
}

/* A loss that was told twice, because the recorder died in between, is one. */
static void settle_losses(struct stream *stream)
{
	size_t kept = 0;

	if (stream->loss_count)
		qsort(stream->losses, stream->loss_count, sizeof(*stream->losses),
		      compare_losses);
	for (size_t i = 0; i < stream->loss_count; i++)
		if (!kept || compare_losses(&stream->losses[kept - 1],
					    &stream->losses[i]))
			stream->losses[kept++] = stream->losses[i];
	stream->loss_count = kept;
}

/* What was told as lost of the numbers up to `last`. */
static uint64_t stream_lost(const struct stream *stream, uint64_t last)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < stream->loss_count; i++)
		if (stream->losses[i].before - 1 <= last)
			lost += stream->losses[i].count;
	return lost;
}

static void end_stream(struct tool_verify *verify, struct stream *stream);

/* The node's own processes have streams without an agent, whose numbers begin
 * again with each node.  Returns 1 if `number` did that. */
static int stream_restart(struct tool_verify *verify, struct stream *stream,
			  uint64_t number)
{
	if (!strstr(stream->name, "/instance-"))
		return 0;
	end_stream(verify, stream);
	verify->lost += stream_lost(stream, UINT64_MAX);
	stream->range_count = stream->loss_count = 0;
	stream->seen = 0;
	stream->closed = 0;
	return stream_mark(stream, number);
}

static void check_stream(struct tool_verify *verify, const json_t *record)
{
	const char *kind = tool_text(record, "unmapped.record");
	uint64_t sequence = tool_number(record, "metadata.sequence");

	if (!strcmp(kind, "connection")) {
		struct stream *stream = stream_of(verify, record);
		uint64_t number = tool_number(record, "unmapped.kseq");
		if (number == 0)
			fault(verify, "record %llu: no kernel number",
			      NUMBER(sequence));
		else if (!stream_mark(stream, number) &&
			 !stream_restart(verify, stream, number))
			fault(verify, "record %llu: %s: kernel number %llu twice",
			      NUMBER(sequence), stream->name, NUMBER(number));
		/* A socket may outlive its agent and be refused: new numbers. */
		else if (stream->closed && number <= stream->attempts)
			fault(verify, "record %llu: %s: behind the stream's end",
			      NUMBER(sequence), stream->name);
	} else if (!strcmp(kind, "loss")) {
		stream_lose(stream_of(verify, record), &(struct loss){
			tool_number(record, "unmapped.kseq_before"),
			tool_number(record, "unmapped.lost_total"),
			tool_number(record, "unmapped.count"),
		});
	} else if (!strcmp(kind, "stream closed")) {
		struct stream *stream = stream_of(verify, record);
		stream->closed = 1;
		stream->attempts = tool_number(record, "unmapped.attempts");
		stream->records = tool_number(record, "unmapped.records");
	}
}

/* What OCSF 1.8.0 and ambit-audit(5) require of every record. */
static void check_members(struct tool_verify *verify, const json_t *record)
{
	static const char *const numbers[] = {
		"time", "class_uid", "category_uid", "activity_id", "type_uid",
		"severity_id", "status_id", "action_id", "disposition_id",
		"metadata.sequence", "metadata.logged_time", "device.type_id",
	};
	static const char *const texts[] = {
		"message", "metadata.version", "metadata.uid",
		"metadata.product.name", "unmapped.boot_id", "unmapped.record",
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!json_is_integer(tool_member(record, numbers[i])))
			fault(verify, "record %llu: no %s", NUMBER(verify->next),
			      numbers[i]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!*tool_text(record, texts[i]))
			fault(verify, "record %llu: no %s", NUMBER(verify->next),
			      texts[i]);
	if (tool_number(record, "type_uid") !=
	    tool_number(record, "class_uid") * 100 +
		    tool_number(record, "activity_id"))
		fault(verify, "record %llu: type_uid does not follow from class "
		      "and activity", NUMBER(verify->next));
}

void tool_verify_line(struct tool_verify *verify, const char *line, size_t length,
		      int overlaps)
{
	json_error_t why;

	if (overlaps) {
		verify->overlaps++;
		return;
	}
	json_t *record = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(record)) {
		fault(verify, "record %llu: not a JSON object: %s",
		      NUMBER(verify->next), record ? "another value" : why.text);
		json_decref(record);
		verify->next++;
		return;
	}
	uint64_t sequence = tool_number(record, "metadata.sequence");
	if (sequence > verify->next)
		fault(verify, "records %llu to %llu are missing",
		      NUMBER(verify->next), NUMBER(sequence - 1));
	else if (sequence < verify->next)
		fault(verify, "record %llu stands where %llu should",
		      NUMBER(sequence), NUMBER(verify->next));
	verify->next = sequence;
	check_members(verify, record);
	check_stream(verify, record);
	verify->next = sequence + 1;
	json_decref(record);
}

/* How many numbers from 1 to `last` were not seen. */
static uint64_t stream_missing(const struct stream *stream, uint64_t last)
{
	uint64_t missing = last;

	for (size_t i = 0; i < stream->range_count; i++) {
		const struct range *range = &stream->ranges[i];
		if (range->low <= last)
			missing -= (range->high < last ? range->high : last) -
				   range->low + 1;
	}
	return missing;
}

/* A log that was pruned has lost the beginning of the streams that ran then:
 * those count from their first number here. */
static void end_stream(struct tool_verify *verify, struct stream *stream)
{
	settle_losses(stream);
	uint64_t highest = stream->range_count ?
		stream->ranges[stream->range_count - 1].high : 0;
	uint64_t base = verify->first && stream->range_count ?
		stream->ranges[0].low - 1 : 0;
	uint64_t lost = stream_lost(stream, stream->closed ? stream->attempts :
							     UINT64_MAX);

	if (verify->first && (base || !stream->range_count))
		return;
	if (stream->closed) {
		uint64_t missing = stream_missing(stream, stream->attempts);
		if (stream->records != stream->attempts - missing)
			fault(verify, "%s: its end counts %llu records, here are "
			      "%llu", stream->name, NUMBER(stream->records),
			      NUMBER(stream->attempts - missing));
		if (missing != lost)
			fault(verify, "%s: %llu of %llu kernel numbers are "
			      "missing, %llu are told as lost", stream->name,
			      NUMBER(missing), NUMBER(stream->attempts),
			      NUMBER(lost));
		return;
	}
	/* Still open: what the last numbers are short of may yet come. */
	uint64_t settled = highest > IN_FLIGHT ? highest - IN_FLIGHT : 0;
	uint64_t missing = stream_missing(stream, settled);
	if (missing > lost || lost > highest - stream->seen + IN_FLIGHT)
		fault(verify, "%s: %llu kernel numbers up to %llu are missing, "
		      "%llu are told as lost", stream->name, NUMBER(missing),
		      NUMBER(settled), NUMBER(lost));
}

uint64_t tool_verify_end(struct tool_verify *verify, enum tool_tail tail,
			 size_t segments)
{
	uint64_t open = 0, lost = verify->lost, faults;

	if (tail == TOOL_TAIL_TORN)
		fault(verify, "the last line is torn");
	for (size_t i = 0; i < verify->stream_count; i++) {
		struct stream *stream = &verify->streams[i];
		end_stream(verify, stream);
		open += !stream->closed;
		lost += stream_lost(stream, UINT64_MAX);
		free(stream->name);
		free(stream->ranges);
		free(stream->losses);
	}
	faults = verify->faults;
	if (faults > FAULTS_SHOWN)
		fprintf(verify->out, "not whole: and %llu faults more\n",
			NUMBER(faults - FAULTS_SHOWN));
	if (!faults)
		fprintf(verify->out,
			"whole: %llu records from %llu on, %zu segments, %zu "
			"streams (%llu open), %llu attempts told as lost\n",
			NUMBER(verify->next - verify->first),
			NUMBER(verify->first), segments, verify->stream_count,
			NUMBER(open), NUMBER(lost));
	if (verify->overlaps)
		fprintf(verify->out, "%llu lines were written again after a "
			"failed sync; the newer ones count\n",
			NUMBER(verify->overlaps));
	if (!faults)
		fputs("checked: every line is a complete record; no sequence "
		      "number is missing or out of place; every number the kernel "
		      "gave out is recorded or counted as lost\n"
		      "not checked: who wrote it, and whether it ends too early; "
		      "tree heads are not signed yet\n", verify->out);
	json_decref(verify->index);
	free(verify->streams);
	free(verify);
	return faults;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refused endpoints: see refused.h.  Paths and names are the agent's own bytes and
 * end on somebody's terminal, hence only printable ASCII of them is shown.
 */
#include "refused.h"

#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* `bytes` behind what `text` holds; "…" at the end says that it was longer. */
static void append(char text[AMBIT_REFUSED_SIZE], const char *bytes, size_t length)
{
	static const char cut[] = "…";
	size_t used = strlen(text), room = AMBIT_REFUSED_SIZE - sizeof(cut) - used;
	size_t taken = length < room ? length : room;

	for (size_t i = 0; i < taken; i++)
		text[used++] = bytes[i] > ' ' && bytes[i] < 0x7f ? bytes[i] : '?';
	text[used] = 0;
	if (taken < length)
		memcpy(text + used, cut, sizeof(cut));
}

/* Of our own. */
static void put_word(char text[AMBIT_REFUSED_SIZE], const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, AMBIT_REFUSED_SIZE - used, "%s", word);
}

static void put_path(char text[AMBIT_REFUSED_SIZE],
		     const struct ambit_record *record)
{
	size_t length = record->path_length;
	const char *path = record->path;

	if (length > sizeof(record->path))
		length = sizeof(record->path);
	/* An abstract name begins with a zero, which is shown as everywhere. */
	int abstract = length && !path[0];
	put_word(text, abstract ? "unix:@" : "unix:");
	append(text, path + abstract, length - (size_t)abstract);
}

static void put_address(char text[AMBIT_REFUSED_SIZE],
			const struct ambit_record *record)
{
	char address[INET6_ADDRSTRLEN];
	int v4 = common_is_v4(record->address);
	size_t used = strlen(text);

	inet_ntop(v4 ? AF_INET : AF_INET6, record->address + (v4 ? 12 : 0), address,
		  sizeof(address));
	snprintf(text + used, AMBIT_REFUSED_SIZE - used,
		 v4 ? "%s:%u/%s" : "[%s]:%u/%s", address, record->port,
		 record->protocol == IPPROTO_UDP ? "udp" : "tcp");
}

/* 1 if whoever wrote the profile has to know.  No entry helps where the agent was cut
 * off, or where the kind of packet is never allowed. */
static int wants_entry(const struct ambit_record *record)
{
	switch (record->reason) {
	case AMBIT_REASON_NO_RULE:
	case AMBIT_REASON_RESERVED:
	case AMBIT_REASON_NOT_LISTED:
	case AMBIT_REASON_ABSTRACT:
	case AMBIT_REASON_TLS_NAME:
	case AMBIT_REASON_TLS_NO_NAME:
	case AMBIT_REASON_NOT_TLS:
	case AMBIT_REASON_TLS_UNREADABLE:
	case AMBIT_REASON_RATE:
		return record->verdict != AMBIT_ALLOWED;
	default:
		return 0;
	}
}

/* Empty: it is about no endpoint. */
static void put(char text[AMBIT_REFUSED_SIZE], const struct ambit_record *record)
{
	*text = 0;
	if (record->reason == AMBIT_REASON_RATE) {
		put_word(text, "more lookups than the node answers");
		return;
	}
	switch (record->attempt) {
	case AMBIT_ATTEMPT_UNIX_CONNECT:
	case AMBIT_ATTEMPT_UNIX_SEND:
		put_path(text, record);
		break;
	case AMBIT_ATTEMPT_BIND:
		snprintf(text, AMBIT_REFUSED_SIZE, "port %u/%s of its own",
			 record->port,
			 record->protocol == IPPROTO_UDP ? "udp" : "tcp");
		break;
	case AMBIT_ATTEMPT_TLS:
		put_address(text, record);
		put_word(text, record->path_length ? " as " : " without its name");
		if (record->path_length)
			append(text, record->path,
			       record->path_length < sizeof(record->path) ?
				       record->path_length : sizeof(record->path));
		break;
	case AMBIT_ATTEMPT_CONNECT:
	case AMBIT_ATTEMPT_SEND:
	case AMBIT_ATTEMPT_PACKET:
		put_address(text, record);
		break;
	default:
		break;
	}
}

/* 1 if `text` is among them now.  Neither kind takes the other's places: one name
 * may matter more than sixty attempts at a bus that is not there. */
static int keep(struct refused *refused, int lookup, const char text[AMBIT_REFUSED_SIZE])
{
	uint32_t own = lookup ? refused->lookups : refused->count - refused->lookups;

	for (uint32_t i = 0; i < refused->count; i++)
		if (!strcmp(refused->texts[i], text))
			return 1;
	if (own == AMBIT_REFUSED / 2) {
		refused->more |= lookup ? 2 : 1;
		return 0;
	}
	memcpy(refused->texts[refused->count++], text, AMBIT_REFUSED_SIZE);
	refused->lookups += (uint32_t)lookup;
	return 1;
}

void refused_note(struct refused *refused, const struct ambit_record *record)
{
	char text[AMBIT_REFUSED_SIZE] = "";

	if (!wants_entry(record))
		return;
	put(text, record);
	if (*text && keep(refused, 0, text))
		refused->noted++;
}

void refused_note_lookup(struct refused *refused,
			 const struct ambit_lookup *lookup)
{
	char text[AMBIT_REFUSED_SIZE] = "lookup of ";

	if (lookup->result != AMBIT_LOOKUP_UNLISTED &&
	    lookup->result != AMBIT_LOOKUP_WITHHELD &&
	    lookup->result != AMBIT_LOOKUP_FAILED)
		return;
	append(text, lookup->name, strnlen(lookup->name, sizeof(lookup->name)));
	/* Not the profile's fault: who reads it shall look elsewhere. */
	if (lookup->result == AMBIT_LOOKUP_FAILED)
		put_word(text, ": no resolver answered");
	keep(refused, 1, text);
}

void refused_tell(const struct refused *refused, uint64_t denied,
		  struct ambit_closed *closed)
{
	memcpy(closed->refused, refused->texts, sizeof(closed->refused));
	closed->refused_count = refused->count;
	/* Also what an earlier recorder had noted. */
	closed->refused_more = refused->more | (denied > refused->noted ? 1 : 0);
}

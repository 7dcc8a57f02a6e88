/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be said to the warden: see outbox.h. */
#include "outbox.h"

#include "base/own.h"

struct outbox_entry {
	struct outbox_entry *next;
	enum ambit_message_type type;
	union {
		struct ambit_minted minted;
		struct ambit_published published;
		struct ambit_lookup lookup;
	} body;
};

void outbox_setup(struct outbox *outbox, int socket)
{
	*outbox = (struct outbox){ .socket = socket };
	outbox->last = &outbox->first;
}

static struct outbox_entry *append(struct outbox *outbox,
				   enum ambit_message_type type)
{
	struct outbox_entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->type = type;
	*outbox->last = entry;
	outbox->last = &entry->next;
	outbox->count++;
	return entry;
}

static void drop_first(struct outbox *outbox)
{
	struct outbox_entry *gone = outbox->first;
	outbox->first = gone->next;
	if (!outbox->first)
		outbox->last = &outbox->first;
	outbox->count--;
	free(gone);
}

int outbox_minted(struct outbox *outbox, const struct ambit_minted *minted)
{
	struct outbox_entry *entry = append(outbox, AMBIT_MESSAGE_MINTED);
	if (!entry)
		return -ENOMEM;
	entry->body.minted = *minted;
	return outbox_flush(outbox);
}

int outbox_published(struct outbox *outbox,
		     const struct ambit_published *published)
{
	struct outbox_entry *entry = append(outbox, AMBIT_MESSAGE_PUBLISHED);
	if (!entry)
		return -ENOMEM;
	entry->body.published = *published;
	return outbox_flush(outbox);
}

int outbox_lookup(struct outbox *outbox, const struct ambit_lookup *lookup)
{
	struct outbox_entry *entry = append(outbox, AMBIT_MESSAGE_LOOKUP);
	if (!entry)
		return -ENOMEM;
	entry->body.lookup = *lookup;
	return outbox_flush(outbox);
}

int outbox_flush(struct outbox *outbox)
{
	while (outbox->first) {
		int result = message_send(outbox->socket, outbox->first->type,
					  &outbox->first->body, NULL);
		if (result == -EAGAIN)
			return 0;
		if (result < 0)
			return result;
		drop_first(outbox);
	}
	return 0;
}

unsigned outbox_waiting(const struct outbox *outbox)
{
	return outbox->count;
}

void outbox_clear(struct outbox *outbox)
{
	while (outbox->first)
		drop_first(outbox);
}

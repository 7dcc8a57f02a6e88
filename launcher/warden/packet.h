/* SPDX-License-Identifier: Apache-2.0 */
/* The start packet: everything that ambit-init is told about one agent. */
#ifndef WARDEN_PACKET_H
#define WARDEN_PACKET_H

#include "warden.h"

#include <ambit/start.h>

/* What the caller brought along. */
struct packet_caller {
	int stdio[3];		/* stay the caller's */
	int is_terminal[3];
	char *const *environment;	/* "NAME=value", environment_count */
	unsigned environment_count;
	uint16_t rows, columns;
};

/* Builds the packet of `agent` and sends it into `gate`.  The descriptors of the
 * mounts live until the packet has been sent.  Fails with the clause that can't
 * be met. */
int packet_send(struct agent *agent, const struct packet_caller *caller,
		int gate, int end_file, struct error *error);

#endif

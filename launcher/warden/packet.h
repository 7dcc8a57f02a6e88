/* SPDX-License-Identifier: Apache-2.0 */
/* The two packets for ambit-init: everything it is told about one agent. */
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

/* Builds the first packet of `agent`, what its profile says, and sends it into
 * `gate`.  Fails with the clause that can't be met. */
int packet_prepare(struct agent *agent, int gate, int end_file,
		   struct error *error);

/* 1 if every listed path still leads to what packet_prepare mounted. */
int packet_is_current(const struct agent *agent);

/* The second packet: what this caller wants to run in there. */
int packet_request(const struct agent *agent,
		   const struct packet_caller *caller, struct error *error);

#endif

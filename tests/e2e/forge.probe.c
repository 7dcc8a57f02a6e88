/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks in the porter's place, as somebody would who took the porter over:
 *
 *     forge lookup PORTER INSTANCE RESULT COUNT
 *     forge minted PORTER INSTANCE ID
 *     forge sign PORTER INSTANCE
 *
 * tells the warden of a LOOKUP that ended with RESULT and led to COUNT addresses; of a
 * credential that was signed with this ID; asks the issuer for the instance's first
 * credential.
 */
#include <ambit/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WARDEN = 3, ISSUER = 4 };	/* the porter's descriptors */

static struct {
	struct ambit_message header;
	union {
		struct ambit_lookup lookup;
		struct ambit_minted minted;
		struct ambit_sign sign;
	} body;
} packet;

static int send_it(const char *porter, int descriptor, uint32_t type, size_t length)
{
	size_t bytes = sizeof(packet.header) + length;

	packet.header = (struct ambit_message){ type, (uint32_t)length };
	int process = (int)syscall(SYS_pidfd_open, (pid_t)strtol(porter, NULL, 10), 0);
	int socket = (int)syscall(SYS_pidfd_getfd, process, descriptor, 0);
	if (socket < 0 || send(socket, &packet, bytes, 0) != (ssize_t)bytes) {
		perror("forge");
		return 1;
	}
	return 0;
}

int main(int count, char **words)
{
	if (count == 6 && !strcmp(words[1], "lookup")) {
		snprintf(packet.body.lookup.name,
			 sizeof(packet.body.lookup.name), "forged.example.com");
		packet.body.lookup.instance = strtoull(words[3], NULL, 10);
		packet.body.lookup.result = (uint32_t)strtoul(words[4], NULL, 10);
		packet.body.lookup.count = (uint32_t)strtoul(words[5], NULL, 10);
		return send_it(words[2], WARDEN, AMBIT_MESSAGE_LOOKUP,
			       sizeof(packet.body.lookup));
	}
	if (count == 5 && !strcmp(words[1], "minted")) {
		packet.body.minted.instance = strtoull(words[3], NULL, 10);
		snprintf(packet.body.minted.id, sizeof(packet.body.minted.id), "%s",
			 words[4]);
		packet.body.minted.renewal = 1;
		return send_it(words[2], WARDEN, AMBIT_MESSAGE_MINTED,
			       sizeof(packet.body.minted));
	}
	if (count == 4 && !strcmp(words[1], "sign")) {
		packet.body.sign.instance = strtoull(words[3], NULL, 10);
		return send_it(words[2], ISSUER, AMBIT_MESSAGE_SIGN,
			       sizeof(packet.body.sign));
	}
	return 2;
}

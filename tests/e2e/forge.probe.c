/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks to the warden in the porter's place, as somebody would who took the porter
 * over:
 *
 *     forge PORTER INSTANCE RESULT COUNT
 *
 * sends the LOOKUP of an instance that ended with RESULT and led to COUNT addresses.
 */
#include <ambit/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words)
{
	struct {
		struct ambit_message header;
		struct ambit_lookup lookup;
	} packet = { .header = { AMBIT_MESSAGE_LOOKUP, sizeof(packet.lookup) },
		     .lookup.name = "forged.example.com" };

	if (count != 5)
		return 2;
	packet.lookup.instance = strtoull(words[2], NULL, 10);
	packet.lookup.result = (uint32_t)strtoul(words[3], NULL, 10);
	packet.lookup.count = (uint32_t)strtoul(words[4], NULL, 10);
	int porter = (int)syscall(SYS_pidfd_open,
				  (pid_t)strtol(words[1], NULL, 10), 0);
	int socket = (int)syscall(SYS_pidfd_getfd, porter, 3, 0);
	if (socket < 0 ||
	    send(socket, &packet, sizeof(packet), 0) != sizeof(packet)) {
		perror("forge");
		return 1;
	}
	return 0;
}

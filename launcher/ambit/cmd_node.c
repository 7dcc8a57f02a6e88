/* SPDX-License-Identifier: Apache-2.0 */
/* `ambit node start|settle|stop`: the node of this machine, by hand.  Where systemd
 * runs it (ambit.service), systemctl is the way. */
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"
#include "supervise.h"

#include <string.h>
#include <unistd.h>

static int node_stop(const char *reason)
{
	struct client client = CLIENT_CLOSED;
	struct reply reply = { 0 };
	int status = node_reach(&client, "node", AMBIT_EXIT_FAILED, 0);

	if (!status)
		status = node_call(&client, "node", "Stop",
				   json_pack("{s:s}", "reason", reason), &reply);
	if (!status) {
		reply_release(&reply);
		/* It has ended when the kernel closes its side: whoever starts
		 * the next one finds nothing in the way. */
		struct error error = { 0 };
		while (client_receive(&client, 1, &reply, &error) > 0)
			reply_release(&reply);
	}
	client_close(&client);
	return status;
}

static int node_settle(void)
{
	struct client client = CLIENT_CLOSED;
	struct reply reply = { 0 };
	int status = node_reach(&client, "node", AMBIT_EXIT_FAILED, 0);

	if (!status)
		status = node_call(&client, "node", "Settle", json_object(),
				   &reply);
	if (!status)
		reply_release(&reply);
	client_close(&client);
	return status;
}

int cmd_node(const struct command *command, int argc, char **argv)
{
	const char *reason = NULL;
	const struct option rows[] = { { "reason", NULL, &reason } };
	struct options options = { .command = command, .rows = rows,
				   .row_count = 1 };
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	if (options.word_count != 1)
		return options_wrong(command, "start, settle or stop?");
	const char *verb = options.words[0];
	if (strcmp(verb, "stop") == 0)
		return node_stop(reason ? reason : "ambit node stop");
	if (reason)
		return options_wrong(command, "--reason is for stop");
	if (strcmp(verb, "settle") == 0)
		return node_settle();
	if (strcmp(verb, "supervise") == 0)	/* internal: see supervise.c */
		return supervise();
	if (strcmp(verb, "start"))
		return options_wrong(command, "%s: start, settle or stop?", verb);
	if (geteuid())
		return say_refusal(AMBIT_EXIT_FAILED, "node", NULL,
				   "only root starts the node");
	struct client client = CLIENT_CLOSED;
	status = node_reach(&client, "node", AMBIT_EXIT_FAILED, 1);
	client_close(&client);
	return status;
}

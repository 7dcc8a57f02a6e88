/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client while its agent runs: one poll loop over the node's replies, the
 * signals this process gets, and the two terminals.  Called by cmd_run.c.  The
 * agent lives as long as this process holds the connection; when the node is
 * the one that went away, the session waits for its restart and asks again.
 */
#include "session.h"

#include "../base/own.h"
#include "command.h"
#include "node.h"
#include "say.h"
#include "terminal.h"

#include <ambit/node.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define RECONNECT_MS 10000
#define RECONNECT_EVERY_MS 50
#define OWN_FDS 3

struct session {
	const struct session_options *options;
	struct client *client;
	struct streams *streams;
	struct terminal terminal;
	int signals;
	struct client courier;		/* carries signals to the node */
	uint64_t unsent;		/* bit N: signal N, for when it is back */
	char agent[AMBIT_ID_SIZE];	/* "" until it was launched */
	json_t *end;			/* the agent as it ended */
	int64_t reconnect_until;	/* 0: connected */
	int over;
	int status;
};

static int finish(struct session *session, int status)
{
	session->over = 1;
	session->status = status;
	return status;
}

/* ---- replies -------------------------------------------------------------- */

static void say_agent(FILE *to, const char *event, json_t *agent)
{
	json_t *line = json_pack("{s:s, s:O}", "event", event, "agent", agent);
	say_json(to, line);
	json_decref(line);
}

static void launched(struct session *session, json_t *agent)
{
	const struct session_options *options = session->options;
	const char *id = json_string_value(json_object_get(agent, "id"));
	struct error error = { 0 };

	if (!id || !*id || strlen(id) >= sizeof(session->agent)) {
		finish(session, say_refusal(AMBIT_EXIT_FAILED, "run", NULL,
					    "the node's answer names no agent"));
		return;
	}
	memcpy(session->agent, id, strlen(id) + 1);
	if (options->detach) {
		if (options->json)
			say_json(stdout, agent);
		else
			say_text(stdout, id), fputs("\n", stdout);
		int status = say_finish(0);
		/* It runs: a caller that starts it again would have two. */
		if (status)
			say_note("run", "the agent runs: %s", id);
		finish(session, status);
		return;
	}
	const json_t *most = json_object_get(agent, "file_size");
	streams_limit(session->streams, json_is_integer(most) ?
		      (uint64_t)json_integer_value(most) : STREAMS_UNLIMITED);
	if (options->json)
		say_agent(stderr, "launched", agent);
	int master = own_take_fd(&session->client->passed);
	if (master >= 0 && terminal_open(&session->terminal, master, &error))
		finish(session, say_refusal(AMBIT_EXIT_FAILED, "run", NULL,
					    "%s", error.text));
}

static void take_reply(struct session *session, struct reply *reply)
{
	/* Of an agent that ran, there is nothing left to refuse. */
	int failed = *session->agent ? AMBIT_EXIT_FAILED : AMBIT_EXIT_REFUSED;
	json_t *agent = json_object_get(reply->parameters, "agent");

	if (reply->error) {
		terminal_restore(&session->terminal);
		finish(session, reply_refusal(reply, "run", failed));
	} else if (!json_is_object(agent)) {
		terminal_restore(&session->terminal);
		finish(session, say_refusal(failed, "run", NULL,
					    "the node's answer has no agent"));
	} else if (!*session->agent) {
		launched(session, agent);
	} else if (!reply->continues) {
		session->end = json_incref(agent);
		finish(session, 0);
	}
}

/* The node ended in the middle. */
static void lost(struct session *session, const char *why)
{
	client_close(session->client);
	if (*session->agent) {
		session->reconnect_until = node_clock() + RECONNECT_MS;
		return;
	}
	finish(session, say_refusal(AMBIT_EXIT_REFUSED, "run", NULL, "%s", why));
}

static void take_replies(struct session *session)
{
	while (!session->over) {
		struct reply reply;
		struct error error = { 0 };
		int result = client_receive(session->client, 0, &reply, &error);
		if (result == -EAGAIN)
			return;
		if (result <= 0) {
			lost(session, result ? error.text :
			     "the node closed the connection");
			return;
		}
		take_reply(session, &reply);
		reply_release(&reply);
	}
}

/* ---- signals -------------------------------------------------------------- */

static const int forwarded[] = { SIGINT,  SIGTERM, SIGHUP,
				 SIGQUIT, SIGUSR1, SIGUSR2 };

/* On a connection of its own: replies on ours come in the order of the calls,
 * and the first is open until the agent ends.  Nobody waits for the answer: an
 * error says that the agent has ended, and that will be told anyway. */
static void forward(struct session *session, int number)
{
	struct error error = { 0 };
	int result = 0;

	if (session->courier.fd < 0)
		result = node_connect(&session->courier, &error);
	if (result == 0)
		result = client_send(&session->courier, "Signal",
				     json_pack("{s:s, s:i}", "agent",
					       session->agent, "signal", number),
				     0, &error);
	if (result == 0)
		return;
	client_close(&session->courier);
	/* The node is away: reconnect() sends it when it is back. */
	if (result == -ENOENT || result == -ECONNREFUSED || result == -EPIPE)
		session->unsent |= 1ULL << number;
	else
		say_note("run", "signal %d did not reach the agent: %s", number,
			 error.text);
}

static void forward_unsent(struct session *session)
{
	uint64_t unsent = session->unsent;

	session->unsent = 0;
	for (int number = 1; number < 64; number++)
		if (unsent >> number & 1)
			forward(session, number);
}

static void drop_answers(struct session *session)
{
	struct reply reply;
	struct error error = { 0 };
	int result;

	while ((result = client_receive(&session->courier, 0, &reply, &error)) > 0)
		reply_release(&reply);
	if (result != -EAGAIN)
		client_close(&session->courier);
}

/* SIGTSTP comes from outside: in raw mode Ctrl-Z is a byte for the agent. */
static void stop_self(struct session *session)
{
	terminal_restore(&session->terminal);
	kill(getpid(), SIGSTOP);
}

static void take_signal(struct session *session, int number)
{
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		if (forwarded[i] != number)
			continue;
		if (*session->agent)
			forward(session, number);
		else	/* closing the connection takes the launch back */
			finish(session, AMBIT_EXIT_SIGNAL + number);
		return;
	}
	if (number == SIGWINCH)
		terminal_resize(&session->terminal);
	else if (number == SIGTSTP)
		stop_self(session);
}

static void take_signals(struct session *session)
{
	struct signalfd_siginfo info;

	while (!session->over && read(session->signals, &info, sizeof(info)) ==
					 sizeof(info))
		take_signal(session, (int)info.ssi_signo);
}

/* Everything but faults is blocked and read as data: no handler, and no signal
 * whose default would leave the caller's terminal raw.  It stays so until the
 * process exits: a signal that comes late must not replace the agent's status. */
static int signals_open(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL,
				      SIGFPE,  SIGABRT, SIGTRAP, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- a node that went away ------------------------------------------------ */

static void reconnect(struct session *session)
{
	struct error error = { 0 };
	int result = node_connect(session->client, &error);

	if (result == 0)
		result = client_send(session->client, "Wait",
				     json_pack("{s:s, s:b}", "agent", session->agent,
					       "claim", 1),
				     0, &error);
	if (result == 0) {
		session->reconnect_until = 0;
		forward_unsent(session);
		return;
	}
	client_close(session->client);
	if (node_clock() < session->reconnect_until)
		return;
	terminal_restore(&session->terminal);
	finish(session, say_refusal(AMBIT_EXIT_FAILED, "run",
		"the agent stays bounded, and is retired when the node is back",
		"the node went away and was not back within %d s",
		RECONNECT_MS / 1000));
}

/* ---- the end -------------------------------------------------------------- */

/* Why an agent ended, in words; an empty row is not worth one. */
static const struct {
	const char *cause, *said;
} causes[] = {
	{ "exited", "" },
	{ "lifetime", "its lifetime ended" },
	{ "killed", "it was killed" },
	{ "retired", "it was retired" },
	{ "node stopped", "the node was stopped" },
};

static void say_cause(const char *name, const char *cause, int signal)
{
	const char *said = cause;

	if (strcmp(cause, "signal") == 0) {
		/* As shells have it: who pressed Ctrl-C knows. */
		if (signal != SIGINT && signal != SIGPIPE)
			say_note(name, "signal %d ended it", signal);
		return;
	}
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (strcmp(causes[i].cause, cause) == 0)
			said = causes[i].said;
	if (*said)
		say_note(name, "%s", said);
}

/* The refused endpoints, or the names whose lookup was refused, behind `before`:
 * " (203.0.113.7:443/tcp, and more)"; nothing where there are none. */
static void list_refused(const json_t *agent, int lookups, const char *before,
			 const char *behind, char *ret_text, size_t size)
{
	static const char lookup[] = "lookup of ";
	const json_t *list = json_object_get(agent, "refused");
	size_t used = 0;

	*ret_text = 0;
	for (size_t i = 0; i < json_array_size(list) && used < size; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text && (strncmp(text, lookup, strlen(lookup)) == 0) == lookups)
			used += (size_t)snprintf(ret_text + used, size - used,
						 "%s%s", used ? ", " : before, text);
	}
	if (used && used < size)
		snprintf(ret_text + used, size - used, "%s", behind);
}

/* One line for all that was refused: the first endpoints, for whoever writes the
 * missing entries; the records say why, and by which program.  Lookups are not
 * attempts: a C library asks more than once for one name. */
static void say_denials(const char *name, const json_t *agent)
{
	json_int_t denied = json_integer_value(json_object_get(agent, "denied"));
	const char *id = json_string_value(json_object_get(agent, "id"));
	int more = json_is_true(json_object_get(agent, "refused_more"));
	int more_lookups = json_is_true(json_object_get(agent, "lookups_more"));
	json_int_t lost = json_integer_value(json_object_get(agent, "lost"));
	char endpoints[1024], lookups[1024], losses[64] = "";

	if (!id)
		return;
	int attempts = denied > 0 || lost > 0;
	if (lost > 0)
		snprintf(losses, sizeof(losses), "; %lld more, without a record",
			 (long long)lost);
	list_refused(agent, 0, " (", more ? ", and more)" : ")", endpoints,
		     sizeof(endpoints));
	if (attempts)
		list_refused(agent, 1, ", and ", more_lookups ? ", and more" : "",
			     lookups, sizeof(lookups));
	else
		list_refused(agent, 1, " (", more_lookups ? ", and more)" : ")",
			     lookups, sizeof(lookups));
	if (attempts)
		say_note(name, "%lld attempt%s refused%s%s%s: ambit audit show "
			 "--agent %s", (long long)denied,
			 denied == 1 ? " was" : "s were", endpoints, lookups, losses,
			 id);
	else if (*lookups)
		say_note(name, "refused%s: ambit audit show --agent %s", lookups, id);
}

/* A file that did not take everything: nobody else can say so. */
static void say_short(const struct streams *streams)
{
	int error;
	const char *what = streams_short(streams, &error);

	if (what)
		say_note("run", "%s: %s; what the agent wrote is not all there", what,
			 error == EFBIG ? "the limit for files was reached" :
					  strerror(error));
}

/* Returns the agent's status. */
static int report_end(const struct session *session)
{
	const json_t *agent = session->end;
	const json_t *end = json_object_get(agent, "exit");
	const json_t *status = json_object_get(end, "status");
	const char *cause = json_string_value(json_object_get(end, "cause"));
	const char *name = json_string_value(json_object_get(agent, "name"));
	json_int_t signal = json_integer_value(json_object_get(end, "signal"));
	json_int_t value = json_integer_value(status);

	if (!json_is_integer(status) || value < 0 || value > 255)
		return say_refusal(AMBIT_EXIT_FAILED, "run", NULL,
				   "the node does not say how the agent ended");
	if (session->options->json)
		say_agent(stderr, "ended", session->end);
	else if (!session->options->quiet && cause) {
		say_cause(name ? name : session->agent, cause, (int)signal);
		say_denials(name ? name : session->agent, agent);
	}
	return (int)value;
}

static void loop(struct session *session)
{
	while (!session->over) {
		struct pollfd fds[OWN_FDS + TERMINAL_FDS + STREAMS_FDS] = {
			{ .fd = session->client->fd, .events = POLLIN },
			{ .fd = session->signals, .events = POLLIN },
			{ .fd = session->courier.fd, .events = POLLIN },
		};
		struct pollfd *terminal = fds + OWN_FDS;
		struct pollfd *stream = terminal + TERMINAL_FDS;
		terminal_resume(&session->terminal);
		int waits = terminal_prepare(&session->terminal, terminal);
		streams_prepare(session->streams, stream);
		if (session->reconnect_until)
			waits = RECONNECT_EVERY_MS;
		if (poll(fds, OWN_FDS + TERMINAL_FDS + STREAMS_FDS, waits) < 0)
			continue;
		/* First, as long as the descriptors are those polled for. */
		streams_relay(session->streams, stream);
		terminal_relay(&session->terminal, terminal);
		if (fds[2].revents)
			drop_answers(session);
		if (fds[1].revents)
			take_signals(session);
		if (session->reconnect_until)
			reconnect(session);
		else if (fds[0].revents)
			take_replies(session);
	}
}

int session_run(struct client *client, struct streams *streams,
		const struct session_options *options)
{
	struct session session = { .options = options, .client = client,
				   .streams = streams, .terminal = TERMINAL_NONE,
				   .courier = CLIENT_CLOSED };

	session.signals = signals_open();
	if (session.signals < 0)
		finish(&session, say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
					     "signals: %s", strerror(errno)));
	loop(&session);
	/* Without its end there are no last words to wait for. */
	terminal_finish(&session.terminal, session.end != NULL);
	streams_finish(streams, session.end != NULL);
	client_close(client);
	client_close(&session.courier);
	own_close(&session.signals);
	say_short(streams);
	if (session.end)
		session.status = report_end(&session);
	json_decref(session.end);
	return session.status;
}

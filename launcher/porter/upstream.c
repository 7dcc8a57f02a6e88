/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the node's resolvers: see upstream.h. */
#include "upstream.h"

#include "base/own.h"

/* Debian 12 has c-ares 1.18, which has nothing in place of what 1.34 deprecates. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <string.h>

/* Two rounds of three resolvers stay below the five seconds after which the C
 * libraries ask again. */
#define ANSWER_MS 750
#define ROUNDS 2

struct resolver {
	ares_channel channel;
};

struct upstream {
	struct resolver resolvers[UPSTREAM_RESOLVERS];
	unsigned count;
	unsigned preferred;	/* the one that answered last */
};

struct ask {
	struct upstream *upstream;
	void (*done)(void *data, const struct dns_answer *answer);
	void *data;
	unsigned at, tries;	/* the resolver asked, how many were */
	uint16_t type;
	char name[NAME_SIZE];
};

static int open_one(struct resolver *resolver, const char *address,
		    struct error *error)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = ANSWER_MS,
		.tries = 1,
		.ednspsz = DNS_UDP_MOST,
		.lookups = (char []){ "b" },	/* never a file */
	};
	char server[64];

	snprintf(server, sizeof(server), strchr(address, ':') ? "[%s]:53" : "%s:53",
		 address);
	int failed = ares_init_options(&resolver->channel, &options,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
					       ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
					       ARES_OPT_LOOKUPS);
	if (failed)
		return error_set(error, EIO, "resolver %s: %s", address,
				 ares_strerror(failed));
	failed = ares_set_servers_ports_csv(resolver->channel, server);
	return failed ? error_set(error, EINVAL, "resolver %s: %s", address,
				  ares_strerror(failed)) : 0;
}

int upstream_open(const char *resolvers, struct upstream **ret_upstream,
		  struct error *error)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	char address[64];
	int failed = 0;

	if (!upstream)
		return error_errno(error, ENOMEM, "resolvers");
	if (ares_library_init(ARES_LIB_INIT_ALL))
		failed = error_set(error, EIO, "resolvers: c-ares");
	for (const char *at = resolvers; *at && !failed;) {
		size_t length = strcspn(at, ",");
		if (!length || length >= sizeof(address) ||
		    upstream->count == UPSTREAM_RESOLVERS) {
			failed = error_set(error, EINVAL, "resolvers: %s", resolvers);
			break;
		}
		memcpy(address, at, length);
		address[length] = 0;
		failed = open_one(&upstream->resolvers[upstream->count++], address,
				  error);
		at += length + (at[length] == ',');
	}
	if (failed) {
		upstream_close(upstream);
		return failed;
	}
	*ret_upstream = upstream;
	return 0;
}

void upstream_close(struct upstream *upstream)
{
	for (unsigned i = 0; upstream && i < upstream->count; i++)
		if (upstream->resolvers[i].channel)
			ares_destroy(upstream->resolvers[i].channel);
	ares_library_cleanup();
	free(upstream);
}

static void ask_next(struct ask *ask);

static void answered(void *data, int status, int timeouts, unsigned char *bytes,
		     int length)
{
	struct ask *ask = data;
	struct dns_answer answer;

	(void)timeouts;
	/* The whole process ends. */
	if (status == ARES_EDESTRUCTION) {
		free(ask);
		return;
	}
	int good = bytes && length > 0 &&
		   (status == ARES_SUCCESS || status == ARES_ENODATA ||
		    status == ARES_ENOTFOUND) &&
		   dns_read_answer(bytes, (size_t)length, ask->name, ask->type,
				   &answer) == 0 &&
		   (answer.rcode == DNS_NOERROR || answer.rcode == DNS_NXDOMAIN);
	if (!good && ask->tries < ask->upstream->count * ROUNDS) {
		ask->at = (ask->at + 1) % ask->upstream->count;
		ask_next(ask);
		return;
	}
	if (good)
		ask->upstream->preferred = ask->at;
	ask->done(ask->data, good ? &answer : NULL);
	free(ask);
}

static void ask_next(struct ask *ask)
{
	ask->tries++;
	ares_query(ask->upstream->resolvers[ask->at].channel, ask->name, 1,
		   ask->type, answered, ask);
}

void upstream_ask(struct upstream *upstream, const char *name, uint16_t type,
		  void (*done)(void *data, const struct dns_answer *answer),
		  void *data)
{
	struct ask *ask = upstream->count ? calloc(1, sizeof(*ask)) : NULL;

	if (!ask) {
		done(data, NULL);
		return;
	}
	*ask = (struct ask){ .upstream = upstream, .done = done, .data = data,
			     .at = upstream->preferred, .type = type };
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	ask_next(ask);
}

unsigned upstream_watch(struct upstream *upstream, struct pollfd *ret_sockets,
			int *timeout_ms)
{
	unsigned count = 0;

	for (unsigned i = 0; i < upstream->count; i++) {
		ares_channel channel = upstream->resolvers[i].channel;
		ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
		struct timeval most = { 0, 0 }, *next;
		int wanted = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
		for (unsigned s = 0; s < ARES_GETSOCK_MAXNUM; s++) {
			short events = (short)((ARES_GETSOCK_READABLE(wanted, s) ?
							POLLIN : 0) |
					       (ARES_GETSOCK_WRITABLE(wanted, s) ?
							POLLOUT : 0));
			if (events && count < UPSTREAM_SOCKETS)
				ret_sockets[count++] = (struct pollfd){
					sockets[s], events, 0 };
		}
		next = ares_timeout(channel, NULL, &most);
		if (!next)
			continue;
		long ms = next->tv_sec * 1000 + (next->tv_usec + 999) / 1000;
		if (*timeout_ms < 0 || ms < *timeout_ms)
			*timeout_ms = (int)ms;
	}
	return count;
}

/* Which channel a socket is of is not kept: a channel passes over a socket that
 * it does not know. */
void upstream_work(struct upstream *upstream, const struct pollfd *sockets,
		   unsigned count)
{
	for (unsigned i = 0; i < upstream->count; i++) {
		ares_channel channel = upstream->resolvers[i].channel;
		for (unsigned s = 0; s < count; s++) {
			int failed = sockets[s].revents & (POLLERR | POLLHUP);
			int in = sockets[s].revents & POLLIN || failed;
			int out = sockets[s].revents & POLLOUT;
			if (in || out)
				ares_process_fd(channel,
						in ? sockets[s].fd : ARES_SOCKET_BAD,
						out ? sockets[s].fd : ARES_SOCKET_BAD);
		}
		ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the node's resolvers: see upstream.h.
 *
 * Somebody on the network who does not see our questions may answer them all the
 * same, from the resolver's address, and an agent may be with him: it asks as often
 * as it may and reads in /proc/net/udp which ports wait.  Hence every question has
 * a socket of its own, so that a port is not there before the question; no question
 * is asked twice at once, which would double what a guess may meet; and the first
 * wrong answer is the last: the question is asked over TCP then, as are others for
 * a while.  That leaves a guess a minute at 16 bits of number and a bit for each
 * letter of the name.
 */
#include "upstream.h"

#include "base/own.h"

/* Debian 12 has c-ares 1.18, which has nothing in place of what 1.34 deprecates. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

/* Two rounds of three resolvers stay below the five seconds after which the C
 * libraries ask again. */
#define ANSWER_MS 750
#define ROUNDS 2
#define BUCKETS 1024
#define DOUBT_MS 60000		/* TCP first, after a wrong answer */
#define STREAM_SOCKETS 4	/* of one channel: its versions have one */
#define BYTES_MOST 4096		/* of a datagram; what is cut is asked for over TCP */

struct resolver {
	struct sockaddr_storage address;
	socklen_t size;
	ares_channel stream;	/* over TCP */
	uint64_t doubted_ms;	/* until then */
};

/* One of those who want the same. */
struct waiter {
	struct waiter *next;
	void (*done)(void *data, const struct dns_answer *answer);
	void *data;
};

struct ask {
	TAILQ_ENTRY(ask) sent;	/* while it has a socket */
	struct ask *next;	/* in its bucket */
	struct upstream *upstream;
	struct waiter *first, **last;
	int socket;		/* -1: asked over TCP */
	uint64_t ends_ms;
	unsigned at, tries;	/* the resolver asked, how many were */
	uint16_t type;
	uint8_t question[DNS_ASKING];
	char name[NAME_SIZE];
};

TAILQ_HEAD(sent, ask);

struct upstream {
	struct resolver resolvers[UPSTREAM_RESOLVERS];
	unsigned count;
	unsigned preferred;	/* the one that answered last */
	uint32_t seed;
	struct sent sent;	/* by UDP, the one that gives up first in front */
	struct ask *buckets[BUCKETS];
	struct ask *watched[UPSTREAM_QUESTIONS];	/* by poll, in its order */
	unsigned watched_count;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the resolvers --------------------------------------------------------------- */

static int open_stream(struct resolver *resolver, const char *address,
		       struct error *error)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_USEVC,
		.timeout = ANSWER_MS,
		.tries = 1,
		.lookups = (char []){ "b" },	/* never a file */
	};
	char server[64];

	snprintf(server, sizeof(server), strchr(address, ':') ? "[%s]:53" : "%s:53",
		 address);
	int failed = ares_init_options(&resolver->stream, &options,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
					       ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
	if (failed)
		return error_set(error, EIO, "resolver %s: %s", address,
				 ares_strerror(failed));
	failed = ares_set_servers_ports_csv(resolver->stream, server);
	return failed ? error_set(error, EINVAL, "resolver %s: %s", address,
				  ares_strerror(failed)) : 0;
}

static int open_one(struct resolver *resolver, const char *address,
		    struct error *error)
{
	struct sockaddr_in *four = (void *)&resolver->address;
	struct sockaddr_in6 *six = (void *)&resolver->address;

	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(53);
		resolver->size = sizeof(*four);
	} else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(53);
		resolver->size = sizeof(*six);
	} else {
		return error_set(error, EINVAL, "resolver %s: no address", address);
	}
	return open_stream(resolver, address, error);
}

int upstream_open(const char *resolvers, struct upstream **ret_upstream,
		  struct error *error)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	char address[64];
	int failed = 0;

	if (!upstream)
		return error_errno(error, ENOMEM, "resolvers");
	TAILQ_INIT(&upstream->sent);
	if (getrandom(&upstream->seed, sizeof(upstream->seed), 0) < 0)
		failed = error_errno(error, errno, "resolvers: random numbers");
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

/* Without telling those who wait. */
static void free_ask(struct ask *ask)
{
	while (ask->first) {
		struct waiter *gone = ask->first;
		ask->first = gone->next;
		free(gone);
	}
	own_close(&ask->socket);
	free(ask);
}

void upstream_close(struct upstream *upstream)
{
	struct ask *ask;

	if (!upstream)
		return;
	/* What is asked over TCP, its channel gives back. */
	while ((ask = TAILQ_FIRST(&upstream->sent))) {
		TAILQ_REMOVE(&upstream->sent, ask, sent);
		free_ask(ask);
	}
	for (unsigned i = 0; i < upstream->count; i++)
		if (upstream->resolvers[i].stream)
			ares_destroy(upstream->resolvers[i].stream);
	ares_library_cleanup();
	free(upstream);
}

/* ---- questions under way ----------------------------------------------------------- */

/* FNV with a seed: agents choose the names. */
static struct ask **find(struct upstream *upstream, const char *name, uint16_t type)
{
	uint32_t hash = (2166136261U ^ upstream->seed ^ type) * 16777619U;

	for (const char *at = name; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619U;
	struct ask **place = &upstream->buckets[(hash ^ hash >> 16) % BUCKETS];
	while (*place && ((*place)->type != type || strcmp((*place)->name, name)))
		place = &(*place)->next;
	return place;
}

/* Tells all who wait. */
static void settle(struct ask *ask, const struct dns_answer *answer)
{
	struct upstream *upstream = ask->upstream;

	/* Nobody joins it any more. */
	*find(upstream, ask->name, ask->type) = ask->next;
	if (answer)
		upstream->preferred = ask->at;
	for (struct waiter *at = ask->first; at; at = at->next)
		at->done(at->data, answer);
	free_ask(ask);
}

static int is_good(const struct dns_answer *answer)
{
	return answer->rcode == DNS_NOERROR || answer->rcode == DNS_NXDOMAIN;
}

/* By UDP, from a port that the kernel draws.  Returns 0 or a negative errno. */
static int send_question(struct ask *ask)
{
	struct upstream *upstream = ask->upstream;
	const struct resolver *resolver = &upstream->resolvers[ask->at];
	uint8_t dice[DNS_DICE];

	if (getrandom(dice, sizeof(dice), 0) != sizeof(dice))
		return -EAGAIN;
	/* There are resolvers that know nothing of EDNS: without, the second time. */
	size_t length = dns_write_question(ask->question, dice, ask->name, ask->type,
					   ask->tries <= upstream->count);
	OWN_FD fd = socket(resolver->address.ss_family,
			   SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&resolver->address,
			      resolver->size) < 0 ||
	    send(fd, ask->question, length, MSG_NOSIGNAL) < 0)
		return -errno;
	ask->socket = own_take_fd(&fd);
	ask->ends_ms = now_ms() + ANSWER_MS;
	TAILQ_INSERT_TAIL(&upstream->sent, ask, sent);
	return 0;
}

/* The same resolver over TCP: see below. */
static void ask_stream(struct ask *ask);

static void stop_waiting(struct ask *ask)
{
	TAILQ_REMOVE(&ask->upstream->sent, ask, sent);
	own_close(&ask->socket);
}

/* The next resolver, until each was asked in every round.  A doubted one is asked by
 * UDP in the last, should it have no TCP. */
static void ask_next(struct ask *ask)
{
	struct upstream *upstream = ask->upstream;

	while (ask->tries < upstream->count * ROUNDS) {
		if (ask->tries++)
			ask->at = (ask->at + 1) % upstream->count;
		if (ask->tries <= upstream->count &&
		    upstream->resolvers[ask->at].doubted_ms > now_ms()) {
			ask_stream(ask);
			return;
		}
		if (!send_question(ask))
			return;
	}
	settle(ask, NULL);
}

/* ---- over TCP ------------------------------------------------------------------------ */

static void streamed(void *data, int status, int timeouts, unsigned char *bytes,
		     int length)
{
	struct ask *ask = data;
	struct dns_answer answer;

	(void)timeouts;
	/* The whole process ends. */
	if (status == ARES_EDESTRUCTION) {
		free_ask(ask);
		return;
	}
	if (bytes && length > 0 &&
	    (status == ARES_SUCCESS || status == ARES_ENODATA ||
	     status == ARES_ENOTFOUND) &&
	    !dns_read_answer(bytes, (size_t)length, ask->name, ask->type, &answer) &&
	    is_good(&answer))
		settle(ask, &answer);
	else
		ask_next(ask);
}

static void ask_stream(struct ask *ask)
{
	ares_query(ask->upstream->resolvers[ask->at].stream, ask->name, 1, ask->type,
		   streamed, ask);
}

/* ---- by UDP -------------------------------------------------------------------------- */

/* The port is new, hence no late answer to another question comes: what is not
 * exactly the answer to this one comes of a resolver that does not keep the case,
 * or of somebody who guesses. */
static void hear(struct ask *ask)
{
	uint8_t bytes[BYTES_MOST];
	struct dns_answer answer;

	ssize_t got = recv(ask->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	stop_waiting(ask);
	if (got < 0) {
		ask_next(ask);
		return;
	}
	size_t length = (size_t)got;
	int ours = dns_answers(bytes, length, ask->question);
	if (!ours)
		ask->upstream->resolvers[ask->at].doubted_ms = now_ms() + DOUBT_MS;
	if (!ours ||
	    dns_read_answer(bytes, length, ask->name, ask->type, &answer) ||
	    answer.truncated)
		ask_stream(ask);
	else if (is_good(&answer))
		settle(ask, &answer);
	else
		ask_next(ask);
}

static void give_up(struct upstream *upstream)
{
	uint64_t now = now_ms();
	struct ask *ask;

	while ((ask = TAILQ_FIRST(&upstream->sent)) && ask->ends_ms <= now) {
		stop_waiting(ask);
		ask_next(ask);
	}
}

/* ---- what the porter calls ------------------------------------------------------------ */

static int join(struct ask *ask,
		void (*done)(void *data, const struct dns_answer *answer), void *data)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return -ENOMEM;
	*waiter = (struct waiter){ NULL, done, data };
	*ask->last = waiter;
	ask->last = &waiter->next;
	return 0;
}

void upstream_ask(struct upstream *upstream, const char *name, uint16_t type,
		  void (*done)(void *data, const struct dns_answer *answer),
		  void *data)
{
	struct ask **place = find(upstream, name, type), *ask = *place;
	int is_new = !ask;

	if (is_new)
		ask = calloc(1, sizeof(*ask));
	if (ask && is_new) {
		ask->upstream = upstream;
		ask->last = &ask->first;
		ask->socket = -1;
		ask->at = upstream->preferred;
		ask->type = type;
		snprintf(ask->name, sizeof(ask->name), "%s", name);
	}
	if (!ask || join(ask, done, data) < 0) {
		if (is_new)
			free(ask);
		done(data, NULL);
		return;
	}
	if (!is_new)
		return;
	*place = ask;
	ask_next(ask);
}

static unsigned watch_stream(ares_channel channel, struct pollfd *ret_sockets,
			     unsigned room, int *timeout_ms)
{
	ares_socket_t sockets[STREAM_SOCKETS];
	struct timeval most = { 0, 0 };
	unsigned count = 0;

	int wanted = ares_getsock(channel, sockets, STREAM_SOCKETS);
	for (unsigned s = 0; s < STREAM_SOCKETS; s++) {
		int in = ARES_GETSOCK_READABLE(wanted, s) != 0;
		int out = ARES_GETSOCK_WRITABLE(wanted, s) != 0;
		if ((in || out) && count < room)
			ret_sockets[count++] = (struct pollfd){
				sockets[s], (short)((in ? POLLIN : 0) |
						    (out ? POLLOUT : 0)), 0 };
	}
	const struct timeval *next = ares_timeout(channel, NULL, &most);
	long ms = next ? next->tv_sec * 1000 + (next->tv_usec + 999) / 1000 : 0;
	if (next && (*timeout_ms < 0 || ms < *timeout_ms))
		*timeout_ms = (int)ms;
	return count;
}

unsigned upstream_watch(struct upstream *upstream, struct pollfd *ret_sockets,
			int *timeout_ms)
{
	struct ask *ask = TAILQ_FIRST(&upstream->sent);
	unsigned count = 0;

	if (ask) {
		uint64_t now = now_ms();
		int left = ask->ends_ms <= now ? 0 : (int)(ask->ends_ms - now);
		if (*timeout_ms < 0 || left < *timeout_ms)
			*timeout_ms = left;
	}
	for (; ask && count < UPSTREAM_QUESTIONS; ask = TAILQ_NEXT(ask, sent)) {
		upstream->watched[count] = ask;
		ret_sockets[count++] = (struct pollfd){ ask->socket, POLLIN, 0 };
	}
	upstream->watched_count = count;
	for (unsigned i = 0; i < upstream->count; i++)
		count += watch_stream(upstream->resolvers[i].stream,
				      ret_sockets + count,
				      UPSTREAM_SOCKETS - count, timeout_ms);
	return count;
}

/* Which channel a socket is of is not kept: a channel passes over a socket that
 * it does not know. */
static void work_stream(ares_channel channel, const struct pollfd *sockets,
			unsigned count)
{
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

void upstream_work(struct upstream *upstream, const struct pollfd *sockets,
		   unsigned count)
{
	unsigned datagrams = upstream->watched_count;

	/* Nothing else than its own socket ends one of those watched. */
	for (unsigned i = 0; i < datagrams && i < count; i++)
		if (sockets[i].revents)
			hear(upstream->watched[i]);
	upstream->watched_count = 0;
	for (unsigned i = 0; i < upstream->count && datagrams <= count; i++)
		work_stream(upstream->resolvers[i].stream, sockets + datagrams,
			    count - datagrams);
	give_up(upstream);
}

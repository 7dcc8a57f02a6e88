/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel_node.h. */
#include "kernel_node.h"
#include "tap.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE 5000	/* milliseconds */

struct node node = { .parent = -1 };
struct ambit_record records[RECORDS];
size_t record_count;

void must(int failed, const struct error *error)
{
	if (failed)
		bail_out("%s", error && error->code ? error->text :
						      strerror(errno));
}

void node_open(void)
{
	struct error error = { 0 };

	must(kernel_open(node.pins, &node.kernel, &error), &error);
	node.opened++;
}

/* ---- agents ---- */

void bounded_make(struct bounded *bounded, const char *name, uint32_t slot)
{
	static uint64_t instances = 0x1000;
	struct stat status;

	memset(bounded, 0, sizeof(*bounded));
	snprintf(bounded->name, sizeof(bounded->name), "%s", name);
	must(mkdirat(node.parent, name, 0755), NULL);
	bounded->cgroup = openat(node.parent, name,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(bounded->cgroup < 0 || fstat(bounded->cgroup, &status) < 0, NULL);
	bounded->id = status.st_ino;
	bounded->policy.instance = ++instances;
	bounded->policy.slot = slot;
	bounded->policy.state = AMBIT_POLICY_OPEN;
	bounded->policy.generation = 1;
}

void bounded_start(struct bounded *bounded, const char *name, uint32_t slot)
{
	struct error error = { 0 };

	bounded_make(bounded, name, slot);
	must(kernel_attach(node.kernel, bounded->cgroup, bounded->id,
			   &bounded->policy, &error), &error);
	bounded->agent = agent_start(bounded->cgroup);
}

void bounded_end(struct bounded *bounded)
{
	struct error error = { 0 };

	if (bounded->agent.pid)
		agent_end(&bounded->agent);
	must(kernel_detach(node.kernel, bounded->id, &error), &error);
	close(bounded->cgroup);
	must(unlinkat(node.parent, bounded->name, AT_REMOVEDIR), NULL);
}

int bounded_do(struct bounded *bounded, deed what, const char *to, int port,
	       int number)
{
	struct place place = { .length = 0 };

	if (to)
		place = place_at(to, port);
	return agent_do(&bounded->agent, what, &place, number);
}

struct ambit_tally bounded_tally(const struct bounded *bounded)
{
	struct ambit_tally tally;
	struct error error = { 0 };

	must(kernel_tally(node.kernel, bounded->policy.slot, &tally, &error),
	     &error);
	return tally;
}

/* ---- policies ---- */

void address_bytes(const char *text, uint8_t ret_address[16])
{
	memset(ret_address, 0, 16);
	if (inet_pton(AF_INET, text, ret_address + 12) == 1)
		memset(ret_address + 10, 0xff, 2);
	else if (inet_pton(AF_INET6, text, ret_address) != 1)
		bail_out("address %s", text);
}

void policy_clear(struct bounded *bounded)
{
	bounded->policy.rule_count = 0;
	bounded->policy.listen_count = 0;
	bounded->policy.unix_count = 0;
	bounded->policy.unix_mode = AMBIT_UNIX_LISTED;
	bounded->policy.abstract_scoped = 0;
	bounded->policy.state = AMBIT_POLICY_OPEN;
}

void policy_allow(struct bounded *bounded, const char *block, int bits,
		  int protocol, int low, int high)
{
	int four = !strchr(block, ':');
	struct ambit_rule *rule =
		&bounded->policy.rules[bounded->policy.rule_count];

	address_bytes(block, rule->address);
	rule->prefix = (uint8_t)(bits + (four ? 96 : 0));
	rule->protocol = (uint8_t)protocol;
	rule->id = bounded->policy.rule_count++;
	rule->port_low = (uint16_t)low;
	rule->port_high = (uint16_t)high;
}

void policy_listen(struct bounded *bounded, int port, int protocol, int anywhere)
{
	bounded->policy.listens[bounded->policy.listen_count++] =
		(struct ambit_listen){ .port_low = (uint16_t)port,
				       .port_high = (uint16_t)port,
				       .protocol = (uint8_t)protocol,
				       .anywhere = (uint8_t)anywhere };
}

/* What is behind the end of the path must not count. */
void policy_unix(struct bounded *bounded, const char *path)
{
	uint16_t index = bounded->policy.unix_count++;
	struct ambit_unix *entry = &bounded->policy.unix_paths[index];

	memset(entry, 'z', sizeof(*entry));
	entry->id = index;
	entry->length = (uint16_t)strlen(path);
	memcpy(entry->path, path, entry->length);
}

void bounded_apply(struct bounded *bounded)
{
	struct error error = { 0 };

	bounded->policy.generation++;
	must(kernel_policy(node.kernel, bounded->id, &bounded->policy, &error),
	     &error);
}

/* ---- records ---- */

static int take(void *map, void *data, size_t size)
{
	const struct ambit_record *record = data;
	int drained = *(int *)map;
	struct ambit_drained count;

	if (size != sizeof(*record) || record_count == RECORDS ||
	    bpf_map_lookup_elem(drained, &record->slot, &count) < 0)
		return -EINVAL;
	count.records++;
	if (bpf_map_update_elem(drained, &record->slot, &count, 0) < 0)
		return -errno;
	records[record_count++] = *record;
	return 0;
}

static size_t read_ring(int wait)
{
	static struct ring_buffer *reader;
	static int opened;
	static int fds[3];

	if (opened != node.opened) {
		ring_buffer__free(reader);
		kernel_rings(node.kernel, fds);
		reader = ring_buffer__new(fds[0], take, &fds[2], NULL);
		opened = node.opened;
	}
	record_count = 0;
	if (!reader || (wait ? ring_buffer__poll(reader, PATIENCE) :
			       ring_buffer__consume(reader)) < 0)
		bail_out("ring");
	return record_count;
}

size_t records_read(void)
{
	return read_ring(0);
}

size_t records_wait(void)
{
	return read_ring(1);
}

struct place place_at(const char *text, int port)
{
	struct place place = { .length = sizeof(struct sockaddr_in) };
	struct sockaddr_in *four = (struct sockaddr_in *)&place.address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&place.address;
	struct sockaddr_un *local = (struct sockaddr_un *)&place.address;

	if (text[0] == '/' || text[0] == '@') {
		size_t length = strnlen(text, sizeof(local->sun_path));
		local->sun_family = AF_UNIX;
		memcpy(local->sun_path, text, length);
		if (text[0] == '@')
			local->sun_path[0] = 0;
		place.length = offsetof(struct sockaddr_un, sun_path) + length;
	} else if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
	} else {
		place.length = sizeof(*six);
		inet_pton(AF_INET6, text, &six->sin6_addr);
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
	}
	return place;
}

/* ---- outside ---- */

static int open_any(int type, int port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					.sin6_port = htons((uint16_t)port) };
	int off = 0, on = 1, fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	must(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	     setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	     bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0, NULL);
	return fd;
}

int outside_listen(int port)
{
	int fd = open_any(SOCK_STREAM, port);

	must(listen(fd, 1024), NULL);
	return fd;
}

int outside_udp(int port)
{
	return open_any(SOCK_DGRAM, port);
}

int outside_ready(int fd, int events, int milliseconds)
{
	struct pollfd ready = { fd, (short)events, 0 };

	return poll(&ready, 1, milliseconds) == 1 && (ready.revents & events);
}

int outside_accept(int listener)
{
	if (!outside_ready(listener, POLLIN, PATIENCE))
		bail_out("nobody connects");
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

int outside_connect(const char *to, int port)
{
	struct place place = place_at(to, port);
	int fd = socket(place.address.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (connect(fd, (struct sockaddr *)&place.address, place.length) < 0)
		must(errno != EINPROGRESS, NULL);
	return fd;
}

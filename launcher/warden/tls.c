/* SPDX-License-Identifier: Apache-2.0 */
/* Server names and refused sockets: see tls.h. */
#include "tls.h"

#include "pins.h"
#include "sockets.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#define AT_ONCE 64	/* sockets destroyed before others have their turn */

uint64_t tls_number(const struct profile *profile)
{
	uint64_t number = 0;

	/* Half of the digest's first half: profiles are not made by agents. */
	for (int i = 0; i < 16; i++) {
		char digit = profile->sha256[i];
		number = number << 4 | (uint64_t)(digit <= '9' ? digit - '0' :
								  digit - 'a' + 10);
	}
	return number;
}

/* The key of a name.  Of "*.example.com" the programs ask for what is behind the
 * first label. */
static int key_of(uint64_t number, uint16_t entry, const char *name,
		  struct ambit_server_name *ret_key)
{
	int wild = name[0] == '*';
	name += wild;
	size_t length = strlen(name);
	if (length == 0 || length > AMBIT_NAME)
		return -EINVAL;
	memset(ret_key, 0, sizeof(*ret_key));
	ret_key->profile = number;
	ret_key->entry = entry;
	ret_key->length = (uint16_t)length;
	ret_key->wild = (uint32_t)wild;
	memcpy(ret_key->name, name, length);
	return 0;
}

int tls_add_name(struct kernel *kernel, uint64_t number, uint16_t entry,
		 const char *name, struct error *error)
{
	struct ambit_server_name key;
	uint8_t one = 1;

	if (key_of(number, entry, name, &key) < 0)
		return error_set(error, EINVAL, "server name %s", name);
	if (bpf_map_update_elem(kernel->maps[MAP_NAMES], &key, &one, 0) < 0)
		return error_errno(error, errno, "server name %s", name);
	return 0;
}

void tls_remove_name(struct kernel *kernel, uint64_t number, uint16_t entry,
		     const char *name)
{
	struct ambit_server_name key;

	if (key_of(number, entry, name, &key) == 0)
		bpf_map_delete_elem(kernel->maps[MAP_NAMES], &key);
}

int tls_add_names(struct kernel *kernel, const struct profile *profile,
		  struct error *error)
{
	int failed = 0;

	for (unsigned i = 0; i < profile->egress_count && !failed; i++)
		if (profile->egress[i].tls == PROFILE_TLS_REQUIRED)
			failed = tls_add_name(kernel, tls_number(profile),
					      (uint16_t)i, profile->egress[i].to,
					      error);
	return failed;
}

void tls_remove_names(struct kernel *kernel, const struct profile *profile)
{
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].tls == PROFILE_TLS_REQUIRED)
			tls_remove_name(kernel, tls_number(profile), (uint16_t)i,
					profile->egress[i].to);
}

int tls_sweep_names(struct kernel *kernel,
		    int (*keep)(void *owner, uint64_t number), void *owner,
		    struct error *error)
{
	struct ambit_server_name key, next;
	int map = kernel->maps[MAP_NAMES];

	/* The next key is taken before this one goes: asking for the successor
	 * of a key that is gone starts again at the front. */
	int more = bpf_map_get_next_key(map, NULL, &next) == 0;
	while (more) {
		key = next;
		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if (!keep(owner, key.profile) &&
		    bpf_map_delete_elem(map, &key) < 0 && errno != ENOENT)
			return error_errno(error, errno, "server names");
	}
	return 0;
}

int tls_condemned(const struct kernel *kernel)
{
	return kernel->maps[MAP_CONDEMNED];
}

/* An agent that is refused as fast as it can must not keep the warden here: the
 * reader goes on as long as there is more. */
static int execute_one(void *owner, void *data, size_t size)
{
	int *left = owner;

	/* It may have ended by itself; what can't be destroyed stays refused. */
	if (size == sizeof(struct ambit_condemned))
		sockets_destroy_one(data);
	return --*left > 0 ? 0 : -EAGAIN;
}

void tls_execute(struct kernel *kernel)
{
	int left = AT_ONCE;
	struct ring_buffer *ring = ring_buffer__new(kernel->maps[MAP_CONDEMNED],
						    execute_one, &left, NULL);

	if (ring)
		ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

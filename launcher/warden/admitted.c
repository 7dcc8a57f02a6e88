/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that names led to, in the kernel: see admitted.h. */
#include "admitted.h"

#include "pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

static struct ambit_admitted_key key_of(uint64_t instance,
					const uint8_t address[16])
{
	struct ambit_admitted_key key = { .instance = instance };

	memcpy(key.address, address, sizeof(key.address));
	return key;
}

/* The place of `entry`, or one that is free or over; -1: none. */
static int place_of(const struct ambit_admitted *value, uint16_t entry,
		    uint64_t now_ns)
{
	int place = -1;

	for (int i = 0; i < AMBIT_ADMITTED_ENTRIES; i++) {
		if (value->until[i] && value->entry[i] == entry)
			return i;
		if (place < 0 && value->until[i] <= now_ns)
			place = i;
	}
	return place;
}

int admitted_add(struct kernel *kernel, uint64_t instance,
		 const uint8_t address[16], const uint16_t *entries,
		 unsigned count, uint64_t until_ns, uint64_t now_ns)
{
	struct ambit_admitted_key key = key_of(instance, address);
	struct ambit_admitted value = { { 0 }, { 0 } };
	int map = kernel->maps[MAP_ADMITTED];
	int is_new = bpf_map_lookup_elem(map, &key, &value) < 0;

	for (unsigned i = 0; i < count; i++) {
		int place = place_of(&value, entries[i], now_ns);
		if (place < 0)
			return -ENOSPC;
		value.entry[place] = entries[i];
		if (value.until[place] < until_ns)
			value.until[place] = until_ns;
	}
	/* The kernel puts a new element in place of the old: a program sees one
	 * or the other. */
	if (bpf_map_update_elem(map, &key, &value, BPF_ANY) < 0)
		return -errno;
	return is_new;
}

int admitted_over(struct kernel *kernel, uint64_t instance,
		  const uint8_t address[16], uint64_t now_ns)
{
	struct ambit_admitted_key key = key_of(instance, address);
	struct ambit_admitted value;

	if (bpf_map_lookup_elem(kernel->maps[MAP_ADMITTED], &key, &value) < 0)
		return 1;
	for (int i = 0; i < AMBIT_ADMITTED_ENTRIES; i++)
		if (value.until[i] > now_ns)
			return 0;
	return 1;
}

void admitted_remove(struct kernel *kernel, uint64_t instance,
		     const uint8_t address[16])
{
	struct ambit_admitted_key key = key_of(instance, address);

	bpf_map_delete_elem(kernel->maps[MAP_ADMITTED], &key);
}

void admitted_walk(struct kernel *kernel,
		   int (*each)(void *data, const struct ambit_admitted_key *key),
		   void *data)
{
	struct ambit_admitted_key key, next;
	int map = kernel->maps[MAP_ADMITTED];
	int more = bpf_map_get_next_key(map, NULL, &next) == 0;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if (each(data, &key))
			bpf_map_delete_elem(map, &key);
	}
}

int admitted_is_own(struct kernel *kernel, const uint8_t address[16])
{
	uint8_t value;

	return bpf_map_lookup_elem(kernel->maps[MAP_OWN], address, &value) == 0;
}

int admitted_port(struct kernel *kernel, uint16_t port, struct error *error)
{
	struct ambit_control control;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(kernel->maps[MAP_CONTROL], &zero, &control) < 0)
		return error_errno(error, errno, "map control");
	control.resolver_port = port;
	if (bpf_map_update_elem(kernel->maps[MAP_CONTROL], &zero, &control, 0) < 0)
		return error_errno(error, errno, "map control");
	return 0;
}

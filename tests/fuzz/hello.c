/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of TLS hellos against any bytes.  Besides over-reads (sanitizers):
 * what is called a name must stand in the bytes, at the length that was said,
 * and cutting what lies behind the hello must not change it.
 */
#include "../unit/hello_memory.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_there(const uint8_t *data, size_t size,
		    const struct ambit_server_name *name)
{
	for (size_t at = 0; at + name->length <= size; at++) {
		size_t same = 0;
		while (same < name->length) {
			uint8_t byte = data[at + same];
			if (byte >= 'A' && byte <= 'Z')
				byte = (uint8_t)(byte + 'a' - 'A');
			if (byte != (uint8_t)name->name[same])
				break;
			same++;
		}
		if (same == name->length)
			return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ambit_server_name name, again, rest;
	uint32_t at = 0;

	if (size > 1 << 17)
		return 0;
	uint32_t reason = hello_read(data, 0, (uint32_t)size, &name, &at);
	for (size_t i = name.length; i < sizeof(name.name); i++)
		if (name.name[i])
			abort();
	if (reason)
		return 0;
	if (!name.length || name.length > AMBIT_NAME ||
	    !is_there(data, size, &name))
		abort();
	if (at + name.length > size || (uint8_t)name.name[0] !=
	    (data[at] >= 'A' && data[at] <= 'Z' ? data[at] | 0x20 : data[at]))
		abort();
	if (!hello_rest(data, at, &name, &rest) &&
	    (rest.name[0] != '.' || rest.length >= name.length ||
	     memcmp(rest.name, name.name + name.length - rest.length,
		    rest.length)))
		abort();
	size_t end = HELLO_RECORD + ((size_t)data[3] << 8 | data[4]);
	if (end > size)
		return 0;
	uint8_t *alone = malloc(end);
	if (!alone)
		abort();
	memcpy(alone, data, end);
	if (hello_read(alone, 0, (uint32_t)end, &again, &at) ||
	    again.length != name.length ||
	    memcmp(again.name, name.name, sizeof(name.name)))
		abort();
	free(alone);
	return 0;
}

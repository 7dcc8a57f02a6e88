/* SPDX-License-Identifier: Apache-2.0 */
/* Builds TLS hellos, right ones and wrong ones, byte by byte. */
#ifndef HELLO_BUILD_H
#define HELLO_BUILD_H

#include <linux/types.h>
#include <string.h>

#define HELLO_ROOM 65536
#define HELLO_FOR "crm.example.com"

struct bytes {
	__u8 at[HELLO_ROOM];
	__u32 length;
};

static inline void put(struct bytes *to, unsigned value, unsigned width)
{
	while (width--)
		to->at[to->length++] = (__u8)(value >> 8 * width);
}

static inline void put_many(struct bytes *to, int byte, unsigned count)
{
	memset(to->at + to->length, byte, count);
	to->length += count;
}

/* Leaves room for a length; end_length fills it in. */
static inline __u32 begin_length(struct bytes *to, unsigned width)
{
	put(to, 0, width);
	return to->length;
}

static inline void end_length(struct bytes *to, __u32 start, unsigned width)
{
	__u32 end = to->length, length = end - start;

	to->length = start - width;
	put(to, length, width);
	to->length = end;
}

static inline void put_name(struct bytes *to, const char *name, size_t length)
{
	put(to, 0, 2);	/* server_name */
	__u32 extension = begin_length(to, 2), list = begin_length(to, 2);
	put(to, 0, 1);	/* a host name */
	__u32 entry = begin_length(to, 2);
	memcpy(to->at + to->length, name, length);
	to->length += (__u32)length;
	end_length(to, entry, 2);
	end_length(to, list, 2);
	end_length(to, extension, 2);
}

static inline void put_extension(struct bytes *to, unsigned type, unsigned length)
{
	put(to, type, 2);
	put(to, length, 2);
	put_many(to, 'x', length);
}

/* What the rows below vary; zeros are a plain hello for HELLO_FOR. */
struct shape {
	const char *name;	/* "": no extension */
	size_t name_length;	/* 0: of the string */
	unsigned session, ciphers, before, after, last;
	int twice, no_extensions;
};

static inline void build(struct bytes *to, const struct shape *shape)
{
	const char *name = shape->name ? shape->name : HELLO_FOR;

	to->length = 0;
	put(to, 0x160301, 3);
	__u32 record = begin_length(to, 2);
	put(to, 1 /* ClientHello */, 1);
	__u32 message = begin_length(to, 3);
	put(to, 0x0303, 2);
	put_many(to, 'r', 32);
	put(to, shape->session, 1);
	put_many(to, 's', shape->session);
	unsigned ciphers = shape->ciphers ? shape->ciphers : 4;
	put(to, ciphers, 2);
	put_many(to, 'c', ciphers);
	put(to, 0x0100, 2);
	if (!shape->no_extensions) {
		__u32 extensions = begin_length(to, 2);
		if (shape->before)
			put_extension(to, 51, shape->before);
		for (int i = 0; i <= shape->twice && *name; i++)
			put_name(to, name, shape->name_length ?
					   shape->name_length : strlen(name));
		if (shape->after)
			put_extension(to, 51, shape->after);
		if (shape->last)
			put_extension(to, 41, shape->last);
		end_length(to, extensions, 2);
	}
	end_length(to, message, 3);
	end_length(to, record, 2);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The reader of a TLS ClientHello: from the first bytes of a flow to the server
 * name in it.  The kernel programs run it on a packet (tls.bpf.c); the unit tests
 * and the fuzzer compile this same text for bytes in memory.  Who includes it
 * says first where the bytes are and how to get at them:
 *
 *	HELLO_SOURCE			a type
 *	HELLO_LOAD(source, at, to, n)	0, or negative if the n bytes are not there
 *	HELLO_LOOP(n, function, context) calls function(index, context) until it
 *					returns 1, n times at most
 *	HELLO_OPAQUE(variable)		the compiler forgets what it knows of it
 *
 * It is strict, since what it takes for the name must be what any server takes
 * for it: one handshake message in one record, every length exact, one
 * server_name extension with one name.  Nothing is guessed and nothing is put
 * together from pieces: a hello that does not lie in the packet is refused.  Only
 * the last extension may go on behind the packet, since nothing can follow it
 * (a session ticket of some kilobytes in pre_shared_key, which must be last).
 */
#ifndef HELLO_H
#define HELLO_H

#include <ambit/kernel.h>

#define HELLO_RECORD 5		/* type, version, length */
#define HELLO_MESSAGE 4		/* type, length of three bytes */
#define HELLO_FIXED 34		/* version, random */
#define HELLO_MOST (1U << 14)	/* RFC 8446, 5.1: length of a record */
#define HELLO_EXTENSIONS 128	/* real clients send some twenty */

#define RECORD_HANDSHAKE 22
#define MESSAGE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0
#define HELLO_NAME 256		/* bytes of ambit_server_name.name */
#define HELLO_LABEL 63		/* RFC 1035, 2.3.4 */

/* Cursor: everything is an offset into the source. */
struct hello {
	HELLO_SOURCE source;
	struct ambit_server_name *name;
	__u32 at;
	__u32 end;		/* of the message, as it says itself */
	__u32 limit;		/* of the bytes that are there */
	__u32 found;		/* where the name lies, 0: not read yet */
	__u32 reason;		/* enum ambit_reason, 0: none yet */
};

/* Whether `length` bytes at the cursor belong to the message and are there. */
static __always_inline int hello_has(const struct hello *hello, __u32 length)
{
	__u32 end = hello->at + length;

	return end <= hello->end && end <= hello->limit;
}

static __always_inline __u32 hello_u16(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

/* The number of one or two bytes at the cursor, which moves behind it; negative
 * if it is not there. */
static __always_inline int hello_length(struct hello *hello, __u32 width)
{
	__u8 bytes[2] = { 0, 0 };

	if (!hello_has(hello, width))
		return -1;
	if (width == 1 ? HELLO_LOAD(hello->source, hello->at, &bytes[1], 1) :
			 HELLO_LOAD(hello->source, hello->at, bytes, 2))
		return -1;
	hello->at += width;
	return (int)hello_u16(bytes);
}

/* Skips a list of `least` bytes or more that is a multiple of `unit` long and
 * whose length is a number of `width` bytes. */
static __always_inline int hello_skip(struct hello *hello, __u32 width,
				      __u32 least, __u32 most, __u32 unit)
{
	int length = hello_length(hello, width);

	if (length < 0)
		return -1;
	__u32 bytes = (__u32)length;
	if (bytes < least || bytes > most || bytes % unit ||
	    !hello_has(hello, bytes))
		return -1;
	hello->at += bytes;
	return 0;
}

/* Upper case of eight bytes at once: of those between 'A' and 'Z', and of no
 * byte above 127, sets bit 5. */
static __always_inline __u64 hello_fold(__u64 word)
{
	const __u64 ones = 0x0101010101010101ULL, high = ones << 7;
	__u64 low = word & ~high;
	__u64 from = low + ones * (128 - 'A'), beyond = low + ones * (127 - 'Z');

	return word | (((from & ~beyond & ~word) & high) >> 2);
}

/* Copies 1 to 253 bytes into a name that is all zeros, in lower case. */
static __always_inline int hello_copy(HELLO_SOURCE source, __u32 at, __u32 length,
				      char *name)
{
	__u64 *words = (__u64 *)(void *)name;

	/* The verifier of 6.1 wants to see 1 to 256, and forgets a bound that
	 * the compiler proved somewhere else. */
	length--;
	HELLO_OPAQUE(length);
	length &= HELLO_NAME - 1;
	length++;
	if (HELLO_LOAD(source, at, name, length))
		return -1;
#ifdef __clang__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < HELLO_NAME / 8; i++)
		words[i] = hello_fold(words[i]);
	return 0;
}

/*
 * The server_name extension (RFC 6066, 3) of `length` bytes at `at`: a list that
 * fills it, of one entry that fills the list, a host name.
 */
static __always_inline __u32 hello_name(struct hello *hello, __u32 at,
					__u32 length)
{
	struct ambit_server_name *name = hello->name;
	__u8 head[5];	/* length of the list, type, length of the name */

	if (length < sizeof(head) ||
	    HELLO_LOAD(hello->source, at, head, sizeof(head)))
		return AMBIT_REASON_TLS_UNREADABLE;
	__u32 bytes = hello_u16(head + 3);
	if (hello_u16(head) != length - 2 || head[2] != NAME_TYPE_HOST ||
	    bytes != length - sizeof(head))
		return AMBIT_REASON_TLS_UNREADABLE;
	if (!bytes)
		return AMBIT_REASON_TLS_NO_NAME;
	if (bytes > AMBIT_NAME)
		return AMBIT_REASON_TLS_UNREADABLE;
	if (hello_copy(hello->source, at + sizeof(head), bytes, name->name))
		return AMBIT_REASON_TLS_UNREADABLE;
	name->length = (__u16)(length - sizeof(head));
	return 0;
}

/* One extension.  1: that was the last, or the hello is refused. */
static long hello_extension(__u32 index, struct hello *hello)
{
	__u8 head[4];	/* type, length */

	(void)index;
	if (hello->at == hello->end)
		return 1;
	hello->reason = AMBIT_REASON_TLS_UNREADABLE;
	if (!hello_has(hello, sizeof(head)) ||
	    HELLO_LOAD(hello->source, hello->at, head, sizeof(head)))
		return 1;
	__u32 length = hello_u16(head + 2), at = hello->at + sizeof(head);
	__u32 end = at + length;
	if (end > hello->end || (end > hello->limit && end != hello->end))
		return 1;
	if (hello_u16(head) == EXTENSION_SERVER_NAME) {
		/* Which of two a server takes is not known. */
		if (hello->found || end > hello->limit)
			return 1;
		hello->found = at + 5;
		__u32 reason = hello_name(hello, at, length);
		if (reason) {
			hello->reason = reason;
			return 1;
		}
	}
	hello->at = end;
	hello->reason = 0;
	return end == hello->end;
}

/*
 * The record and the message around it.  A record that holds more or less than
 * one message, or two records, could be read otherwise than here.
 */
static __always_inline __u32 hello_open(struct hello *hello)
{
	__u8 head[HELLO_RECORD + HELLO_MESSAGE + 2];
	__u32 there = hello->limit - hello->at;

	if (there < sizeof(head)) {
		__u8 first;
		/* Too short to tell, unless its first byte says it all. */
		if (!there || HELLO_LOAD(hello->source, hello->at, &first, 1) ||
		    first == RECORD_HANDSHAKE)
			return AMBIT_REASON_TLS_UNREADABLE;
		return AMBIT_REASON_NOT_TLS;
	}
	if (HELLO_LOAD(hello->source, hello->at, head, sizeof(head)))
		return AMBIT_REASON_TLS_UNREADABLE;
	if (head[0] != RECORD_HANDSHAKE || head[1] != 3 || head[2] > 3)
		return AMBIT_REASON_NOT_TLS;
	__u32 record = hello_u16(head + 3);
	__u32 message = (__u32)head[6] << 16 | hello_u16(head + 7);
	if (head[5] != MESSAGE_CLIENT_HELLO || head[9] != 3 ||
	    record > HELLO_MOST || record != message + HELLO_MESSAGE ||
	    message < HELLO_FIXED)
		return AMBIT_REASON_TLS_UNREADABLE;
	hello->at += HELLO_RECORD + HELLO_MESSAGE;
	hello->end = hello->at + message;
	hello->at += HELLO_FIXED;
	return 0;
}

/*
 * Reads the server name from the hello between `at` and `limit` of the source.
 * 0: `name` holds it in lower case, zeros behind it, and *ret_at is where it lies.
 * Else why it can't be taken, and `name` holds what was seen of it; a length of 0
 * means nothing.
 */
static __always_inline __u32 hello_read(HELLO_SOURCE source, __u32 at,
					__u32 limit,
					struct ambit_server_name *name,
					__u32 *ret_at)
{
	struct hello hello = { .source = source, .name = name, .at = at,
			       .limit = limit };

	__builtin_memset(name->name, 0, sizeof(name->name));
	name->length = 0;
	__u32 reason = hello_open(&hello);
	if (reason)
		return reason;
	if (hello_skip(&hello, 1, 0, 32, 1) ||		/* session id */
	    hello_skip(&hello, 2, 2, 0xfffe, 2) ||	/* cipher suites */
	    hello_skip(&hello, 1, 1, 255, 1))		/* compression */
		return AMBIT_REASON_TLS_UNREADABLE;
	if (hello.at == hello.end)
		return AMBIT_REASON_TLS_NO_NAME;
	int length = hello_length(&hello, 2);
	if (length < 0 || hello.at + (__u32)length != hello.end)
		return AMBIT_REASON_TLS_UNREADABLE;
	HELLO_LOOP(HELLO_EXTENSIONS, hello_extension, &hello);
	if (hello.reason)
		return hello.reason;
	if (hello.at != hello.end)
		return AMBIT_REASON_TLS_UNREADABLE;
	*ret_at = hello.found;
	return hello.found ? 0 : AMBIT_REASON_TLS_NO_NAME;
}

struct hello_label {
	const struct ambit_server_name *name;
	__u32 length;
	__u32 ended;
};

static long hello_label_byte(__u32 index, struct hello_label *label)
{
	char byte = label->name->name[index & (HELLO_NAME - 1)];

	label->length = index;
	label->ended = byte == '.';
	/* What a wildcard stands for is a plain label: a server that reads names
	 * as C strings would end it at a zero byte. */
	return !((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
		 byte == '-' || byte == '_');
}

/*
 * What is behind the first label of `name`, which was read at `at`: of
 * "a.example.com" ".example.com".  0 if there is such a label.
 */
static __always_inline int hello_rest(HELLO_SOURCE source, __u32 at,
				      const struct ambit_server_name *name,
				      struct ambit_server_name *rest)
{
	struct hello_label label = { .name = name };

	__builtin_memset(rest->name, 0, sizeof(rest->name));
	rest->length = 0;
	HELLO_LOOP(HELLO_LABEL + 1, hello_label_byte, &label);
	__u32 first = label.length, all = name->length;
	if (!label.ended || !first || first >= all || all > AMBIT_NAME ||
	    hello_copy(source, at + first, all - first, rest->name))
		return -1;
	rest->length = (__u16)(all - first);
	return 0;
}

#endif

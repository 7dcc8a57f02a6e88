/* SPDX-License-Identifier: Apache-2.0 */
/* Where an egress entry leads: see word_endpoint in words.h. */
#include "words.h"

#include "../base/number.h"

#include <ambit/blocks.h>
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LENGTH 253	/* RFC 1035, 3.1, as text */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static int refuse(const char **ret_expected, const char *expected)
{
	*ret_expected = expected;
	return -EINVAL;
}

static int keep(struct profile_endpoint *endpoint, const char *to,
		const char **ret_expected)
{
	endpoint->to = strdup(to);
	if (endpoint->to)
		return 0;
	*ret_expected = "out of memory";
	return -ENOMEM;
}

static int unix_path(const char *path, struct profile_endpoint *endpoint,
		     const char **ret_expected)
{
	char to[AMBIT_UNIX_PATH + 8];

	if (word_path(path) || !path[1])
		return refuse(ret_expected, "unix: and an absolute path without "
			      "//, . or .. was expected");
	if (strlen(path) >= AMBIT_UNIX_PATH)
		return refuse(ret_expected, "a path of at most 107 bytes was "
			      "expected, unix sockets have no more");
	endpoint->kind = PROFILE_ENDPOINT_UNIX;
	snprintf(to, sizeof(to), "unix:%s", path);
	return keep(endpoint, to, ret_expected);
}

static int host_bits(const uint8_t address[16], unsigned prefix)
{
	for (unsigned bit = prefix; bit < 128; bit++)
		if (address[bit / 8] & (0x80 >> bit % 8))
			return 1;
	return 0;
}

static int all_zero(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return 0;
	return 1;
}

/* What the bits forbid; NULL if nothing. */
static const char *address_wrong(const uint8_t address[16], unsigned prefix,
				 int v4)
{
	if (host_bits(address, prefix))
		return "a block whose bits behind the prefix are zero was expected";
	if (v4)
		return prefix == 128 && all_zero(address + 12, 4) ?
			       "0.0.0.0 leads to the node itself: 127.0.0.1 was "
			       "expected" :
			       NULL;
	if (prefix == 128 && all_zero(address, 16))
		return ":: leads to the node itself: ::1 was expected";
	if (prefix >= 96 && !memcmp(address, mapped, 12))
		return "IPv4 written as IPv6: the plain form 192.0.2.1 was expected";
	/* One rule format holds both families; nobody who writes ::/0 means
	 * the IPv4 Internet. */
	if (prefix < 96 && all_zero(address, 10) &&
	    (prefix <= 80 || address[10] == 0xff))
		return "this block holds all of IPv4 too: a block within "
		       "2000::/3 or fc00::/7 was expected";
	return NULL;
}

int word_block(const char *text, struct profile_block *ret_block,
	       const char **ret_expected)
{
	struct profile_block block = { .prefix = 0 };
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t *bytes = block.address;
	uint64_t prefix;

	if (length >= sizeof(host))
		return 1;
	memcpy(host, text, length);
	host[length] = 0;
	memcpy(bytes, mapped, sizeof(mapped));
	int v4 = inet_pton(AF_INET, host, bytes + 12) == 1;
	if (!v4 && inet_pton(AF_INET6, host, bytes) != 1)
		return 1;
	prefix = v4 ? 32 : 128;
	if (slash && number_parse(slash + 1, strlen(slash + 1), prefix, &prefix))
		return refuse(ret_expected, v4 ? "a prefix of 0 to 32 was expected" :
					    "a prefix of 0 to 128 was expected");
	block.prefix = (uint8_t)(prefix + (v4 ? 96 : 0));
	const char *wrong = address_wrong(bytes, block.prefix, v4);
	if (wrong)
		return refuse(ret_expected, wrong);
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, host,
		       sizeof(host)))
		return refuse(ret_expected, "an address was expected");
	if (block.prefix == 128)
		snprintf(block.text, sizeof(block.text), "%s", host);
	else
		snprintf(block.text, sizeof(block.text), "%s/%u", host,
			 (unsigned)prefix);
	*ret_block = block;
	return 0;
}

static int in_any(const struct profile_block *block,
		  const struct ambit_block *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t wire[2] = { htobe64(blocks[i].high), htobe64(blocks[i].low) };
		struct profile_block outer = { .prefix = (uint8_t)blocks[i].prefix };
		memcpy(outer.address, wire, sizeof(wire));
		if (profile_block_holds(&outer, block->address, block->prefix))
			return 1;
	}
	return 0;
}

#define IN_ANY(block, blocks) \
	in_any(block, blocks, sizeof(blocks) / sizeof(*(blocks)))

int word_private(const char *text, struct profile_block *ret_block,
		 const char **ret_expected)
{
	static const struct ambit_block reserved[] = { AMBIT_RESERVED_BLOCKS };
	static const struct ambit_block private[] = { AMBIT_PRIVATE_BLOCKS };
	struct profile_block block;

	int result = word_block(text, &block, ret_expected);
	if (result == 1)
		return refuse(ret_expected, "an address or a CIDR block was "
			      "expected");
	if (result < 0)
		return result;
	/* The kernel lets no name lead there. */
	if (IN_ANY(&block, reserved))
		return refuse(ret_expected, "no name leads there: an entry with "
			      "exactly that address in \"to\" was expected");
	/* Who reads a public block here would take it for a bound of the name's
	 * public answers, which it is not. */
	if (!IN_ANY(&block, private))
		return refuse(ret_expected, "not private: a block within 10.0.0.0/8, "
			      "172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or "
			      "fc00::/7 was expected; public answers are reached "
			      "without");
	*ret_block = block;
	return 0;
}

/* 1: it is no address at all; 0 and negative: as word_endpoint. */
static int address(const char *text, struct profile_endpoint *endpoint,
		   const char **ret_expected)
{
	struct profile_block block;

	int result = word_block(text, &block, ret_expected);
	if (result)
		return result;
	memcpy(endpoint->address, block.address, sizeof(block.address));
	endpoint->prefix = block.prefix;
	endpoint->kind = block.prefix == 128 ? PROFILE_ENDPOINT_ADDRESS :
					       PROFILE_ENDPOINT_BLOCK;
	return keep(endpoint, block.text, ret_expected);
}

/* Checks and lower-cases the labels of `name` in place; returns their number,
 * or 0 if one is wrong (RFC 1123, 2.1). */
static unsigned labels(char *name, int *ret_numeric)
{
	unsigned count = 0;

	for (char *at = name;; at++) {
		char *first = at;
		*ret_numeric = 1;
		for (; *at && *at != '.'; at++) {
			if (*at >= 'A' && *at <= 'Z')
				*at = (char)(*at - 'A' + 'a');
			if (*at < '0' || *at > '9')
				*ret_numeric = 0;
			if (!((*at >= 'a' && *at <= 'z') || *at == '-' ||
			      (*at >= '0' && *at <= '9')))
				return 0;
		}
		if (at == first || at - first > 63 || *first == '-' || at[-1] == '-')
			return 0;
		count++;
		if (!*at)
			return count;
	}
}

static int name(const char *text, struct profile_endpoint *endpoint,
		const char **ret_expected)
{
	char to[NAME_LENGTH + 1];
	int numeric = 0;

	if (strlen(text) >= sizeof(to))
		return refuse(ret_expected, "a name of at most 253 characters was "
			      "expected");
	snprintf(to, sizeof(to), "%s", text);
	int wild = to[0] == '*' && to[1] == '.';
	unsigned count = labels(wild ? to + 2 : to, &numeric);
	if (strchr(wild ? to + 2 : to, '*'))
		return refuse(ret_expected, "a name, or one \"*.\" in front of a "
			      "name of two labels or more was expected");
	if (!count)
		return refuse(ret_expected, "an address, a CIDR block, a DNS name "
			      "or unix:/path was expected");
	if (numeric)
		return refuse(ret_expected, "four numbers of 0 to 255, without "
			      "leading zeros, were expected");
	/* "*.com" would be everybody's. */
	if (wild && count < 2)
		return refuse(ret_expected, "two labels or more behind \"*.\" were "
			      "expected");
	endpoint->kind = PROFILE_ENDPOINT_NAME;
	return keep(endpoint, to, ret_expected);
}

int word_endpoint(const char *text, struct profile_endpoint *endpoint,
		  const char **ret_expected)
{
	if (!strncmp(text, "unix:", 5))
		return unix_path(text + 5, endpoint, ret_expected);
	int result = address(text, endpoint, ret_expected);
	if (result <= 0)
		return result;
	return name(text, endpoint, ret_expected);
}

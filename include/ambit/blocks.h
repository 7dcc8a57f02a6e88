/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Blocks of addresses that mean something else than "a server somewhere", for the
 * kernel programs and for the warden.  An X macro's rows are initialisers of struct
 * ambit_block: host order, IPv4 as ::ffff:a.b.c.d.
 */
#ifndef AMBIT_BLOCKS_H
#define AMBIT_BLOCKS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

struct ambit_block {
	__u64 high, low;
	__u32 prefix;
	__u32 pad;
};

#define AMBIT_V4(a, b, c, d, bits)                                              \
	{ 0, 0xffff00000000ULL | (a) << 24 | (b) << 16 | (c) << 8 | (d),        \
	  96 + (bits), 0 }

/*
 * What only an entry for the one address admits: a block that happens to hold
 * it was not meant to.  The node's own addresses come on top.
 */
#define AMBIT_RESERVED_BLOCKS                                                   \
	AMBIT_V4(0ULL, 0, 0, 0, 8),		/* this network */              \
	AMBIT_V4(127ULL, 0, 0, 0, 8),		/* loopback */                  \
	AMBIT_V4(169ULL, 254, 0, 0, 16),	/* link-local, metadata */      \
	AMBIT_V4(100ULL, 100, 100, 200, 32),	/* metadata: Alibaba */         \
	AMBIT_V4(168ULL, 63, 129, 16, 32),	/* metadata: Azure */           \
	AMBIT_V4(192ULL, 0, 0, 192, 32),	/* metadata: Oracle, classic */ \
	AMBIT_V4(224ULL, 0, 0, 0, 3),		/* multicast, reserved */       \
	{ 0, 0, 96, 0 },			/* ::, ::1, ::a.b.c.d */        \
	{ 0xfe80ULL << 48, 0, 10, 0 },		/* link-local */                \
	{ 0xff00ULL << 48, 0, 8, 0 },		/* multicast */                 \
	{ 0xfd000ec200000000ULL, 0x254, 128, 0 }, /* metadata: Amazon */        \
	{ 0xfd2000ce00000000ULL, 0x254, 128, 0 }  /* metadata: Google */

/*
 * Where a public name does not lead unless somebody means harm, or an entry lists
 * the block: private networks, and forms that carry an IPv4 address inside.
 */
#define AMBIT_PRIVATE_BLOCKS                                                    \
	AMBIT_V4(10ULL, 0, 0, 0, 8),                                            \
	AMBIT_V4(172ULL, 16, 0, 0, 12),                                         \
	AMBIT_V4(192ULL, 168, 0, 0, 16),                                        \
	AMBIT_V4(100ULL, 64, 0, 0, 10),		/* behind a provider's NAT */   \
	AMBIT_V4(192ULL, 0, 0, 0, 24),		/* protocol assignments */      \
	{ 0xfcULL << 56, 0, 7, 0 },		/* unique local */              \
	{ 0xfec0ULL << 48, 0, 10, 0 },		/* site-local, as it was */     \
	{ 0x0064ff9b0001ULL << 16, 0, 48, 0 },	/* NAT64 of a site */           \
	{ 0x20010000ULL << 32, 0, 32, 0 },	/* Teredo */                    \
	{ 0x2002ULL << 48, 0, 16, 0 }		/* 6to4 */

/* NAT64 carries an IPv4 address, which is what is judged. */
#define AMBIT_NAT64_HIGH 0x0064ff9b00000000ULL

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of TLS hellos for bytes in memory.  A load is a plain copy: where
 * the kernel would refuse to read behind a packet, an over-read meets a guard
 * page or a sanitizer here.
 */
#ifndef HELLO_MEMORY_H
#define HELLO_MEMORY_H

#include <linux/types.h>
#include <string.h>
#include <sys/cdefs.h>

static inline int memory_load(const __u8 *bytes, __u32 at, void *to, __u32 length)
{
	memcpy(to, bytes + at, length);
	return 0;
}

#define HELLO_SOURCE const __u8 *
#define HELLO_LOAD memory_load
#define HELLO_LOOP(count, function, context)                      \
	for (__u32 index_ = 0; index_ < (count) &&                \
	     !(function)(index_, (context)); index_++)
#define HELLO_OPAQUE(variable) __asm__ volatile("" : "+r"(variable))

#include "../../bpf/hello.h"

#endif

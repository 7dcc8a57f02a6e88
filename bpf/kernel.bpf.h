/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Every field of the kernel that the programs read beyond the stable interface,
 * relocated when they are loaded.  All are in <linux/filter.h> of 6.7 and later.
 */
#ifndef KERNEL_BPF_H
#define KERNEL_BPF_H

struct bpf_sock_addr_kern {
	struct sockaddr *uaddr;
	__u32 uaddrlen;
} __attribute__((preserve_access_index));

/* The kernel's own type of the context (6.2); weak, since 6.1 does not have it. */
extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;

#endif

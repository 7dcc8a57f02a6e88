// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The reader of TLS hellos (hello.h) for the bytes of a packet. */
#include "tls.bpf.h"

#define HELLO_SOURCE struct __sk_buff *
#define HELLO_LOAD bpf_skb_load_bytes
#define HELLO_LOOP(count, function, context) bpf_loop(count, function, context, 0)
#define HELLO_OPAQUE(variable) asm volatile("" : "+r"(variable))
#include "hello.h"

GLOBAL int tls_read(struct __sk_buff *skb, __u32 at,
		    struct ambit_server_name *name)
{
	if (!name || at > skb->len)
		return AMBIT_REASON_TLS_UNREADABLE;
	return (int)hello_read(skb, at, skb->len, name);
}

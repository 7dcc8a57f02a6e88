#include "flow.bpf.h"
int tls_read(struct __sk_buff *skb, __u32 at, struct ambit_server_name *name);

// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The record of an attempt that is judged in the task that makes it. */
#include "ambit.bpf.h"

char terms[] SEC("license") = "GPL";

GLOBAL int record_attempt(const struct ambit_policy *policy,
			  const struct attempt *attempt)
{
	if (!policy || !attempt)
		return 0;
	struct ambit_record *record = record_reserve(policy, attempt->verdict);
	if (!record)
		return 0;
	record_fill(record, attempt);
	record_task(record);
	record_submit(record);
	return 1;
}

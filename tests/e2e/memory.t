#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What agents that ended leave in the recorder's memory.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain
profile many "egress:
$(seq -f '  - {to: 192.0.2.%g, ports: [443]}' 1 100)"

# own: KiB of the recorder's that no file and no map stands behind.
own() {
	awk '/^Pss_Anon:/ { print $2 }' "/proc/$(node_pid ambit-recorder)/smaps_rollup"
}
launches() {
	launched=0
	while [ $launched -lt "$1" ]; do
		ambit run "$2" --profile "$3" -- sleep "$4" >/dev/null </dev/null || return 1
		launched=$((launched + 1))
	done
}

ok "some launches" launches 10 --quiet plain 0
before=$(own)
ok "300 more" launches 300 --quiet plain 0
each=$((($(own) - before) * 1024 / 300))
ok "an agent that ended takes $each bytes, at most 3072" [ $each -le 3072 ]

before=$(own)
ok "165 agents of 100 endpoints" launches 165 --detach many 1000
during=$(($(own) - before))
ok "kill" ambit kill --all --reason test
ok "settle" ambit node settle
after=$(($(own) - before))
ok "their endpoints took $during KiB, and now $after" [ $after -le $((during / 2)) ]
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node with room for few agents: places that are kept for launches to come, of
# whatever profile, never keep a launch out.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_directory
mkdir -p "$AMBIT_ROOT/etc/ambit"
echo 'uid-range: 2100000000-2100000035' >"$AMBIT_ROOT/etc/ambit/node.yaml"
node_start
for name in one two three; do
	profile $name
	runs "profile $name was launched" 0 ambit_run $name true
done
launched=0
while [ $launched -lt 16 ] && ambit run --profile one --detach -- sleep 1000 >/dev/null 2>"$TAP_DIRECTORY/why"; do
	launched=$((launched + 1))
done
is "as many agents as there is room for" "$launched $(cat "$TAP_DIRECTORY/why")" "16 "
refused "and no more" 125 "all places for agents are taken" ambit_run two true
id=$(ambit ps --json | sed -n '1s/.*"id":"\([^"]*\)".*/\1/p')
runs "one of two has ended already" 1 ambit kill "$id" ended-before --reason test
like "the other is killed" "$OUT" "$id"
like "and that is told" "$ERR" "ended-before: no such agent, or it has ended"
runs "none of them is there: nothing is done" 1 ambit kill "$id" ended-before --reason test
run ambit kill --all --reason test
is "all are killed, and told of" "$STATUS $(printf '%s\n' "$OUT" | wc -l)" "0 15"
runs "then again" 0 ambit_run two true
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The porter reads hostile bytes.  Taken over, it can say to the warden what it likes,
# but not bring down another process by it, the recorder least of all.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain
id=$(ambit run --profile plain --detach -- sleep 1000)
instance=$(ambit audit show --json --agent "$id" | grep '"type_uid":100701' | member unmapped.instance)
recorder=$(node_pid ambit-recorder)
warden=$(node_pid ambitd)

# again: the porter is there, whichever it is.
again() {
	again_tries=0
	until [ -n "$(node_pid ambit-porter)" ] && ambit_run plain true 2>/dev/null; do
		again_tries=$((again_tries + 1))
		[ $again_tries -lt 200 ] || return 1
		sleep 0.1
	done
}

# What the porter does say is taken: the forged lookup stands in the log.
ok "a refused lookup is sent" forge "$(node_pid ambit-porter)" "$instance" 3 0
like "and is recorded" "$(audit_wait "$id" forged.example.com)" "lookup forged.example.com"
while IFS='|' read -r name result count; do
	porter=$(node_pid ambit-porter)
	ok "sent: $name" forge "$porter" "$instance" "$result" "$count"
	ok "… ends the porter" gone "$porter"
	ok "… which comes back" again
	is "… the recorder and the warden stay" \
		"$(node_pid ambit-recorder) $(node_pid ambitd)" "$recorder $warden"
done <<'TABLE'
a result that there is not|99|0
no result|0|0
more addresses than there is room for|3|33
TABLE
is "none of them is in the log" "$(ambit audit show --agent "$id" | grep -c forged)" 1
ended=$(ambit audit show | grep -c 'restarted: porter')
ok "the porter's ends are ($ended)" [ "$ended" -ge 3 ]
ok "the log is whole" ambit audit verify
finish

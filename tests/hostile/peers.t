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
ok "a refused lookup is sent" forge lookup "$(node_pid ambit-porter)" "$instance" 3 0
like "and is recorded" "$(audit_wait "$id" forged.example.com)" "lookup forged.example.com"
while IFS='|' read -r name result count; do
	porter=$(node_pid ambit-porter)
	ok "sent: $name" forge lookup "$porter" "$instance" "$result" "$count"
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

# A credential's record is the issuer's word: none that was signed goes unrecorded, and
# none is recorded that was not.
profile keyed 'credentials: [{name: api, type: jwt-svid, audience: "https://api.example.com", ttl: 60m}]'
keyed=$(ambit run --profile keyed --detach -- sleep 1000)
instance=$(ambit audit show --json --agent "$keyed" | grep '"type_uid":100701' | member unmapped.instance)
porter=$(node_pid ambit-porter)
ok "one that nobody signed is told of" forge minted "$porter" "$instance" 11111111111111111111111111111111
ok "one is signed that nobody tells of" forge sign "$porter" "$instance"
like "it is recorded" "$(audit_wait "$keyed" "credential renewed")" "credential renewed"
ok "kill" ambit kill "$keyed" --reason test
run ambit audit show --json --agent "$keyed"
is "once" "$(printf '%s\n' "$OUT" | grep -c 'credential renewed')" 1
unlike "the other is not" "$OUT" 11111111111111111111111111111111
ok "the log is whole" ambit audit verify
finish

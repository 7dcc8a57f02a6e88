#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The corpus (corpus.py, manifest) against ambit, and against nothing: what blocks no way
# must score so.  The reader of the manifest refuses what it does not know.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
for probe in ways calls passed; do cp build/tests/bin/$probe "$WORK/"; done
NUMBER=$((20 + $$ % 200))
NET4=198.18.$NUMBER NET6=fd00:b:$NUMBER:
profile corpus "files: {read: [$WORK]}
egress:
  - {to: $NET4.2, ports: [7000], protocol: tcp}
  - {to: $NET4.2, ports: [7000], protocol: udp}
  - {to: \"$NET6:2\", ports: [7000], protocol: tcp}
  - {to: \"$NET6:2\", ports: [7000], protocol: udp}"
COUNT=$(grep -vc '^#' tests/hostile/manifest)

# corpus WRAPPER: its score as "blocked leaked broken", of those that this machine has.
corpus() {
	run tests/hostile/run --probes "$WORK" --network "$NUMBER" --wrapper "$1"
	APPLICABLE=$((COUNT - $(echo "$OUT" | grep -c '^.. not applicable')))
	SCORE=$(for verdict in blocked leaked broken; do echo "$OUT" | grep -c "^.. $verdict "; done | tr '\n' ' ')
}
corpus ""
is "no wrapper: everything leaks" "$SCORE$STATUS" "0 $APPLICABLE 0 1"
ok "and most can be tried here" [ "$APPLICABLE" -gt 50 ]
corpus 'ambit run --quiet --profile corpus --'
is "ambit: everything is blocked, every sibling works" "$SCORE$STATUS" "$APPLICABLE 0 0 0"
is "ambit: ways over IP end by EPERM, at the step" \
	"$(echo "$OUT" | grep -E '^(..) blocked' | grep -cE '\[(connect|send|bind|listen|option) EPERM\]$')" \
	"$(echo "$OUT" | grep -E '^(..) blocked' | grep -cE '\[(connect|send|bind|listen|option) ')"
echo "$OUT" | grep -vE "^.. (blocked|not applicable)" | sed 's/^/# /'
corpus 'unshare --net'
is "no network at all: what would have to arrive is broken, not blocked" \
	"$(echo "$OUT" | grep ' broken ' | grep -c 'listed sibling: ')" "$(grep -c '|reach|' tests/hostile/manifest)"

# reader TEXT: what the manifest reader makes of it.
reader() {
	printf '%b' "$1" | python3 -c '
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "tests/hostile")
import corpus
try:
    print(len(corpus.read_manifest(sys.stdin.read())))
except ValueError:
    print("refused")'
}
GOOD='1|reach|tcp|v4|tcp|TCP'
is "manifest: a case and a comment" "$(reader "# a\n$GOOD\n2|call|calls:bpf|-|calls:memfd|bpf\n3|passed|stdin|-|tcp|stdin\n")" 3
while IFS='~' read -r what text; do
	is "manifest: $what" "$(reader "$text")" refused
done <<TABLE
an unknown place~1|reach|tcp|v5|tcp|TCP
an unknown kind~1|knock|tcp|v4|tcp|TCP
a field missing~1|reach|tcp|v4|TCP
a field too many~$GOOD|x
a word of shell~1|reach|tcp;id|v4|tcp|TCP
another program~1|call|/bin/sh:x|-|calls:memfd|x
a path~1|call|calls:../x|-|calls:memfd|x
an empty line~\n
number 0~0|reach|tcp|v4|tcp|TCP
no number~one|reach|tcp|v4|tcp|TCP
a case given twice~$GOOD\n$GOOD
not ASCII~1|reach|tcp|v4|tcp|T\0303\0251
a control character~1|reach|tcp|v4|tcp|T\033[2J
a text too long~1|reach|tcp|v4|tcp|$(printf %0101d 0)
white space in front~ $GOOD
a way of another kind~1|passed|tcp|-|tcp|TCP
TABLE
finish

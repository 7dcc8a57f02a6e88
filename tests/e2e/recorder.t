#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The recorder alone, with real kernel records in a real ring: what it writes,
# what it survives, what it refuses.  tests/e2e/recorder.probe.c stands where
# ambitd stands.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ "${AMBIT_RECORDER_T-}" != inside ]; then
	AMBIT_RECORDER_T=inside exec unshare --mount --propagation private -- "$0"
fi

build=$PWD/build
recorder=$build/libexec/ambit/ambit-recorder
audit=$build/libexec/ambit/ambit-audit
probe=$build/tests/bin/recorder
uid=2000000000
number=0
root=$(mktemp -d)
# The recorder's uid has to reach its directory through the descriptor only.
chmod 700 "$root"

end() {
	if [ -n "${probe_pid-}" ]; then
		kill "$probe_pid" 2>/dev/null
		wait "$probe_pid" 2>/dev/null
	fi
	umount -l "$root/disk" 2>/dev/null
	rm -rf "$root"
}
trap end EXIT
trap 'exit 1' INT TERM

ok() { # STATUS WHAT
	number=$((number + 1))
	if [ "$1" = 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}
is() { # GOT WANTED WHAT
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || printf '# got:    %s\n# wanted: %s\n' "$1" "$2"
}
like() { # GOT PATTERN WHAT
	[[ "$1" =~ $2 ]]
	local matched=$?
	ok $matched "$3"
	[ $matched = 0 ] || printf '# got:    %s\n# wanted: %s\n' "$1" "$2"
}

# One probe at a time; each command has one line of answer, in $said.
begin() {
	rm -f "$root/in" "$root/out"
	mkfifo "$root/in" "$root/out"
	"$probe" <"$root/in" >"$root/out" &
	probe_pid=$!
	exec 6>"$root/in" 7<"$root/out"
}
hear() { read -r -t 60 said <&7 || said='no answer'; }
say() {
	echo "$*" >&6
	hear
}
finish() {
	exec 6>&- 7<&-
	wait "$probe_pid"
	probe_pid=
}

# A fresh log directory in $log, below an AMBIT_ROOT of its own in $at.
fresh() {
	at=$root/$1
	log=$at/var/log/ambit
	socket=$at/run/ambit/audit
	mkdir -p "$log" "$at/run/ambit"
	chown $uid:$uid "$log"
	chmod 750 "$log"
}
start() { say start "$recorder" "$log" "$socket" $uid "$@"; }
tool() { AMBIT_ROOT=$at "$audit" "$@"; }
first_of() { printf '%s/audit-%020d.jsonl' "$log" "$1"; }
count() { cat "$log"/audit-*.jsonl | grep -c -- "$1"; }
segments() { find "$log" -name 'audit-*.jsonl' | wc -l; }
whole() { # WHAT
	local said_by_verify
	said_by_verify=$(tool verify)
	ok $? "$1: verify finds the log whole"
	[[ "$said_by_verify" == whole:* ]] || printf '# %s\n' "$said_by_verify"
}

# ---- the plain way ---------------------------------------------------------
fresh plain
begin
start
is "$said" "ready 0" "the recorder gets ready"
say pid
status=$(cat "/proc/$said/status")
like "$status" $'Uid:\t2000000000\t2000000000\t2000000000' "it has a uid of its own"
like "$status" $'CapEff:\t0000000000000000' "it has no capability"
like "$status" $'Seccomp:\t2' "it is under a filter"
like "$status" $'NoNewPrivs:\t1' "it gains no privilege"
say open 16 777 support-1
say rings
say event 5 1 777
say next
is "$said" "durable 1 0" "a launch record is durable before it is answered"
is "$(count '"record":"launch"')" 1 "and is in the file by then"
say attempts 16 3 1
say attempts 16 2 0
say drained 16
is "$said" "drained 5" "records are drained and counted"
is "$(count '"record":"connection"')" 5 "each is a line"
say signal 15
say close 16
say next
is "$said" "closed 777 3 2" "the end is answered with the totals, SIGTERM or not"
say event 7 2 777
say next
is "$said" "durable 2 0" "an event behind the end is taken"
say eof
is "$said" "exit 0" "it ends when the warden closes the socket"
finish
is "$(stat -c '%a %u %g' "$(first_of 0)")" "640 $uid $uid" "the segment is the recorder's, readable to its group"
whole plain
like "$(tool show --denied)" 'support-1 DENIED  connect 203.0.113.7:443/tcp .*probe\?x\[4711\]: no entry allows it; egress would need - \{to: "203.0.113.7", ports: \[443\]\}' "show tells what entry is missing"
is "$(tool show --json --agent support-1 --denied | wc -l)" 2 "show filters"
is "$(tool show --agent nobody | wc -l)" 0 "by agent"
is "$(tool export --from 2 --to 3)" "$(sed -n 3,4p "$(first_of 0)")" "export is byte for byte"
is "$(tool tail --no-follow -n 2 --json)" "$(tail -n 2 "$(first_of 0)")" "tail works without a node"
is "$(python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
exit = [line for line in lines if line["unmapped"]["record"] == "exit"][0]
print(exit["unmapped"]["allowed"], exit["unmapped"]["denied"], exit["unmapped"]["attempts"])
' "$(first_of 0)")" "3 2 5" "the exit record has the totals"

# ---- loss ------------------------------------------------------------------
fresh loss
begin
start
say open 17 888 loser
say rings
say attempts 17 2 1
say lose 17 5
say attempts 17 1 1
say drained 17
is "$(grep -o '"count":5,"kseq_after":2,"kseq_before":8,"lost_total":5' "$(first_of 0)")" \
	'"count":5,"kseq_after":2,"kseq_before":8,"lost_total":5' "a gap is told at once, with its exact count"
say lose 17 3
say close 17
say next
is "$said" "closed 888 3 0" "the end counts what was recorded"
like "$(tail -n 2 "$(first_of 0)")" '"count":3,"kseq_after":8,"kseq_before":12,"lost_total":8' "a gap at the very end is told too"
# A slot that is used again starts anew.
say open 17 889 next
is "$said" "sent" "the slot gets another agent"
say attempts 17 4 1
say drained 17
is "$said" "drained 4" "whose credit begins at zero"
say close 17
say next
is "$said" "closed 889 4 0" "and whose totals are its own"
# An instance that nobody opened, one that starts counting again.
say own 2 2
say attempts 2 3 0
say drained 2
is "$(count '"stream":"instance-2"')" 3 "a record of an unknown instance is logged"
say own 2 2
say attempts 2 1 0
say eof
is "$said" "exit 0" "what is in the ring at the end is written"
is "$(count '"stream":"instance-2"')" 4 "all of it"
finish
whole loss
grep -v '"kseq":3,' "$(first_of 0)" >"$root/cut" && cp "$root/cut" "$(first_of 0)"
like "$(tool verify)" 'not whole: record' "verify names a removed record"

# ---- killed between write and everything after it ------------------------------
fresh killed
begin
start
say open 18 999 victim
say rings
say attempts 18 5 1
say drained 18
for write in 1 1 1 2; do
	say killwrite $write 18 1500
	is "$said" "killed signal 9" "killed as write $write ended"
	start
	is "$said" "ready 0" "started again"
	say open 18 999 victim
	say rings
	say drained 18
	like "$said" "^drained" "the credit is exact after a restart"
done
say lose 18 7
say killwrite 1 18 20
start
say open 18 999 victim
say rings
say close 18
say next
is "$said" "closed 999 6025 0" "no record is lost or counted twice by five kills"
say eof
finish
is "$(count '"record":"connection"')" 6025 "nor written twice"
is "$(count '"record":"loss"')" 1 "the loss before a kill is told once"
whole killed

# ---- killed anywhere, under load -------------------------------------------------
fresh anywhere
begin
start
say open 19 111 runner
say rings
good=0
for round in $(seq 1 15); do
	say attempts 19 $((300 + round * 37)) 1
	say kill
	start
	[ "$said" = "ready 0" ] && good=$((good + 1))
	say open 19 111 runner
	say rings
done
is $good 15 "killed fifteen times under load, started fifteen times"
say close 19
say next
is "$said" "closed 111 8940 0" "every record was counted once"
say eof
finish
is "$(count '"record":"connection"')" 8940 "and written once"
whole anywhere

# ---- torn tail -------------------------------------------------------------------
fresh torn
begin
start
say open 20 222 tear
say rings
say event 5 1 222
say next
say event 7 2 222
say next
say eof
say torn "$(first_of 0)" "$recorder" "$log" "$socket" $uid
like "$said" '^torn [0-9]+ bad 0$' "cut at every byte of the last line, recovered each time ($said)"
finish

# ---- a log that was changed, or is not ours ------------------------------------------
fresh changed
begin
start
for token in 1 2 3; do
	say event 1 $token 0
	say next
done
say eof
cp "$(first_of 0)" "$root/good"
sed -i 2d "$(first_of 0)"
chown $uid:$uid "$(first_of 0)"
start
like "$said" '^ready 117 .*changed' "a log with a line missing in the middle is refused, not cut"
say eof
is "$said" "exit 1" "and it ends"
like "$(tool verify)" 'not whole: records 1 to 1 are missing' "verify says which"
rm "$(first_of 0)"
ln -s "$root/good" "$(first_of 0)"
start
like "$said" '^ready 40 ' "a symlink in place of the segment is refused"
say eof
is "$(stat -c %s "$root/good")" "$(wc -c <"$root/good")" "and not followed"
rm "$(first_of 0)"
cp "$root/good" "$(first_of 0)"
chmod 666 "$(first_of 0)"
start
like "$said" '^ready 1 .*own' "so is somebody else's file"
say eof
rm "$(first_of 0)"
finish
begin
start
is "$said" "ready 0" "one recorder has the directory"
other=$(printf 'start %s %s %s %s\n' "$recorder" "$log" "$at/other" $uid | "$probe" 2>&1)
like "$other" 'ready 11 .*another recorder' "a second is refused"
finish

# ---- full disk ------------------------------------------------------------------------
mkdir "$root/disk"
mount -t tmpfs -o size=64k,mode=755 tmpfs "$root/disk"
fresh disk
begin
start
say open 21 333 filler
say rings
say event 5 1 333
say next
is "$said" "durable 1 0" "a disk with little room takes one record"
say attempts 21 100 1
say next
is "$said" "health 28" "a full disk is told to the warden"
is "$(tail -c 1 "$(first_of 0)" | od -An -tx1)" " 0a" "no half line is left behind"
before=$(cat "$log"/audit-*.jsonl | wc -l)
say event 5 7 333
say next
is "$said" "durable 7 28" "what must be durable is refused at once"
say credit 21
like "$said" "^credit [0-9]+$" "the ring is not given back"
[ "${said#credit }" -lt 100 ]
ok $? "so that the kernel's credit runs out ($said of 100)"
mount -o remount,size=4m "$root/disk"
say next
is "$said" "health 0" "room again: it goes on by itself"
say drained 21
is "$said" "drained 100" "with every record"
say close 21
say next
is "$said" "closed 333 100 0" "none lost"
say eof
is "$said" "exit 0" "and ends well"
finish
[ "$(cat "$log"/audit-*.jsonl | wc -l)" -gt "$before" ]
ok $? "the lines came after those before"
is "$(count '"record":"connection"')" 100 "each once"
like "$(grep '"record":"log outage"' "$log"/audit-*.jsonl)" 'ENOSPC.*"late_from":[0-9]+,"late_to":[0-9]+,"events_lost":0' "the outage has a record, which says what was late"
whole disk
mount -o remount,ro "$root/disk"
socket=$root/audit
begin
start
like "$said" '^ready 30 ' "a read-only disk: not ready"
say eof
is "$said" "exit 1" "and it ends"
finish
umount "$root/disk"

# ---- a sync that fails -------------------------------------------------------------------
fresh sync
begin
start inject
say open 22 444 sync
say rings
say event 5 1 444
say next
is "$said" "durable 1 0" "before: durable"
say failsyncs 2
say event 8 2 444
say next
is "$said" "durable 2 5" "a failed sync is told to who waits"
say next
is "$said" "health 5" "and to the warden"
say next
is "$said" "health 0" "then the lines are written again"
say attempts 22 10 1
say drained 22
say eof
finish
is "$(segments)" 2 "into a new segment"
is "$(count '"record":"kill"')" 1 "once"
like "$(grep '"record":"log outage"' "$log"/audit-*.jsonl)" 'EIO' "the outage has a record"
whole sync

# ---- the very first sync fails: the segment's name is used again -----------------------------
fresh firstsync
begin
start inject
say reader 0 "$socket" position 0
say failsyncs 1
say event 1 1 0
say next
is "$said" "durable 1 5" "nothing durable yet"
say next
say next
is "$said" "health 0" "the empty segment is replaced"
say read 0 2
is "$said" "lines 2 first 0 last 1 holes 0 end 0" "a reader that waited in it gets the lines"
say eof
finish
is "$(ls "$log")" "audit-00000000000000000000.jsonl" "by one of the same name"
whole firstsync

# ---- the audit pipe ----------------------------------------------------------------------------
fresh pipe
begin
start
say open 23 555 talker
say rings
say reader 1 "$socket" position 0
say reader 2 "$socket" position 0
say attempts 23 20000 1
say drained 23
is "$said" "drained 20000" "two readers that do not read hold nothing up"
say event 1 1 0
say next
say reader 3 "$socket" position 12345
say read 3 3
is "$said" "lines 3 first 12345 last 12347 holes 0 end 0" "a position in the middle"
say reader 3 "$socket" position now
# "Now" is when the recorder reads the request, which nothing tells us.
say event 1 2 0
say next
say event 1 3 0
say next
say read 3 1
like "$said" "lines 1 first 2000[12] last 2000[12] holes 0 end 0" "position now"
say read 1 20003
is "$said" "lines 20003 first 0 last 20002 holes 0 end 0" "the first slow reader gets everything"
say read 2 20003
is "$said" "lines 20003 first 0 last 20002 holes 0 end 0" "and the second"
say reader 4 "$socket" position 99999999
say read 4 1
like "$said" 'said \{"error":"position 99999999 is not in the log, which has 0 to 20003"\}' "a position beyond the end is refused"
for request in "position" "position -1" "position 1x" "hello world" "position 18446744073709551616"; do
	say reader 5 "$socket" "$request"
	say read 5 1
	like "$said" 'said \{"error":"expected' "refused: $request"
done
say reader 5 "$socket" "position" "$(printf 'x%.0s' $(seq 200))"
say read 5 1
like "$said" 'said \{"error":"expected' "a long request is refused"
is "$(tool tail --no-follow -n 1 --json | grep -c '"sequence":20002')" 1 "tail has the last"
for reader in $(seq 10 25); do say reader "$reader" "$socket" position now; done
say reader 26 "$socket" position now
say read 26 1
like "$said" 'said \{"error":"too many readers"\}' "the seventeenth reader is refused"
say pid
before=$(grep ctxt "/proc/$said/status")
# Half a second in which nothing may happen is the measurement, not a wait.
sleep 0.5
is "$(grep ctxt "/proc/$said/status")" "$before" "with sixteen idle readers it sleeps"
say eof
finish
whole pipe

# A follower gets what comes.
fresh follow
begin
start
say event 1 1 0
say next
exec 8< <(AMBIT_ROOT=$at "$audit" tail --json 2>"$root/said")
read -r -t 20 line <&8
like "$line" '"sequence":0' "tail begins with what there is"
say event 1 2 0
say next
read -r -t 20 line <&8
like "$line" '"sequence":1' "and follows"
say eof
is "$(cat <&8)" "" "to the end of the node"
exec 8<&-
is "$(cat "$root/said")" "ambit: audit: the node ended" "and says so"
finish

# ---- rotation ---------------------------------------------------------------------------------
fresh rotate
begin
start
say open 24 666 long
say rings
say attempts 24 60000 1
say drained 24
is "$said" "drained 60000" "sixty thousand records"
say reader 1 "$socket" position 100
say read 1 59000
is "$said" "lines 59000 first 100 last 59099 holes 0 end 0" "a reader goes from one segment into the next"
say close 24
say next
say eof
finish
is "$(segments)" 2 "two segments"
[ "$(stat -c %s "$(first_of 0)")" -le $((64 << 20)) ]
ok $? "the first of at most 64 MiB"
is "$(count '"activity_name":"Rotate"')" 1 "rotation has a record"
whole rotate
begin
start
say eof
finish
is "$(segments)" 2 "and the next recorder goes on in the second"
whole "rotate, again"

echo "1..$number"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Limits of memory, processes and processor time, each held by the kernel where this
# machine has the controller, and refused by its name where it has not.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
CONTROLLERS=" $(cat "$(cgroup2)/cgroup.controllers") "

# has NAME PROFILE: the controller is there; otherwise its refusal is tested.
has() {
	case $CONTROLLERS in
	*" $1 "*) return 0 ;;
	esac
	refused "$1: refused where it is missing" 125 "$1" ambit_run "$2" true
	return 1
}
FILL='
import sys
held = bytearray(int(sys.argv[1]) << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
print("held")'
profile memory 'limits: {memory: 64M}'
if has memory memory; then
	runs "memory: below the limit" 0 ambit_run memory python3 -c "$FILL" 24
	is "it holds it" "$OUT" held
	runs "memory: above the limit, it is killed" 137 ambit_run memory python3 -c "$FILL" 200
	is "before it holds it" "$OUT" ""
	profile roomy 'limits: {memory: 512M}'
	runs "memory: the same under a larger limit" 0 ambit_run roomy python3 -c "$FILL" 200
fi
profile processes 'limits: {processes: 12}'
SPAWN='
import os, signal, sys
made = 0
try:
    while made < 40:
        if os.fork() == 0:
            signal.pause()
        made += 1
except OSError as error:
    print(error.strerror)
print(made, flush=True)
os.kill(0, signal.SIGKILL)'
run ambit_run processes python3 -c "$SPAWN"
is "processes: eleven more and no twelfth" "$(printf %s "$OUT" | tr '\n' ' ')" \
	"Resource temporarily unavailable 11"
case $CONTROLLERS in
*" pids "*)
	id=$(ambit run --profile processes --detach -- sleep 600)
	is "processes: pids.max, with room for process 1" "$(cat "$NODE_CGROUP/$id/pids.max")" 13
	ok "kill" ambit kill "$id" --reason test
	;;
esac
profile slow 'limits: {cpu: 20%}'
if has cpu slow; then
	id=$(ambit run --profile slow --detach -- sh -c 'while :; do :; done')
	is "cpu: its share of each period" "$(cat "$NODE_CGROUP/$id/cpu.max")" "20000 100000"
	ok "cpu: it is held back" python3 - "$NODE_CGROUP/$id/cpu.stat" <<-'PYTHON'
	import sys, time
	stat = lambda: dict(line.split() for line in open(sys.argv[1]))
	first, begin = stat(), time.monotonic()
	while int(stat()["nr_throttled"]) < int(first["nr_throttled"]) + 10:
	    pass
	used = (int(stat()["usage_usec"]) - int(first["usage_usec"])) / 1e6
	share = used / (time.monotonic() - begin)
	print(share)
	sys.exit(not share < 0.35)
	PYTHON
	ok "kill" ambit kill "$id" --reason test
fi
# ---- who goes first when memory runs out -------------------------------------------------
profile plain
run ambit_run plain sh -c 'echo 999 >/proc/self/oom_score_adj; cat /proc/1/oom_score_adj /proc/self/oom_score_adj'
is "an agent goes first, its process 1 too, and can't change it" "$OUT" "$(printf '1000\n1000')"
for process in ambitd ambit-recorder ambit-issuer ambit-porter ambit-supervise; do
	if (echo -1 >/proc/self/oom_score_adj) 2>/dev/null; then
		is "$process goes late" "$(cat "/proc/$(node_pid $process)/oom_score_adj")" -900
	else
		skip "$process goes late" "root here may not say so (CAP_SYS_RESOURCE)"
	fi
done
finish

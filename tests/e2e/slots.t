#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Places that are made ahead of launches: they are used, each once, by the launch
# and nobody else; what changed meanwhile is not overlooked; nothing is left.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
WORK=$(mktemp -d /srv/ambit-slots.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
chmod 755 "$WORK"
mkdir "$WORK/data"
echo first >"$WORK/data/file"
profile plain
profile narrow "syscalls: {deny: [ioctl]}"
profile listed "files: {read: [$WORK/data]}"

# prepared: pids of the processes that wait for a launch, one for each place: the
# process that is to become the command is the child of another.
cat >"$TAP_DIRECTORY/prepared.py" <<'PYTHON'
import json, os, subprocess, sys
def prepared():
    listed = subprocess.run(["ambit", "ps", "--json"], capture_output=True, text=True).stdout
    agents = {json.loads(line)["pid"] for line in listed.splitlines()}
    mine = ("AMBIT_ROOT=" + os.environ["AMBIT_ROOT"]).encode()
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = open(f"/proc/{pid}/comm").read().strip()
            environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
            parent = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if name == "ambit-init" and mine in environment and int(pid) not in agents:
            parents[pid] = parent
    return [pid for pid in parents if parents[pid] not in parents and
            (wanted is None or pid in parents.values())]
# With a number: those that have made the command's process.
wanted = int(sys.argv[1]) if len(sys.argv) > 1 else None
for question in range(300):
    found = prepared()
    if wanted is None or len(found) == wanted:
        break
print("\n".join(found))
sys.exit(wanted is not None and len(found) != wanted)
PYTHON
prepared() {
	python3 "$TAP_DIRECTORY/prepared.py"
}
until_prepared() {
	python3 "$TAP_DIRECTORY/prepared.py" "$1"
}

is "a node that launched nothing has none" "$(prepared)" ""
runs "a launch" 0 ambit_run plain true
ok "places are kept for the profile" until_prepared 4
WAITING=" $(prepared | tr '\n' ' ')"
is "they are no agents" "$(ambit ps --json)" ""
is "nothing is recorded of them" "$(ambit audit show --json | grep -c '"type_uid":100701')" 1
id=$(ambit run --profile plain --detach -- sleep 1000)
like "the next launch takes one" "$WAITING" " $(field "$id" pid) "
ok "kill" ambit kill "$id" --reason test

# ---- the filter ----------------------------------------------------------------
# filters: how many the process has that waits behind each place, beyond those that
# the node itself was started with.
filters_of() {
	sed -n 's/^Seccomp_filters:[[:space:]]*//p' "/proc/$1/status"
}
filters() {
	for pid in $(prepared); do
		child=$(tr -d ' ' <"/proc/$pid/task/$pid/children")
		echo $(($(filters_of "$child") - $(filters_of "$pid")))
	done | sort | uniq -c | tr -s ' ' | tr '\n' ';'
}
ok "settle" ambit node settle
runs "a launch" 0 ambit_run plain true
ok "places" until_prepared 4
is "the command's process waits behind its filters" "$(filters)" " 4 2;"
ok "settle" ambit node settle
runs "a filter that does not permit the waiting" 0 ambit_run narrow true
ok "places" until_prepared 4
is "is not loaded yet" "$(filters)" " 4 0;"
IOCTL='
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ioctl(0, 0x5401, None), ctypes.get_errno())'
is "but in the command it is" "$(ambit_run narrow python3 -c "$IOCTL" </dev/null)" "-1 1"
is "where ioctl is permitted, that is another error" \
	"$(ambit_run plain python3 -c "$IOCTL" </dev/null)" "-1 25"

ok "settle" ambit node settle

# ---- each request reaches its own place ------------------------------------------
for number in $(seq 16); do
	ambit run --profile plain --task "T$number" --name "n$number" -- sh -c \
		'echo "$1 $AMBIT_TASK $AMBIT_AGENT_ID $(id -u)"; cat; touch /tmp/mine; ls /tmp' \
		sh "$number" <"$WORK/data/file" >"$TAP_DIRECTORY/each.$number" &
	EACH="${EACH:-} $!"
done
for job in $EACH; do wait "$job"; done
for number in $(seq 16); do
	is "launch $number: its argument, task, input and directory" \
		"$(sed 's/ [^ ]*-[^ ]* [0-9]*$//' "$TAP_DIRECTORY/each.$number" | tr '\n' ' ')" \
		"$number T$number first mine "
done
is "no two shared an id" "$(head -qn 1 "$TAP_DIRECTORY"/each.* | cut -d' ' -f3 | sort -u | wc -l)" 16

# ---- what changed meanwhile ---------------------------------------------------------
runs "a listed directory" 0 ambit_run listed cat "$WORK/data/file"
is "is seen" "$OUT" first
ok "places for it" until_prepared 8
mv "$WORK/data" "$WORK/old"
mkdir "$WORK/data"
echo second >"$WORK/data/file"
runs "another directory in its place" 0 ambit_run listed cat "$WORK/data/file"
is "is what the agent sees" "$OUT" second
chown 1234 "$WORK/data"
runs "another owner" 0 ambit_run listed stat -c %U "$WORK/data"
is "is the agent itself" "$OUT" agent
rm -r "$WORK/data"
refused "a directory that is gone" 125 "$WORK/data" ambit_run listed true
profile plain "run: {environment: {WORD: changed}}"
runs "a changed profile" 0 ambit_run plain sh -c 'echo $WORD'
is "is in force" "$OUT" changed

# ---- a place in the making ------------------------------------------------------------
# Made while the command of the launch before is executed; here it takes a while (170:
# sethostname), and is taken all the same: it serves as well as one begun now.
ok "settle" ambit node settle
warden=$(node_pid ambitd)
strace -f -qq -o "$TAP_DIRECTORY/trace" -e trace=sethostname \
	-e inject=sethostname:delay_enter=2000000 -p "$warden" &
strace=$!
timeout 20 sh -c 'while grep -qs "^TracerPid:[[:space:]]*0" "/proc/$1/status"; do :; done' sh "$warden"
runs "a launch" 0 ambit_run plain true
making=$(prepared)
is "the next place is in the making" \
	"$(for pid in $making; do cut -d' ' -f1 "/proc/$pid/syscall"; done | sort -u)" 170
id=$(ambit run --profile plain --detach -- sleep 1000)
like "and becomes the next agent" " $(echo "$making" | tr '\n' ' ')" " $(field "$id" pid) "
kill "$strace"
wait "$strace" 2>/dev/null
ok "kill" ambit kill "$id" --reason test

# ---- a place whose process was killed ------------------------------------------------
ok "settle" ambit node settle
runs "a launch" 0 ambit_run plain true
runs "and one of another profile" 0 ambit_run narrow true
ok "places of both profiles" until_prepared 8
dead=$(prepared)
# shellcheck disable=SC2086
kill -9 $dead
# shellcheck disable=SC2086
ok "they are killed" gone $dead
runs "a launch beside dead places" 0 ambit_run plain true
ok "retire" ambit retire --profile plain --reason test
refused "a retired profile" 125 "retired" ambit_run plain true
ok "reinstate" ambit reinstate --profile plain --reason test

# ---- the end -------------------------------------------------------------------------
ok "settle" ambit node settle
is "none is left" "$(prepared)" ""
ok "nothing else is either" [ -z "$(find "$NODE_CGROUP" -mindepth 1 -type d ! -name recorder \
	! -name issuer ! -name porter)" ]
runs "and a launch works" 0 ambit_run plain true
ok "places again" until_prepared 4
old=$(prepared)
warden=$(node_pid ambitd)
kill -9 "$warden"
ok "the warden is killed" gone "$warden"
runs "a warden that was killed is back" 0 ambit_run plain true
# shellcheck disable=SC2086
ok "the places of its predecessor are gone" gone $old
ok "places again, for the node to stop with" until_prepared 4
finish

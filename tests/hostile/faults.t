#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node proves what bounds its agents, it does not believe it: at its start one bpf
# call after the other is made to do nothing and to report success (strace injects
# that), so that a program is missing where the node has attached it. It must say so and
# not come up. Its sibling, with another call left as it is, comes up.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_directory
mkdir -p "$AMBIT_ROOT/run/ambit"

# starts STRACE-ARGUMENT…: starts a node under strace and prints what it says when it is
# ready or can't be; then it is ended.
cat >"$TAP_DIRECTORY/starts.py" <<'PYTHON'
import os, signal, subprocess, sys
ready, writer = os.pipe()
node = subprocess.Popen(["strace", "-qq", "-o", sys.argv[2], "-e", "trace=bpf", *sys.argv[3:],
                         sys.argv[1], "--ready-fd", str(writer)], pass_fds=[writer],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL, start_new_session=True)
os.close(writer)
with os.fdopen(ready) as lines:
    print(lines.readline().strip() or "nothing was said")
    for child in open(f"/proc/{node.pid}/task/{node.pid}/children").read().split():
        try:
            os.kill(int(child), signal.SIGTERM)
        except ProcessLookupError:
            pass
    node.wait(20)
PYTHON
starts() {
	timeout 60 python3 "$TAP_DIRECTORY/starts.py" "$AMBIT_BUILD/libexec/ambit/ambitd" \
		"$TAP_DIRECTORY/trace" "$@"
}
is "a node starts" "$(starts)" ready
grep -n BPF_PROG_ATTACH "$TAP_DIRECTORY/trace" | cut -d: -f1 >"$TAP_DIRECTORY/attachments"
ok "it attaches programs" [ "$(wc -l <"$TAP_DIRECTORY/attachments")" -gt 40 ]
# Every third of the wall, of the scratch cgroup of the proof and of the first service:
# a start takes a second or two, most of it the kernel's verifier.
# A call more or less (the machine's addresses change) moves the number to another call,
# and one of its neighbours is meant: what was taken out stands in the trace.
KINDS=$(grep BPF_PROG_ATTACH "$TAP_DIRECTORY/trace" | sed 's/.*attach_type=\([^,]*\),.*/\1/' | sort -u | wc -l)
refused=0 tried=0
for number in $(head -n $((3 * KINDS)) "$TAP_DIRECTORY/attachments" | awk 'NR % 3 == 1'); do
	for at in "$number" $((number + 1)) $((number + 2)) $((number - 1)); do
		said=$(starts -e "inject=bpf:retval=0:when=$at")
		grep -F "(INJECTED)" "$TAP_DIRECTORY/trace" | grep -q BPF_PROG_ATTACH && break
	done || continue
	tried=$((tried + 1))
	case $said in
	"error: "*) refused=$((refused + 1)) ;;
	*) diag "$(grep -F "(INJECTED)" "$TAP_DIRECTORY/trace") is missing: $said" ;;
	esac
[ "$tried" != 1 ] || like "it says what is missing" "$said" "cgroup hooks"
done
ok "most were calls that attach ($tried)" [ "$tried" -ge $((KINDS - 4)) ]
is "none of those programs can be missing" "$refused" "$tried"
# The node was not left in a state that keeps the next from starting.
is "a node starts again" "$(starts)" ready
is "nothing is left" "$(node_rest)" ""

# ---- each launch looks again: what was prepared for it may not be there any more ----------
node_start
profile plain
# spoil COMMAND…: done to each place that waits, with its cgroup.  One that comes later
# would serve where these are spoilt: there are four (slots.c).
spoil() {
	ambit run --quiet --profile plain -- true && places=$(node_places 4)
	ok "a launch as it should be" [ -n "$places" ]
	for place in $places; do
		"$@" "$(cgroup2)$(sed -n 's/^0:://p' "/proc/$place/cgroup")" || fail "spoilt"
	done
}
detach() {
	bpftool cgroup list "$2" | awk -v name="$1" '$NF == name { print $2, "id", $1 }' |
		while read -r type _ id; do
			bpftool cgroup detach "$2" "$type" id "$id"
		done
	! bpftool cgroup list "$2" | grep -qw "$1"
}
ambit_run plain true
NAMES=$(bpftool cgroup list "$(cgroup2)$(sed -n 's/^0:://p' "/proc/$(node_places 4 | head -n 1 | tr -d ' ')/cgroup")" |
	awk '$NF ~ /^leaf_/ { print $NF }')
ok "a place has programs" [ "$(echo "$NAMES" | wc -l)" -ge 12 ]
for name in $NAMES; do
	spoil detach "$name"
	refused "$name is detached: refused" 125 "is not attached" ambit_run plain true
	ambit node settle
done
runs "a launch as it should be" 0 ambit_run plain true
finish

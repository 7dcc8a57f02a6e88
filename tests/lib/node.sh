# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A private node for one test script, below a directory of its own (AMBIT_ROOT),
# and pictures of what it has on the machine, to compare before and after.
# Sourced after tap.sh, from the top of the checkout.
AMBIT_BUILD=$(pwd)/build
PATH=$AMBIT_BUILD/bin:$AMBIT_BUILD/tests/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

[ "$(id -u)" = 0 ] || bail_out "root is needed: agents are real"

# node_begin: makes AMBIT_ROOT and starts the node.  $PROFILES is where its
# profiles are looked up by name.
node_begin() {
	node_directory
	node_start
}

node_start() {
	ambit node start || bail_out "the node does not start: $(node_log)"
	NODE_CGROUP=$(node_cgroup)
	at_exit node_end
}

# node_directory: AMBIT_ROOT without a node.
node_directory() {
	AMBIT_ROOT=$(mktemp -d /tmp/ambit-test.XXXXXX) || bail_out "no directory"
	chmod 755 "$AMBIT_ROOT"
	export AMBIT_ROOT
	PROFILES=$AMBIT_ROOT/etc/ambit/profiles
	mkdir -p "$PROFILES"
	at_exit node_remove
	NODE_CGROUP=
}

node_log() {
	tail -n 5 "$AMBIT_ROOT/run/ambit/node.log" 2>&1
}

# node_pids: processes of this node, by the variable they were started with and
# their executable: pid and program, one a line.  Agents are not among them, but
# their ambit-init is.
node_pids() {
	for node_process in /proc/[0-9]*; do
		case $(readlink "$node_process/exe") in
		*"$AMBIT_BUILD"/libexec/ambit/* | *"$AMBIT_BUILD/bin/ambit"*) ;;
		*) continue ;;
		esac
		tr '\0' '\n' 2>/dev/null <"$node_process/environ" |
			grep -qxF "AMBIT_ROOT=$AMBIT_ROOT" || continue
		echo "${node_process#/proc/} $(cat "$node_process/comm")"
	done
}

# node_pid PROGRAM: ambitd, ambit-recorder, ambit-issuer, ambit-porter,
# ambit-supervise.  (comm has 15 characters.)
node_pid() {
	node_pids | awk -v name="$(printf %.15s "$1")" '$2 == name { print $1 }'
}

# node_places COUNT: the processes that wait for a launch, once there are so many: each
# has a child, which is to become the command.
node_places() {
	# shellcheck disable=SC2016
	timeout 20 sh -c 'until [ "$(pgrep -P "$(pgrep -d, -P "$1" -x ambit-init)" -x ambit-init |
			tee "$3" | wc -l)" = "$2" ]; do :; done' sh "$(node_pid ambitd)" "$1" \
		"$TAP_DIRECTORY/places" 2>/dev/null &&
		ps -o ppid= -p "$(paste -sd, "$TAP_DIRECTORY/places")"
}

cgroup2() {
	awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) == "cgroup2" && $4 == "/") { print $5; exit } }' /proc/self/mountinfo
}

node_cgroup() {
	node_path=$(sed -n 's/^0:://p' "/proc/$(node_pid ambit-recorder)/cgroup")
	[ -n "$node_path" ] || return 1
	echo "$(cgroup2)${node_path%/*}"
}

# gone PID…: waits, by event, until the processes have ended.
gone() {
	python3 - "$@" <<-'PYTHON'
	import os, select, sys
	for pid in map(int, sys.argv[1:]):
	    try:
	        fd = os.pidfd_open(pid)
	    except ProcessLookupError:
	        continue
	    if not select.select([fd], [], [], 20)[0]:
	        sys.exit(f"process {pid} does not end")
	PYTHON
}

# node_end: stops the node and proves that nothing of it is on the machine.
node_end() {
	node_alive=$(node_pids | awk '$2 != "ambit-init" { print $1 }')
	timeout 60 ambit kill --all --reason "end of the test" >/dev/null 2>&1
	timeout 60 ambit node stop || { node_log; node_kill; return 1; }
	# shellcheck disable=SC2086
	gone $node_alive || return 1
	node_rest=$(node_rest)
	[ -z "$node_rest" ] || { diag "left behind: $node_rest"; return 1; }
}

# node_kill: a node that does not end by itself must not stay on the machine.  Who would
# start it again goes first.
node_kill() {
	# shellcheck disable=SC2046
	kill -KILL $(node_pid ambit-supervise) $(node_pids | cut -d' ' -f1)
	find "$NODE_CGROUP" -name cgroup.kill -exec sh -c 'for at; do echo 1 >"$at"; done' sh {} +
	timeout 20 sh -c 'while [ -d "$1" ]; do find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; done' \
		sh "$NODE_CGROUP"
	awk -v run="$AMBIT_ROOT/run/" 'index($5, run) == 1 { print $5 }' /proc/self/mountinfo | tac |
		xargs -r -d '\n' umount -l
}

node_rest() {
	node_pids
	grep -hF " $AMBIT_ROOT/run/" /proc/self/mountinfo
	[ -z "$NODE_CGROUP" ] || ! [ -d "$NODE_CGROUP" ] || echo "$NODE_CGROUP"
	find "$AMBIT_ROOT/run/ambit" -mindepth 1 ! -name node.log ! -name node.lock 2>/dev/null
}

# Never through a mount: what lies behind it is the host's.
node_remove() {
	if grep -F " $AMBIT_ROOT/" /proc/self/mountinfo; then
		echo "# $AMBIT_ROOT is kept: something is mounted in it"
		return 1
	fi
	rm -rf --one-file-system "$AMBIT_ROOT"
}

# profile NAME [YAML…]: writes a profile whose required keys are filled in; each
# argument is a block of YAML added to it.
profile() {
	profile_name=$1
	shift
	{
		printf 'ambit: 1\nname: %s\n' "$profile_name"
		printf 'owner: tests@example.com\npurpose: Serves a test\ntier: low\n'
		printf 'review: {approved-by: security@example.com, by: 9999-12-31}\n'
		for profile_block; do
			printf '%s\n' "$profile_block"
		done
	} >"$PROFILES/$profile_name.yaml"
}

# ambit_run PROFILE COMMAND…
ambit_run() {
	ambit_profile=$1
	shift
	ambit run --profile "$ambit_profile" -- "$@"
}

# field AGENT MEMBER: of `ambit inspect --json`; members as a.b or a.0.b.
field() {
	ambit inspect "$1" --json | member "$2"
}

# member NAME: of each JSON line of stdin.
member() {
	python3 -c '
import json, sys
for line in sys.stdin:
    value = json.loads(line)
    for name in sys.argv[1].split("."):
        value = value[int(name)] if isinstance(value, list) else (value or {}).get(name)
    print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

# audit_wait AGENT PART: waits for a record of the agent whose readable line
# contains PART, and prints the line.
audit_wait() {
	mkfifo "$TAP_DIRECTORY/audit.$$"
	timeout 20 ambit audit tail --from 0 --agent "$1" >"$TAP_DIRECTORY/audit.$$" &
	audit_tail=$!
	grep -m 1 -F -- "$2" <"$TAP_DIRECTORY/audit.$$"
	audit_found=$?
	kill "$audit_tail" 2>/dev/null
	wait "$audit_tail" 2>/dev/null
	rm "$TAP_DIRECTORY/audit.$$"
	return "$audit_found"
}

# ---- pictures -------------------------------------------------------------
# snapshot FILE: everything of this node that an agent may leave behind, sorted.
# Profiles' prepared roots and slots' user namespaces are kept between agents, so
# the first picture is taken after each profile ran once.
# First what the node keeps ready for launches to come is given up, and what ended
# agents leave is taken down.
snapshot() {
	ambit node settle || return 1
	snapshot_warden=$(node_pid ambitd)
	{
		snapshot_processes
		snapshot_mounts
		find "$NODE_CGROUP" -mindepth 1 -type d -printf 'cgroup %P\n'
		snapshot_run=/proc/$snapshot_warden/root$AMBIT_ROOT/run/ambit
		find "$snapshot_run" "$snapshot_run/bpf" "$snapshot_run/instances" \
			"$AMBIT_ROOT/var/lib/ambit" -xdev ! -name '*.log' \
			-printf 'file %H %P %y %m %U\n' | sed "s|/proc/$snapshot_warden/||"
		snapshot_maps
		ss -Hatuwne 2>/dev/null |
			grep -e "cgroup:${NODE_CGROUP#"$(cgroup2)"}/" \
				-e " ${NET4:-none}\..*cgroup:unreachable" |
			awk '/\/porter( |$)/ { sub(/:[0-9]+$/, "", $5) } { print "socket", $1, $2, $5, $6 }'
		echo "descriptors $(find "/proc/$snapshot_warden/fd" -type l ! -lname 'user:*' | wc -l)"
	} | sort >"$1"
}

# By uid, whatever their cgroup: one that moved out is seen too.  A dead process
# that its parent has not reaped yet counts where the parent is the warden; the
# children of a warden that was killed are the supervisor's to reap.
snapshot_processes() {
	ps -eo uid=,pid=,ppid=,stat=,comm= |
		awk -v warden="$snapshot_warden" \
			'$1 >= 2000000016 && $1 < 2000010000 && ($4 !~ /^Z/ || $3 == warden)' |
		while read -r snapshot_uid snapshot_pid _ _ snapshot_name; do
			case $(sed -n 's/^0:://p' "/proc/$snapshot_pid/cgroup" 2>/dev/null) in
			"${NODE_CGROUP#"$(cgroup2)"}"/*) ;;
			/ambit*/* | "") continue ;; # of another node; gone
			esac
			echo "process $snapshot_uid $snapshot_name"
		done
	find "$NODE_CGROUP" -name cgroup.procs -exec cat {} + |
		while read -r snapshot_pid; do
			echo "member $(cat "/proc/$snapshot_pid/comm" 2>&1)"
		done
}

# The warden has a mount namespace of its own.
snapshot_mounts() {
	for snapshot_table in /proc/self/mountinfo "/proc/$snapshot_warden/mountinfo"; do
		awk -v root="$AMBIT_ROOT" 'index($5, root) { print "mount", $5, $6 }' \
			"$snapshot_table"
	done
}

# Entries of every pinned map whose size grows with agents; own_addresses follows
# the machine's interfaces.
snapshot_maps() {
	find "/proc/$snapshot_warden/root$AMBIT_ROOT/run/ambit/bpf" -type f ! -name own_addresses |
		while read -r snapshot_pin; do
			case $(bpftool map show pinned "$snapshot_pin" 2>/dev/null) in
			*": cgroup_storage "* | *": hash "* | *": lpm_trie "* | *": lru_hash "*) ;;
			*) continue ;;
			esac
			echo "map ${snapshot_pin##*/}" \
				"$(bpftool map dump pinned "$snapshot_pin" |
					grep -oE 'Found [0-9]+ element|"key":|^key' | sort | uniq -c | tr -s ' \n' ' ')"
		done
}

# kernel_has MAJOR MINOR: whether this kernel is as new.  By its number, not by what the
# node proved: a layer that is lost where it should be must fail a test.
kernel_has() {
	uname -r | awk -F. -v major="$1" -v minor="$2" \
		'{ exit !($1 > major || ($1 == major && $2 + 0 >= minor)) }'
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each process of the node, and both ends of a launch, is killed at each step of a
# launch: strace(1) kills it at its Nth call of those that make the step, for every N
# that a launch comes to. Whatever the moment, neither the agent that is launched nor
# one that runs all the while reaches what its profile does not list; what it lists is
# reached again once the node is whole, and nothing is left behind.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
net_begin
node_directory

# A supervisor that does not wait longer each time: there are many times.
cat >"$TAP_DIRECTORY/supervise.py" <<'PYTHON'
import fcntl, os, signal, subprocess, sys
# Who runs ambit waits for the holder of this lock rather than starting a node itself.
lock = open(sys.argv[3], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
child, ending = None, []
def end(*_):
    ending.append(1)
    if child:
        child.terminate()
signal.signal(signal.SIGTERM, end)
first = True
while not ending:
    ready, writer = os.pipe()
    child = subprocess.Popen([sys.argv[1], "--ready-fd", str(writer)], pass_fds=[writer],
                             stdin=subprocess.DEVNULL, stdout=open(sys.argv[2], "ab"),
                             stderr=subprocess.STDOUT)
    os.close(writer)
    line = os.read(ready, 1024).decode()
    if first:
        print(line.strip(), flush=True)
        os.close(1)
    first = False
    if child.wait() == 0:
        break
    os.close(ready)
PYTHON
mkdir -p "$AMBIT_ROOT/run/ambit"
serve python3 "$TAP_DIRECTORY/supervise.py" "$AMBIT_BUILD/libexec/ambit/ambitd" \
	"$AMBIT_ROOT/run/ambit/node.log" "$AMBIT_ROOT/run/ambit/node.lock"
NODE_CGROUP=$(node_cgroup)
at_exit node_end

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cp build/tests/bin/ways "$WORK/"
: >"$TAP_DIRECTORY/arrived"
net_serve python3 tests/lib/echo.py --count "$TAP_DIRECTORY/arrived" "tcp:$NET4.3:7000" "udp:$NET4.3:7000"
net_serve python3 tests/lib/echo.py "tcp:$NET4.2:7000"
profile bounded "files: {read: [$WORK]}
egress: [{to: $NET4.2, ports: [7000]}]
credentials: [{name: tls, type: x509-svid, ttl: 1h}]"
runs "what is listed is reached" 0 ambit_run bounded "$WORK/ways" tcp "$NET4.2" 7000
is "what is not is refused" "$(ambit_run bounded "$WORK/ways" tcp "$NET4.3" 7000)" "connect EPERM"
snapshot "$TAP_DIRECTORY/before"

# Runs all the while, and tells at the end what ever came of it.
ambit run --quiet --profile bounded --name throughout -- python3 -c '
import errno, signal, socket, sys, time
seen = {"open": 0, "refused": 0, "listed": 0}
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
print("up", flush=True)
while not stop:
    for host, good in ((sys.argv[1], "open"), (sys.argv[2], "listed")):
        with socket.socket() as s:
            s.settimeout(5)
            try:
                s.connect((host, 7000))
                seen[good] += 1
                time.sleep(0.005)
            except OSError as error:
                seen["refused"] += good == "open" and error.errno == errno.EPERM
print(seen["open"], seen["refused"] > 0, seen["listed"] > 0, flush=True)' "$NET4.3" "$NET4.2" \
	>"$TAP_DIRECTORY/throughout" &
THROUGHOUT=$!

launch() {
	ambit run --quiet --profile bounded -- "$WORK/ways" tcp "$NET4.3" 7000 >/dev/null 2>&1
}
until_whole() {
	timeout 20 sh -c 'until ambit run --quiet --profile bounded -- "$1" tcp "$2" 7000; do :; done' \
		sh "$WORK/ways" "$NET4.2" >"$TAP_DIRECTORY/whole" 2>&1
}

# lives PID: and is not just waiting for its parent.
lives() {
	grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"
}

# killed_at PROGRAM CALL N: one launch, with the program killed at its Nth CALL.  1: the
# launch does not come to it.
killed_at() {
	killed_pid=$(node_pid "$1")
	strace -qq -o /dev/null -e "trace=$2" -e "inject=$2:signal=SIGKILL:when=$3" \
		-p "$killed_pid" &
	killed_strace=$!
	while lives "$killed_pid" && grep -qs '^TracerPid:[[:space:]]*0' "/proc/$killed_pid/status"; do :; done
	launch
	! lives "$killed_pid" || kill "$killed_strace" 2>/dev/null
	wait "$killed_strace" 2>/dev/null
	! lives "$killed_pid"
}

# steps PROGRAM CALL…: at most 20 of each call, for what the program does beside the
# launch counts too.  Every other time the warden, too, is killed: a service that ends
# again and again is started later each time, but not by a new warden.
steps() {
	steps_program=$1 steps_made=0 steps_whole=0
	shift
	for steps_call; do
		steps_n=1
		while [ "$steps_n" -le 20 ] && killed_at "$steps_program" "$steps_call" "$steps_n"; do
			steps_made=$((steps_made + 1))
			steps_n=$((steps_n + 1))
			if [ "$steps_program" != ambitd ] && [ $((steps_made % 2)) = 0 ]; then
				steps_pid=$(node_pid ambitd)
				kill -KILL "$steps_pid"
				gone "$steps_pid"
			fi
			until_whole && steps_whole=$((steps_whole + 1))
		done
	done
	is "$steps_program: the node was whole again after each of $steps_made kills" \
		"$steps_whole" "$steps_made"
	ok "$steps_program: there were some at each call" [ "$steps_made" -ge $# ]
	is "$steps_program: nothing arrived that was not listed" "$(cat "$TAP_DIRECTORY/arrived")" ""
}
steps ambit-issuer recvmsg sendmsg memfd_create write
steps ambit-porter recvmsg sendmsg openat renameat
steps ambit-recorder recvmsg sendmsg write fdatasync
steps ambitd accept4 recvfrom sendto clone3 mkdirat setns openat sendmsg recvmsg renameat bpf

# ---- the two ends of a launch ------------------------------------------------------------
# What becomes the agent waits already: ambit-init, and behind it, in its namespace, the
# process that becomes the command. All of one kind are watched, and a launch takes one.
# (Not both kinds at once: process 1 of a namespace ends only when its children are
# reaped, and a traced child is its tracer's to reap.)
init_pids() {
	init_warden=$(node_pid ambitd) init_other=$(field throughout pid)
	node_pids | while read -r init_pid init_name; do
		[ "$init_name" = ambit-init ] && [ "$init_pid" != "$init_other" ] || continue
		case $(ps -o ppid= -p "$init_pid" | tr -d ' ')/$1 in
		"$init_warden/1") echo "-p $init_pid" ;;
		"$init_warden/command" | "$init_other/"*) ;;
		*/command) echo "-p $init_pid" ;;
		esac
	done
}
# init_killed_at KIND CALL N. 1: no launch came to it.
init_killed_at() {
	init_all=$(init_pids "$1")
	shift
	# shellcheck disable=SC2086
	strace -qq -o "$TAP_DIRECTORY/trace" -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" \
		$init_all 2>/dev/null &
	killed_strace=$!
	for init_pid in $(echo "$init_all" | cut -d' ' -f2); do
		while lives "$init_pid" && kill -0 "$killed_strace" 2>/dev/null &&
			grep -qs '^TracerPid:[[:space:]]*0' "/proc/$init_pid/status"; do :; done
	done
	launch
	kill "$killed_strace" 2>/dev/null
	wait "$killed_strace" 2>/dev/null
	grep -qs "killed by SIGKILL" "$TAP_DIRECTORY/trace"
}
while read -r kind least calls; do
	made=0
	for call in $calls; do
		n=1
		while [ "$n" -le 5 ] && until_whole && init_killed_at "$kind" "$call" "$n"; do
			made=$((made + 1))
			n=$((n + 1))
		done
	done
	ok "ambit-init, $kind: killed at $made steps" [ "$made" -ge "$least" ]
done <<-'TABLE'
	1 5 recvmsg sendmsg close write rt_sigtimedwait wait4
	command 2 recvfrom umask chdir dup2 close_range seccomp unshare read execve
TABLE
is "ambit-init: nothing arrived that was not listed" "$(cat "$TAP_DIRECTORY/arrived")" ""
made=0
for call in connect sendmsg recvmsg poll ioctl close fstat; do
	n=1
	while [ "$n" -le 5 ]; do
		strace -qq -o "$TAP_DIRECTORY/trace" -e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$n" \
			ambit run --quiet --profile bounded -- "$WORK/ways" tcp "$NET4.3" 7000 >/dev/null 2>&1
		grep -q "killed by SIGKILL" "$TAP_DIRECTORY/trace" || break
		made=$((made + 1))
		n=$((n + 1))
	done
done
ok "ambit: killed at some steps ($made)" [ "$made" -ge 10 ]
is "ambit: nothing arrived that was not listed" "$(cat "$TAP_DIRECTORY/arrived")" ""
ok "the node is whole" until_whole
ambit retire throughout --reason test >/dev/null
wait "$THROUGHOUT"
is "the agent that ran all the while" "$(tail -n 1 "$TAP_DIRECTORY/throughout")" "0 True True"
snapshot "$TAP_DIRECTORY/after"
sed -i '/^descriptor/d; /^mount.*roots/d; /roots/d' "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
same "nothing is left" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A process of the node that is taken over: each is made to issue calls that it has no
# need for (tests/lib/inject.py), which its walls refuse, and one that it needs.  A
# process of root without walls is made to issue the same: it has other answers, since
# the arguments are of no use.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
[ "$(uname -m)" = x86_64 ] || bail_out "the numbers of the calls are those of x86-64"
# Whoever changes his user is as dumpable as this says.
DUMPABLE=/proc/sys/fs/suid_dumpable
OLD=$(cat $DUMPABLE)
at_exit 'echo "$OLD" >$DUMPABLE'
echo 1 >$DUMPABLE
node_begin
mkfifo "$TAP_DIRECTORY/never"
cat <>"$TAP_DIRECTORY/never" >/dev/null &
FREE=$!
at_exit 'kill $FREE; wait $FREE 2>/dev/null; :'
timeout 20 sh -c 'until grep -qs "^0 0x0 " "$1"; do :; done' sh "/proc/$FREE/syscall" ||
	bail_out "no process that waits"

# The last one of each is what it needs.
while read -r process calls; do
	numbers=$(echo "$calls" | tr ' ' '\n' | cut -d: -f2)
	# shellcheck disable=SC2086
	free=$(python3 tests/lib/inject.py "$FREE" $numbers | tr '\n' ' ')
	# shellcheck disable=SC2086
	got=$(python3 tests/lib/inject.py "$(node_pid "$process")" $numbers | tr '\n' ' ')
	for call in $calls; do
		name=${call%%:*} outside=${free%% *} inside=${got%% *}
		free=${free#* } got=${got#* }
		if [ "$call" = "${calls##* }" ]; then
			is "$process: $name is as without walls" "$inside" "$outside"
		elif [ "$outside" = EPERM ] || [ "$outside" = ENOSYS ]; then
			skip "$process: $name" "this kernel answers $outside to anybody"
		else
			is "$process: $name: $outside without walls" "$inside" EPERM
		fi
	done
done <<'TABLE'
ambitd io_uring_setup:425 perf_event_open:298 userfaultfd:323,-1 memfd_secret:447,-1 add_key:248 request_key:249 open_by_handle_at:304,-1 fanotify_init:300,-1 swapon:167 clock_settime:227 adjtimex:159 acct:163,1 quotactl:179 kexec_load:246,0,99 finit_module:313,-1 delete_module:176 reboot:169 syslog:103,99 bpf:321,-1
ambit-recorder execve:59 socket:41,99 connect:42,-1 bind:49,-1 ptrace:101,12 kill:62,1,99 mount:165 setns:308,-1 setuid:105,-1 prctl:157,-1 mprotect:10,1 memfd_create:319 openat:257,-1
ambit-issuer execve:59 socket:41,99 connect:42,-1 bind:49,-1 ptrace:101,12 kill:62,1,99 mount:165 setns:308,-1 setuid:105,-1 prctl:157,-1 openat:257,-1 read:0,-1 write:1,-1
ambit-porter execve:59 socket:41,99 bind:49,-1 listen:50,-1 ptrace:101,12 kill:62,1,99 mount:165 setns:308,-1 setuid:105,-1 prctl:157,-1 openat:257,-1 read:0,-1 memfd_create:319 write:1,-1
TABLE

# ---- what the warden keeps ------------------------------------------------------------------
# chown, dac_override, dac_read_search, fowner, fsetid, kill, setgid, setuid, setpcap, net_admin,
# sys_chroot, sys_ptrace, sys_admin, sys_resource, mknod, setfcap, perfmon, bpf
NAMED=c0892c11ff
warden=$(node_pid ambitd)
for set in Prm Eff Bnd; do
	bits=$(sed -n "s/^Cap$set:[[:space:]]*//p" "/proc/$warden/status")
	is "ambitd: Cap$set: none but those it names" "$(printf '%x' $((0x$bits & ~0x$NAMED)))" 0
done
ok "ambitd: and of those" [ $((0x$bits & 1 << 21)) != 0 ]
# ---- and nobody looks into it, of his own uid or with less than it has ----------------------
is "ambitd: not dumpable" "$(python3 tests/lib/inject.py "$warden" 157,3)" 0
is "a process without walls is" "$(python3 tests/lib/inject.py "$FREE" 157,3)" 1
for process in ambit-recorder ambit-issuer ambit-porter; do
	pid=$(node_pid $process)
	is "$process: not dumpable: what is in /proc is root's" "$(stat -c %u "/proc/$pid/environ")" 0
	ok "$process: which it is not" [ "$(stat -c %u "/proc/$pid")" != 0 ]
done
# ---- they go on as if nothing had been ------------------------------------------------------
profile plain 'credentials: [{name: tls, type: x509-svid, ttl: 1h}]'
runs "an agent is launched" 0 ambit_run plain true
finish

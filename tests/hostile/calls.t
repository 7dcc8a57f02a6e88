#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# System calls and sockets that would leave the bounds without a packet that a
# hook sees (calls.probe.c).  Each is tried outside first: what this kernel does
# not have can't be shown to be refused.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mkdir "$WORK/bin" "$WORK/listed" "$WORK/handed" "$WORK/outside"
cp build/tests/bin/calls "$WORK/bin/"
serve python3 tests/lib/echo.py "unix:$WORK/handed/socket" "unix:$WORK/listed/socket" \
	"abstract:ambit-test-$$"
# Where no hook sees who connects (before 6.7) there are no unix sockets with a name, and
# where memory files are executable by themselves (before 6.3) there are none.
UNIX=EPERM UNIX_RECORDS=0 UNIX_OWN=EBADF MEMFD=done LISTED=
if kernel_has 6 7; then
	UNIX=done UNIX_RECORDS=1 UNIX_OWN=EPERM LISTED="
egress:
  - {to: \"unix:$WORK/listed/socket\", tool: listed}"
fi
kernel_has 6 3 || MEMFD=EPERM
profile hostile "files: {read: [$WORK/bin, $WORK/handed]}$LISTED"

# outside NAME ARGUMENT: as root, in namespaces and a directory of its own so that
# nothing of the machine changes.
outside() {
	(cd "$WORK/outside" &&
		exec unshare --mount --uts --ipc "$WORK/bin/calls" "$@") 2>&1 </dev/null
	echo "$?"
}
inside() {
	ambit run --quiet --profile hostile --name "case-$CASE" -- "$WORK/bin/calls" "$@" \
		2>&1 </dev/null
	echo "$?"
}
records() {
	ambit audit show --json --agent "case-$CASE" | grep -c '"type_uid":400105'
}

# call | inside | denied connection records | argument
# EPERM: known and forbidden.  ENOSYS: C libraries fall back.  159: killed.
CASE=0
while IFS='|' read -r call wanted denied argument; do
	CASE=$((CASE + 1))
	before=$(outside "$call" "$argument" | tr '\n' ' ')
	case $before/$wanted in
	EAFNOSUPPORT* | EPROTONOSUPPORT* | ESOCKTNOSUPPORT* | ENOPROTOOPT*)
		skip "$call" "this kernel has it not: $before"
		continue
		;;
	done* | */done | */ENOSYS | */159) ;;
	"$wanted "*)
		skip "$call" "it fails outside as well: $before"
		continue
		;;
	esac
	is "$call: $before outside" "$(inside "$call" "$argument" | tr '\n' ' ')" \
		"$(case $wanted in
		done) echo "done 0 " ;;
		159) echo "159 " ;;
		*) echo "$wanted 1 " ;;
		esac)"
	is "$call: records of it" "$(records)" "$denied"
done <<TABLE
socket-inet|done|0
socket-inet6|done|0
socket-unix|$UNIX|0
socket-route|done|0
socketpair|done|0
unix-own|$UNIX_OWN|0
memfd|$MEMFD|0
jit|done|0
socket-raw|EPERM|0
socket-raw-high|EPERM|0
socket-packet|EPERM|0
socket-packet-high|EPERM|0
socket-packet-old|EPERM|0
socket-xdp|EPERM|0
socket-vsock|EPERM|0
socket-alg|EPERM|0
socket-key|EPERM|0
socket-rds|EPERM|0
socket-rxrpc|EPERM|0
socket-smc|EPERM|0
socket-tipc|EPERM|0
socket-can|EPERM|0
socket-bluetooth|EPERM|0
socket-qipcrtr|EPERM|0
socket-xfrm|EPERM|0
socket-netfilter|EPERM|0
socket-audit|EPERM|0
socket-sctp|EPERM|0
socket-dccp|EPERM|0
socket-l2tp|EPERM|0
socket-mptcp|EPERM|0
socket-smc-inet|EPERM|0
socket-udplite|EPERM|0
unix-path|$UNIX|0|$WORK/listed/socket
unix-path|EPERM|$UNIX_RECORDS|$WORK/handed/socket
unix-abstract|EPERM|$UNIX_RECORDS|ambit-test-$$
io-uring|EPERM|0
bpf|EPERM|0
perf|EPERM|0
userfaultfd|EPERM|0
memfd-executable|EPERM|0
memfd-secret|EPERM|0
limits-of-process-1|EPERM|0
limits-of-process-1-high|EPERM|0
own-limits|done|0
no-core|done|0
no-core-swapped|EPERM|0
ptrace|EPERM|0
process-vm-writev|EPERM|0
pidfd-getfd|EPERM|0
kcmp|EPERM|0
add-key|EPERM|0
request-key|EPERM|0
keyctl|EPERM|0
unshare-user|EPERM|0
unshare-mount|EPERM|0
unshare-net|EPERM|0
clone-user|EPERM|0
clone3|ENOSYS|0
mount|EPERM|0
fsopen|EPERM|0
open-tree|EPERM|0
pivot-root|EPERM|0
chroot|EPERM|0
open-by-handle|EPERM|0
sethostname|EPERM|0
init-module|EPERM|0
kexec|EPERM|0
syslog|EPERM|0
acct|EPERM|0
quotactl|EPERM|0
tiocsti|EPERM|0
tiocsti-high|EPERM|0
tioclinux|EPERM|0
setuid|EPERM|0
mkfile|done|0
set-uid|EPERM|0
set-gid|EPERM|0
set-uid-high|EPERM|0
made-set-uid|EPERM|0
tmpfile-set-uid|EPERM|0
mknod|EPERM|0
mknod-block|EPERM|0
unknown|ENOSYS|0
x32|159|0
int80|159|0
socketcall32|159|0
TABLE

# A listed one is reached, and nothing else is done to it, though it belongs to the agent there.
if [ "$UNIX" = done ]; then
	run ambit_run hostile python3 -c '
import os, sys
for do in (lambda: os.chmod(sys.argv[1], 0o777), lambda: os.utime(sys.argv[1]), lambda: os.unlink(sys.argv[1])):
    try:
        do(); print("done")
    except OSError as error:
        print(error.strerror)' "$WORK/listed/socket"
	is "a listed socket is as it was" "$(printf %s "$OUT" | tr '\n' ,)" \
		"Read-only file system,Read-only file system,Read-only file system"
fi

# A socket of the host below a directory that every agent sees: by its name, by a
# relative one, and behind a link of the agent's own.  With no entry it is refused
# and recorded; with one it is reached.
mkdir /usr/local/share/ambit-test.$$ || bail_out "no directory below /usr"
at_exit 'rm -r /usr/local/share/ambit-test.$$'
HOSTS=/usr/local/share/ambit-test.$$/socket
serve python3 tests/lib/echo.py "unix:$HOSTS"
profile alone
for way in "$HOSTS" "socket:/usr/local/share/ambit-test.$$" "/tmp/link"; do
	run ambit run --quiet --profile alone --name "host-${way##*/}" -- python3 -c '
import os, socket, sys
path, _, directory = sys.argv[1].partition(":")
os.symlink(sys.argv[2], "/tmp/link")
if directory: os.chdir(directory)
try:
    socket.socket(socket.AF_UNIX).connect(path); print("reached")
except OSError as error:
    print(error.strerror)' "$way" "$HOSTS"
	is "a host socket below /usr, as $way" "$OUT$ERR" "Operation not permitted"
	is "its record" "$(ambit audit show --json --agent "host-${way##*/}" |
		grep -c '"type_uid":400105')" "$UNIX_RECORDS"
done
profile entitled "egress: [{to: \"unix:$HOSTS\"}]"
if [ "$UNIX" = done ]; then
	run ambit_run entitled python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print("reached")' "$HOSTS"
	is "the same, listed" "$OUT$ERR" reached
else
	refused "the same, listed" 125 "6.7" ambit_run entitled true
fi

# What every C library asks at each name is refused without a line each.
run ambit run --quiet --profile alone --name quiet -- sh -c 'id -un; getent passwd nobody; id nobody'
is "names are read from the agent's own files" "$(printf %s "$OUT" | head -n 1)" agent
is "and leave no record" "$(ambit audit show --json --agent quiet | grep -c '"type_uid":4001')" 0

# A descriptor of the caller's never arrives, whatever it is.
python3 - >"$TAP_DIRECTORY/inherited" 2>&1 <<'PYTHON'
import os, socket, subprocess
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
for fd in (3, 9, 63):
    os.dup2(client.fileno(), fd, inheritable=True)
print(subprocess.run(
    ["ambit", "run", "--profile", "hostile", "--", "python3", "-c",
     "import os\nfor fd in range(3, 1024):\n try:\n  os.fstat(fd); print(fd)\n except OSError: pass\nprint('none')"],
    capture_output=True, text=True, close_fds=False).stdout)
PYTHON
is "inherited sockets do not arrive" "$(tr '\n' ' ' <"$TAP_DIRECTORY/inherited")" "none  "
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What surrounds an agent, as the agent finds it (inside.py) and as the host does.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin

# A directory of mode 0700 that belongs to somebody; nothing on the way to it
# lets others in.
WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
OWNER=54321
mkdir -m 700 "$WORK/read" "$WORK/write"
echo content >"$WORK/read/file"
chmod 600 "$WORK/read/file"
chown -R $OWNER:$OWNER "$WORK/read" "$WORK/write"
chmod 700 "$WORK"

profile bounded 'run:
  environment: {COLOUR: "blue"}
  pass-environment: [HOST_NAME, ABSENT]
limits: {processes: 24, open-files: 64, file-size: 1M}' \
	"files: {read: [$WORK/read], write: [$WORK/write]}"
SECRET=hidden
HOST_NAME=$(hostname)
export SECRET HOST_NAME
run ambit_run bounded python3 -c "$(sed "s|/given/|$WORK/|g" tests/e2e/inside.py)"
is "the program inside went to its end" "$STATUS $ERR" "0 "
INSIDE=$OUT

# found NAME VALUE.  One process more than listed: ambit-init.
found() {
	is "inside: $1" "$(printf '%s\n' "$INSIDE" | sed -n "s|^$1=||p")" "$2"
}
# Before 6.3 a memory file can't be kept from being executable: there is none.
MEMORY="Permission denied"
kernel_has 6 3 || MEMORY="Operation not permitted"
while IFS='|' read -r name value; do
	found "$name" "$value"
done <<TABLE
uids|True
groups|[]
CapInh|0
CapPrm|0
CapEff|0
CapBnd|0
CapAmb|0
NoNewPrivs|1
securebits|0xeb
Seccomp|2
dumpable core|(1, 1)
processes|(25, 25)
open files|(64, 64)
file size|(1048576, 1048576)
user|agent
group|agent
home|0o700
hostname is the host's|False
hostname leads to|127.0.0.1
environment|AMBIT_AGENT_ID COLOUR CREDENTIALS_DIRECTORY HOME LANG LOGNAME PATH SHELL USER
descriptors|[0, 1, 2]
processes seen|True
session|True
/sys|No such file or directory
/root|No such file or directory
/boot|No such file or directory
/mnt|No such file or directory
/opt|No such file or directory
/var/lib|No such file or directory
/etc/shadow|No such file or directory
/etc/ssl/private|No such file or directory
/run/systemd|No such file or directory
/run/dbus|No such file or directory
/var/run/docker.sock|No such file or directory
/run/ambit/control|No such file or directory
/run/ambit/audit|No such file or directory
/proc/keys|empty
/proc/key-users|empty
write /|refused
write /usr/x|refused
write /etc/x|refused
write /dev/x|refused
write /proc/sys/kernel/hostname|refused
write /proc/self/oom_score_adj|refused
write /run/x|refused
$WORK/read|True 0o700
$WORK/write|True 0o700
read|content
write in read|Read-only file system
exec of what it wrote|Permission denied
exec through the loader|True
exec of a copy through the loader|True
exec in /tmp|Permission denied
exec in /home/agent|Permission denied
exec in /dev/shm|Permission denied
exec of a memory file|$MEMORY
a file over file-size|File too large
too many open files|Too many open files
too many processes|Resource temporarily unavailable
TABLE
unlike "every mount is as it should be" "$INSIDE" " lacks="
is "what it wrote belongs to the owner of the path" \
	"$(find "$WORK/write" -mindepth 1 -printf '%U:%G\n' | sort -u)" "$OWNER:$OWNER"
is "the other paths are as they were" "$(stat -c '%u %a' "$WORK/read/file")" "$OWNER 600"

# ---- seen from the host --------------------------------------------------------
profile sleeper
ambit run --profile sleeper --name one --detach -- sleep 600 >/dev/null
ambit run --profile sleeper --name two --detach -- sleep 600 >/dev/null
pid=$(field one pid)
uid=$(field one uid)
is "two agents of one profile have two uids" \
	"$(test "$uid" != "$(field two uid)" && echo differ)" differ
is "every process of it has its uid and gid" \
	"$(ps -o uid=,gid= --pid "$pid" --ppid "$pid" | tr -s ' ' | sed 's/^ //' | sort -u)" "$uid $uid"
like "its cgroup" "$(cat "/proc/$pid/cgroup")" "0::${NODE_CGROUP#"$(cgroup2)"}/"
is "its cgroup is the node's word" "$(sed -n 's/^0:://p' "/proc/$pid/cgroup")" \
	"$(field one cgroup | sed "s|^$(cgroup2)||")"
for kind in mnt pid ipc uts cgroup; do
	case $kind in
	cgroup) ours=$(readlink "/proc/$(pgrep -P "$pid")/ns/$kind") ;;
	*) ours=$(readlink "/proc/$pid/ns/$kind") ;;
	esac
	is "own $kind namespace" \
		"$(test "$ours" != "$(readlink /proc/self/ns/$kind)" && echo own)" own
done
is "network and user namespace of the host: the hooks hold egress" \
	"$(readlink "/proc/$pid/ns/net" "/proc/$pid/ns/user" | tr '\n' ' ')" \
	"$(readlink /proc/self/ns/net /proc/self/ns/user | tr '\n' ' ')"
run ambit_run sleeper sh -c "kill -0 $pid; ls /proc/$pid; kill -0 $(field two pid)"
unlike "an agent can't signal another's processes" "$STATUS" "^0"
ok "kill" ambit kill one two --reason "test over"

# ---- what the porter delivers is the agent's to read and nobody else's -----------------
profile holder 'credentials: [{name: tls, type: x509-svid, ttl: 1h}]'
ambit run --profile holder --name holder --detach -- sleep 600 >/dev/null
porter=$(ps -o uid= -p "$(node_pid ambit-porter)" | tr -d ' ') uid=$(field holder uid)
delivered=/proc/$(node_pid ambitd)/root$AMBIT_ROOT/run/ambit/instances/$(field holder id)/credentials
is "credentials: the directory" "$(stat -c '%a %u %g' "$delivered")" "2750 $porter $uid"
is "credentials: the files" "$(stat -c '%a %u %g' "$delivered"/* | sort -u)" "440 $porter $uid"
# A porter that goes on writing while all is taken down leaves nothing behind.
mkfifo "$TAP_DIRECTORY/writes"
python3 - "$delivered" "$porter" >"$TAP_DIRECTORY/writes" <<'PYTHON' &
import os, sys, time
until = time.monotonic() + 10
directory = os.open(sys.argv[1], os.O_RDONLY)
os.setgroups([])
os.setresuid(*[int(sys.argv[2])] * 3)
written = 0
try:
    while time.monotonic() < until:
        os.close(os.open(f"x{written}", os.O_WRONLY | os.O_CREAT, dir_fd=directory))
        written += 1
        if written > 4:
            try:
                os.unlink(f"x{written - 5}", dir_fd=directory)
            except FileNotFoundError:
                pass
        if written == 100:
            print("writes", flush=True)
except OSError:
    sys.exit(written < 100)
sys.exit("it still can")
PYTHON
writer=$!
read -r line <"$TAP_DIRECTORY/writes"
is "credentials: the porter's uid writes" "$line" writes
# It has time for it: each removal waits.
warden=$(node_pid ambitd)
strace -qq -o /dev/null -e trace=unlinkat -e inject=unlinkat:delay_enter=10000 -p "$warden" &
strace=$!
while grep -qs '^TracerPid:[[:space:]]*0' "/proc/$warden/status"; do :; done
ok "kill" ambit kill holder --reason "test over"
wait "$writer"
written=$?
kill "$strace"
wait "$strace"
is "credentials: until it can't" "$written" 0
ok "settle" ambit node settle
ok "credentials: nothing of it is left" [ ! -e "${delivered%/*}" ]
run ambit_run holder sh -c 'grep -c "PRIVATE KEY" $CREDENTIALS_DIRECTORY/tls; : >$CREDENTIALS_DIRECTORY/tls'
is "credentials: read by the agent" "$OUT" 2
like "credentials: and not written" "$ERR" "Read-only file system"

# ---- execute -------------------------------------------------------------------
profile runs-tmp 'files: {execute: [/tmp]}'
runs "listed under execute: what it wrote runs" 0 \
	ambit_run runs-tmp sh -c 'cp /bin/echo /tmp/say && /tmp/say yes'
runs "elsewhere it still does not" 126 \
	ambit_run runs-tmp sh -c 'cp /bin/echo $HOME/say && exec $HOME/say no'

# ---- what can't be held is refused -----------------------------------------------
while IFS='|' read -r clause yaml; do
	profile unheld "$yaml"
	controllers=$(cat "$(cgroup2)/cgroup.controllers")
	controller=${clause#cgroup controller }
	case " $controllers " in
	*" $controller "*) skip "$clause" "this machine has it" ;;
	*) refused "refused: $clause" 125 "$controller" ambit_run unheld true ;;
	esac
done <<'TABLE'
cgroup controller memory|limits: {memory: 512M}
cgroup controller cpu|limits: {cpu: 100%}
TABLE
# ---- the warden's own filter: it takes nothing from what profiles may allow ------
like "the warden has a filter, no new privileges" \
	"$(tr '\t\n' '  ' <"/proc/$(node_pid ambitd)/status")" "Seccomp: 2" "NoNewPrivs: 1"
profile debugger 'syscalls: {allow: ["@debug", "@aio"]}'
for name in sleeper debugger; do
	run ambit_run $name python3 -c '
import ctypes
libc = ctypes.CDLL(None)
print(libc.ptrace(0, 0, 0, 0), libc.syscall(206, 1, (ctypes.c_ulong * 1)(0)))'
	is "ptrace and io_setup: $name" "$OUT" "$([ $name = sleeper ] && echo '-1 -1' || echo '0 0')"
done
finish

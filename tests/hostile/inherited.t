#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What an agent would have of whoever started the node, and could use against others: a
# node is started with more than anybody needs, and its agent looks for it.  And what it
# would have of process 1 of its namespace, which has its uid and speaks with the node.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
# Whoever changes his user is as dumpable as this says, and then open to his own uid.
DUMPABLE=/proc/sys/fs/suid_dumpable
OLD=$(cat $DUMPABLE)
at_exit 'echo "$OLD" >$DUMPABLE'
echo 1 >$DUMPABLE
node_directory

# has: what this process has; start: takes it, and becomes a command.
cat >"$TAP_DIRECTORY/heritage.py" <<'PYTHON'
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(do):
    try:
        do()
    except (OSError, ValueError):
        pass  # not every root may
def set_oom():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-500")
def start():
    attempt(lambda: os.setgroups([4, 27]))
    attempt(lambda: resource.setrlimit(resource.RLIMIT_RTPRIO, (50, 50)))
    attempt(lambda: resource.setrlimit(resource.RLIMIT_NICE, (40, 40)))
    attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
    attempt(lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
    attempt(set_oom)
    libc.personality(0x0040000)  # ADDR_NO_RANDOMIZE
    libc.syscall(250, 1, None)  # keyctl: a session keyring of its own
    libc.syscall(251, 1, 0, 1 << 13)  # ioprio_set: real time
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # One that the C library keeps for itself, and its signal(2) refuses.
    libc.syscall(13, 32, (ctypes.c_ulong * 4)(1), None, 8)  # rt_sigaction
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.umask(0)
    os.environ["SECRET"] = "hidden"
    os.dup2(os.open("/", os.O_RDONLY), 9, inheritable=True)
    os.execvp(sys.argv[1], sys.argv[1:])
def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return line.split(":")[1].strip()
def masked(name, numbers):
    return [n for n in numbers if int(status(name), 16) >> (n - 1) & 1]
def has():
    print("groups", os.getgroups(), sep="|")
    print("real-time priority", resource.getrlimit(resource.RLIMIT_RTPRIO), sep="|")
    print("limit of nice", resource.getrlimit(resource.RLIMIT_NICE), sep="|")
    print("nice", os.getpriority(os.PRIO_PROCESS, 0), sep="|")
    print("scheduler", os.sched_getscheduler(0), sep="|")
    print("oom", open("/proc/self/oom_score_adj").read().strip(), sep="|")
    print("personality", hex(libc.personality(0xffffffff) & 0xffffffff), sep="|")
    print("ioprio", libc.syscall(252, 1, 0) >> 13 & 7, sep="|")
    print("ignored", masked("SigIgn", [1, 10, 15, 32]), sep="|")
    print("blocked", masked("SigBlk", [12]), sep="|")
    print("umask", status("Umask"), sep="|")
    print("secret", os.environ.get("SECRET", "none"), sep="|")
    print("descriptor", os.path.exists("/proc/self/fd/9"), sep="|")
start() if len(sys.argv) > 1 else has()
PYTHON
HERITAGE=$(cat "$TAP_DIRECTORY/heritage.py")
python3 -c "$HERITAGE" ambit node start || bail_out "the node does not start: $(node_log)"
NODE_CGROUP=$(node_cgroup)
at_exit node_end
profile plain
python3 -c "$HERITAGE" python3 -c "$HERITAGE" >"$TAP_DIRECTORY/outside" 2>&1
ambit_run plain python3 -c "$HERITAGE" >"$TAP_DIRECTORY/inside" 2>&1
value() { sed -n "s/^$2|//p" "$TAP_DIRECTORY/$1"; }
while IFS='|' read -r name outside inside; do
	if [ "$(value outside "$name")" = "$outside" ]; then
		is "$name: an agent of a node that was started with it" "$(value inside "$name")" "$inside"
	else
		skip "$name" "root here can't have it: $(value outside "$name")"
	fi
done <<'TABLE'
groups|[4, 27]|[]
real-time priority|(50, 50)|(0, 0)
limit of nice|(40, 40)|(0, 0)
nice|-5|0
scheduler|2|0
oom|-500|1000
personality|0x40000|0x0
ioprio|1|0
ignored|[1, 10, 15, 32]|[]
blocked|[12]|[]
umask|0000|0022
secret|hidden|none
descriptor|True|False
TABLE

# The warden has set what its agents are not to have. (Python has set some of it anew.)
signals() { sed -n "s/^\(SigBlk\|SigIgn\):[[:space:]]*//p" "$@" | tr -d '0\n'; }
ok "the warden ignores and blocks signals" [ -n "$(signals "/proc/$(node_pid ambitd)/status")" ]
is "an agent none" "$(ambit_run plain sed -n '/^Sig[BI]/p' /proc/self/status | tr -s '\t\n' ' ')" \
	"SigBlk: 0000000000000000 SigIgn: 0000000000000000 "
# A place that waits for its agent has no filter of its own yet: it can be asked.
place=$(node_places 4 | sed -n '$s/ *//p')
KEYRING=250,0,-3 # keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)
theirs=$(python3 tests/lib/inject.py "$(node_pid ambitd)" $KEYRING)
own=$(python3 tests/lib/inject.py "$place" $KEYRING)
case $theirs in
ENOSYS) skip "keyring" "this kernel has none" ;;
*) ok "keyring: $own, and not that of the node's session, $theirs" \
	[ "$own" -gt 0 -a "$theirs" -gt 0 -a "$own" != "$theirs" ] ;;
esac
is "of the warden's descriptors: stdio, the gate, the end file" \
	"$(find "/proc/$place/fd" -type l -printf '%f\n' | sort -n | tr '\n' ' ')" "0 1 2 3 4 "

# ---- process 1 --------------------------------------------------------------------------
# Each way into it, and the same into a child of the agent's own.
PROCESS='
import os, signal, sys
child = os.fork()
if child == 0:
    signal.pause()
for pid in ("1", str(child)):
    for name, how in (("mem", os.O_RDONLY), ("environ", os.O_RDONLY), ("maps", os.O_RDONLY), ("fd", os.O_RDONLY),
                      ("cwd/.", os.O_RDONLY), ("syscall", os.O_RDONLY)):
        try:
            fd = os.open(f"/proc/{pid}/{name}", how)
            os.listdir(fd) if name == "fd" else os.read(fd, 1) if name == "syscall" else 0
            got = "open"
        except OSError as error:
            got = error.strerror
        print("process 1" if pid == "1" else "a child", name, got)
os.kill(child, signal.SIGKILL)'
run ambit_run plain python3 -c "$PROCESS"
for name in mem environ maps fd cwd/. syscall; do
	like "process 1: $name is shut" "$OUT" "process 1 $name Permission denied"
done
for name in mem environ maps fd; do
	like "a child: $name is open" "$OUT" "a child $name open"
done
# It reads nothing of the agent's and makes five calls; its filter allows no others.
ambit run --profile plain --name sleeper --detach -- sleep 600 >/dev/null
filters() { sed -n 's/^Seccomp_filters:[[:space:]]*//p' "/proc/$1/status"; }
is "process 1 has a filter more than its maker" "$(filters "$(field sleeper pid)")" \
	"$(($(filters "$(node_pid ambitd)") + 1))"
# The gate, and the file that takes the agent's end: neither stdio nor mounts.
is "and two descriptors" "$(find "/proc/$(field sleeper pid)/fd" -type l -printf '%f ' | tr ' ' '\n' | sort -n | tr '\n' ' ')" "3 4 "
ambit kill sleeper --reason test >/dev/null
finish

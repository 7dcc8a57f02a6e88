#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Wrong input, wrong machine, wrong moment: one clear line, the right status, and
# nothing lost or left.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
# A log on a file system of its own, which can be filled.
node_directory
LOG=$AMBIT_ROOT/var/log/ambit
mkdir -p "$LOG"
mount -t tmpfs -o size=24m tmpfs "$LOG" || bail_out "no tmpfs"
at_exit 'umount "$LOG"'
node_start
net_begin
DIRECTORY=$AMBIT_ROOT/profiles
mkdir "$DIRECTORY"

good() {
	cat "$PROFILES/good.yaml"
}
profile good
runs "the good one" 0 ambit_run good true
snapshot "$TAP_DIRECTORY/before"

# ---- profiles -------------------------------------------------------------------
# name | part of the message | what makes the file $F
while IFS='|' read -r name part how; do
	F=$DIRECTORY/case.yaml
	rm -rf "$F"
	eval "$how"
	[ "$name" = "world-writable" ] || [ "$name" = "group-writable" ] || [ ! -f "$F" ] ||
		chmod 644 "$F"
	refused "profile: $name" 125 "$part" ambit_run "$F" true
done <<'TABLE'
missing|No such file|:
empty|empty|: >$F
only blanks|empty|printf '\n \n' >$F
not YAML|case.yaml:1:|printf '{[' >$F
not text|text was expected|head -c 999 /bin/true >$F
a list|case.yaml:1:|echo '- a' >$F
two documents|second document|{ good; echo ---; good; } >$F
unknown key|no such key|{ good; echo 'priviledged: yes'; } >$F
unknown key: line and column|case.yaml:7:1|{ good; echo 'priviledged: yes'; } >$F
unknown key below|no such key|{ good; echo 'limits: {memry: 1G}'; } >$F
duplicate key|given twice|{ good; echo 'name: other'; } >$F
missing key|missing|good | grep -v '^owner' >$F
wrong type|case.yaml:7:|{ good; echo 'limits: [1]'; } >$F
wrong type of a value|case.yaml:7:|{ good; echo 'limits: {processes: many}'; } >$F
out of range|case.yaml:7:|{ good; echo 'limits: {processes: 0}'; } >$F
out of range: port|case.yaml:7:|{ good; echo 'egress: [{to: 192.0.2.1, ports: [65536]}]'; } >$F
out of range: version|case.yaml:1:|good | sed 's/^ambit: 1/ambit: 2/' >$F
a date that is none|case.yaml:6:|good | sed s/9999-12-31/2027-02-30/ >$F
a name that is none|case.yaml:2:|good | sed 's/^name: .*/name: A_B/' >$F
host bits in a block|case.yaml:7:|{ good; echo 'egress: [{to: 192.0.2.1/24, ports: [1]}]'; } >$F
a socket where the agent may write|where the agent may write|{ good; printf 'files: {write: [/srv]}\negress: [{to: "unix:/srv/socket"}]\n'; } >$F
a path by way of a link of the root's|/var/run|{ good; echo 'files: {read: [/var/run/x]}'; } >$F
another one|/var/tmp|{ good; echo 'files: {write: [/var/tmp/x]}'; } >$F
one name in seventeen entries|listed by 17 entries|{ good; echo egress:; for port in $(seq 16); do echo "  - {to: a.example.com, ports: [$port]}"; done; echo '  - {to: "*.example.com", ports: [99]}'; } >$F
unknown system call|no_such_call|{ good; echo 'syscalls: {allow: [no_such_call]}'; } >$F
a call that is never given|bpf|{ good; echo 'syscalls: {allow: [bpf]}'; } >$F
too large|1048576 bytes|{ good; head -c 1100000 /dev/zero | tr '\0' '#'; } >$F
alias|anchor|{ good; printf 'files: {read: &a [/opt], write: *a}\n'; } >$F
a tag|tag|{ good; echo 'run: {directory: !!str /tmp}'; } >$F
a control character|case.yaml:|{ good; printf 'run: {directory: "/\\x07"}\n'; } >$F
past its review day|2020-01-01|good | sed s/9999-12-31/2020-01-01/ >$F
world-writable|world-writable|good >$F; chmod 666 $F
group-writable|group-writable|good >$F; chmod 664 $F
another's|belongs to uid 1|good >$F; chown 1:1 $F
a directory|regular file|mkdir $F
a pipe|regular file|mkfifo $F
a device|regular file|mknod $F c 1 3
a symlink elsewhere|case.yaml|ln -s /etc/passwd $F
a symlink to a good one|case.yaml|good >$DIRECTORY/other.yaml; ln -s other.yaml $F
a secret in it|secret|{ good; echo 'run: {environment: {KEY: ghp_0123456789012345678901234567890123456789}}'; } >$F
a listed path that is not there|/no/such/path|{ good; echo 'files: {read: [/no/such/path]}'; } >$F
a listed path that is a link|symbolic links|ln -sfn real $DIRECTORY/link; mkdir -p $DIRECTORY/real/below; { good; echo "files: {read: [$DIRECTORY/link]}"; } >$F
a listed path behind a link|symbolic links|{ good; echo "files: {write: [$DIRECTORY/link/below]}"; } >$F
the host's /etc|/etc|{ good; echo 'files: {read: [/etc]}'; } >$F
a name that ambit sets|HOME|{ good; echo 'run: {environment: {HOME: /}}'; } >$F
TABLE
good >"$PROFILES/other.yaml"
refused "profile: a file of another name" 125 "other.yaml says \`name: good\`" ambit_run other true
runs "the same by its path" 0 ambit_run "$PROFILES/other.yaml" true
rm "$PROFILES/other.yaml"
profile lost "run: {directory: /no/such}"
refused "profile: a working directory that is not there" 125 "run.directory: /no/such: No such file" ambit_run lost true
{ good; echo "files: {write: [$DIRECTORY/real/below]}"; } >"$DIRECTORY/case.yaml"
runs "profile: a listed path by its real name" 0 ambit_run "$DIRECTORY/case.yaml" true
refused "profile: a name that leads elsewhere" 125 "No such file" \
	ambit run --profile ../good -- true
refused "profile: an absolute path that is none" 125 "/dev/null" \
	ambit run --profile /dev/null/x -- true

# ---- command and request -------------------------------------------------------------
refused "command: missing" 125 "command" ambit run --profile good
refused "command: empty" 127 "not found" ambit_run good ''
refused "command: a script without interpreter" 127 "" ambit_run good /no/such
long=$(head -c 200 /dev/zero | tr '\0' x)
refused "task: too long" 125 "task" ambit run --profile good --task "$long" -- true
refused "task: a control character" 125 "task" \
	ambit run --profile good --task "$(printf 'a\302\205b')" -- true
refused "name: wrong letters" 125 "name" ambit run --profile good --name 'a b' -- true
refused "a limit above the machine's" 125 "hard limit" sh -c '
	{ cat "$1"; echo "limits: {open-files: 1000000}"; } >"$2" &&
	exec ambit run --profile "$2" -- true' sh "$PROFILES/good.yaml" "$DIRECTORY/limit.yaml"
refused "nobody: not an agent" 1 "nobody" ambit inspect nobody
refused "kill without a reason" 2 "reason" ambit kill nobody
refused "kill of what is not there" 1 "nobody" ambit kill nobody --reason test

# ---- callers ------------------------------------------------------------------------
refused "caller without the right" 125 "root" \
	setpriv --reuid 65534 --regid 65534 --clear-groups ambit run --profile good -- true
refused "caller without the right: kill" 1 "root" \
	setpriv --reuid 65534 --regid 65534 --clear-groups ambit kill --all --reason x
# The socket lets in whoever may pass over its mode; the node looks who he is.
refused "a user with a capability: kill" 1 "only root" setpriv --reuid 65534 --regid 65534 \
	--clear-groups --inh-caps +dac_override --ambient-caps +dac_override ambit kill --all --reason x
# Not only turned away: what he sends along is freed by whoever closes his connection,
# and a socket that lingers holds that process up.
for name in control audit; do
	runs "caller without the right: $name does not let him in" 0 \
		setpriv --reuid 65534 --regid 65534 --clear-groups python3 -c '
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    sys.exit(0)
sys.exit(1)' "$AMBIT_ROOT/run/ambit/$name"
done

# ---- the control socket ----------------------------------------------------------------
cat >"$TAP_DIRECTORY/talk.py" <<'PYTHON'
import json, os, socket, struct, sys
path = os.environ["AMBIT_ROOT"] + "/run/ambit/control"
def talk(data, fds=0, shut=True):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    ancillary = []
    if fds:
        files = [os.open("/dev/null", os.O_RDWR) for _ in range(fds)]
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{fds}i", *files))]
    try:
        s.sendmsg([data[:1]], ancillary)
        s.sendall(data[1:])
        if shut:
            s.shutdown(socket.SHUT_WR)
        answer = b""
        while part := s.recv(65536):
            answer += part
            if part.endswith(b"\0"):
                break
    except (BrokenPipeError, ConnectionResetError):
        return "closed"
    return json.loads(answer[:-1]).get("error", "answer") if answer else "closed"
def call(method, parameters):
    return json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"
run = {"profile": "good", "command": ["true"], "environment": [], "task": None,
       "name": None, "detach": False, "rows": 0, "columns": 0}
cases = {
    "not JSON": talk(b"{[\0"),
    "a number": talk(b"1\0"),
    "not UTF-8": talk(b'{"method":"\xff"}\0'),
    "empty": talk(b"\0"),
    "no such interface": talk(call("org.example.X", {})),
    "no such method": talk(call("io.ambit.Node.Format", {})),
    "wrong parameter": talk(call("io.ambit.Node.Inspect", {"agent": 5})),
    "missing parameter": talk(call("io.ambit.Node.Inspect", {})),
    "no descriptors": talk(call("io.ambit.Node.Run", run)),
    "too many descriptors": talk(call("io.ambit.Node.Run", run), 200),
    "descriptors nobody wants": talk(call("io.ambit.Node.List", {"all": False}), 9),
    "half sent": talk(b'{"method":"io.ambit'),
    "huge": talk(b'{"method":"' + b"x" * (64 << 20), shut=False),
    "deep": talk(b'{"parameters":' * 100000 + b"\0"),
    "nothing": talk(b" "),
}
for name, got in cases.items():
    print(f"{name}|{got}")
PYTHON
run python3 "$TAP_DIRECTORY/talk.py"
is "control: every answer came" "$STATUS $ERR" "0 "
printf '%s\n' "$OUT" >"$TAP_DIRECTORY/answers"
while IFS='|' read -r name got; do
	case $name/$got in
	*/answer) [ "$name" = "descriptors nobody wants" ] && pass "control: $name" ||
		fail "control: $name" "it was answered" ;;
	*/closed | */org.varlink.service.* | */io.ambit.Node.*) pass "control: $name: $got" ;;
	*) fail "control: $name" "$got" ;;
	esac
done <"$TAP_DIRECTORY/answers"
runs "the node goes on" 0 ambit_run good true

# ---- descriptors exhausted: half-sent calls that never end ----------------------------
python3 - >"$TAP_DIRECTORY/flood" 2>&1 <<'PYTHON'
import os, socket, subprocess
path = os.environ["AMBIT_ROOT"] + "/run/ambit/control"
held = []
try:
    for _ in range(3000):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(1)
        s.connect(path)
        s.send(b"{")
        held.append(s)
except OSError:
    pass
done = subprocess.run(["ambit", "run", "--quiet", "--profile", "good", "--", "true"],
                      capture_output=True, text=True, timeout=60)
print(done.returncode in (0, 125), done.stderr.count("\n") <= 1)
PYTHON
is "held connections: launched or refused with one line" \
	"$(cat "$TAP_DIRECTORY/flood")" "True True"
runs "and all is well when they are gone" 0 ambit_run good true

# ---- the log can't be written ------------------------------------------------------------
net_serve python3 tests/lib/echo.py "tcp:$NET4.2:7000"
profile online "egress: [{to: $NET4.2, ports: [7000]}]"
# One flow stays open; a new one is tried on each line of stdin.
FLOWS='
import socket, sys
kept = socket.create_connection((sys.argv[1], 7000))
print("up", flush=True)
for line in sys.stdin:
    kept.sendall(b"x")
    old = kept.recv(1) == b"x"
    try:
        socket.create_connection((sys.argv[1], 7000), timeout=5).close()
        new = "new"
    except PermissionError:
        new = "refused"
    print("kept" if old else "lost", new, flush=True)'
mkfifo "$TAP_DIRECTORY/in" "$TAP_DIRECTORY/out2"
ambit run --quiet --profile online --name flows -- python3 -c "$FLOWS" "$NET4.2" \
	<"$TAP_DIRECTORY/in" >"$TAP_DIRECTORY/out2" &
flows=$!
exec 5>"$TAP_DIRECTORY/in" 6<"$TAP_DIRECTORY/out2"
read -r line <&6
flow() {
	echo >&5
	read -r line <&6
	is "$1" "$line" "$2"
}
flow "the log is well" "kept new"
# Until nothing more fits, not even what was left in the last page.
head -c 50000000 /dev/zero >"$LOG/filler" 2>/dev/null
i=0
while [ $i -lt 5 ] && timeout 20 ambit run --quiet --profile good -- true 2>/dev/null; do
	i=$((i + 1))
done
refused "log full: no launch" 125 "log" ambit_run good true
runs "log full: doctor fails" 1 ambit doctor
like "and says why" "$OUT" "audit log: No space left on device"
flow "log full: what is open stays, nothing new" "kept refused"
rm "$LOG/filler"
ok "log well again: launches" timeout 20 \
	sh -c 'until ambit run --quiet --profile good -- true 2>/dev/null; do :; done'
flow "log well again: new connections" "kept new"

# ---- the ring is full: nobody reads ------------------------------------------------------
recorder=$(node_pid ambit-recorder)
kill -STOP "$recorder"
FILL='
import socket, sys
allowed = refused = 0
for _ in range(20000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.connect((sys.argv[1], 7000)); allowed += 1
    except PermissionError:
        refused += 1
    s.close()
print(allowed, refused)'
echo >&5
kill -CONT "$recorder"
read -r line <&6
exec 5>&-
wait "$flows"
is "the agent ended well" "$?" 0
exec 6<&-
profile filler "egress: [{to: $NET4.2, ports: [7000], protocol: udp}]"
mkfifo "$TAP_DIRECTORY/fill"
ambit run --quiet --profile filler --name filler -- \
	python3 -c "print('up', flush=True)
input()
$FILL" "$NET4.2" <"$TAP_DIRECTORY/in" >"$TAP_DIRECTORY/fill" &
exec 5>"$TAP_DIRECTORY/in" 6<"$TAP_DIRECTORY/fill"
read -r line <&6
kill -STOP "$recorder"
echo >&5
read -r allowed lost <&6
kill -CONT "$recorder"
exec 5>&- 6<&-
wait $!
is "ring full: every attempt is answered" "$((allowed + lost))" 20000
is "ring full: refused, and only then" \
	"$(test "$allowed" -gt 100 && test "$lost" -gt 100 && echo yes)" yes
is "ring full: exactly as many are in the log as were allowed" \
	"$(ambit audit show --json --agent filler | grep -c '"type_uid":400101')" "$allowed"
like "ring full: the gap is exact" \
	"$(ambit audit show --json --agent filler | grep '"type_uid":100899')" "$lost"

# ---- refusals as fast as they can be had: recorded at a pace, counted exactly ------------
profile flooder
run ambit run --quiet --profile flooder --name flooder -- python3 -c '
import socket, sys
refused = 0
for _ in range(20000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect((sys.argv[1], 7000))
        except PermissionError:
            refused += 1
print(refused)' "$NET4.2"
is "a flood: every attempt is refused" "$OUT$ERR" 20000
recorded=$(ambit audit show --json --agent flooder | grep -c '"type_uid":400105')
is "recorded up to a burst, and a little more" \
	"$(test "$recorded" -ge 4096 && test "$recorded" -lt 8000 && echo yes)" yes
is "the rest are gaps of exactly so many" "$(ambit audit show --json --agent flooder |
	python3 -c '
import json, sys
lines = [json.loads(line) for line in sys.stdin]
print(sum(line["unmapped"]["count"] for line in lines if line["activity_name"] == "Loss"))')" \
	"$((20000 - recorded))"
runs "another agent has not noticed" 0 ambit_run filler python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 7000))' "$NET4.2"

# ---- no node ---------------------------------------------------------------------------
snapshot "$TAP_DIRECTORY/after"
sed -i '/^descriptor/d; /roots/d; /^file etc/d' "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
same "nothing is left of all this" "$TAP_DIRECTORY/before" "$TAP_DIRECTORY/after"
ambit kill --all --reason "end" >/dev/null 2>&1
ok "node stop" ambit node stop
refused "node stopped: ps" 1 "no node is running" ambit ps
refused "node stopped: kill" 1 "no node is running" ambit kill --all --reason test

# Machines that lack something: in a mount namespace that hides it.
without() {
	without_name=$1 without_part=$2
	shift 2
	refused "$without_name" 125 "$without_part" unshare --mount sh -c "$1
		exec ambit run --profile good -- true"
}
without "cgroup v2 is not mounted" "cgroup" 'umount -l "$(awk "/ - cgroup2 /{print \$5}" /proc/self/mountinfo)"'
: >"$AMBIT_ROOT/blocked"
mount -o remount,ro "$LOG"
refused "a read-only log" 125 "log" ambit_run good true
mount -o remount,rw "$LOG"
mkdir -p "$AMBIT_ROOT/etc/ambit"
while IFS='|' read -r wrong place why; do
	printf '# the node\n%s\n' "$wrong" >"$AMBIT_ROOT/etc/ambit/node.yaml"
	refused "node.yaml: $wrong" 125 "/node.yaml:$place: $why" ambit_run good true
done <<'END'
uid-range: 5-6|2:1|uid-range: at least 18 uids from 1000 on were expected
no-such: 1|2:1|no-such: there is no such key: trust-domain, uid-range, log-directory
log-directory: relative|2:1|log-directory: an absolute path was expected
trust-domain:|2:14|trust-domain: nothing there
trust-domain: A|2:1|trust-domain: at most 255 lower-case letters
trust-domain: [a]|2:1|trust-domain: a text was expected
resolvers: 192.0.2.1|2:1|resolvers: a list, as in [192.0.2.53], was expected
resolvers: [192.0.2]|2:1|resolvers: 192.0.2: an address was expected
resolvers: [[192.0.2.1]]|2:1|resolvers: addresses were expected
resolvers: []|2:1|resolvers: 1 to 3 addresses were expected
- a|2:1|keys with values were expected
{[|2:2|key: a word was expected
END
# Agents would be somebody, and he could read the log.
getent passwd nobody | grep -q ':65534:' || bail_out "nobody is not 65534"
echo "uid-range: 65000-65600" >"$AMBIT_ROOT/etc/ambit/node.yaml"
refused "node.yaml: a range with an account" 125 \
	"uid-range: 65000-65600: nobody has uid 65534 (/etc/passwd)" ambit_run good true
echo "uid-range: 65000-65500" >"$AMBIT_ROOT/etc/ambit/node.yaml"
refused "node.yaml: another range than before" 125 \
	"it is uid 2000000000's, not the recorder's (65000): was uid-range another?" ambit_run good true
rm -r "$AMBIT_ROOT/var/lib/ambit" "$LOG"/*
runs "node.yaml: a range beside it" 0 ambit_run good id -u
ok "is the agent's" [ "$OUT" -ge 65000 -a "$OUT" -le 65500 ]
ok "the node of that range ends" ambit node stop
rm -r "$AMBIT_ROOT/var/lib/ambit" "$LOG"/*
printf '# trust-domain: example.com\n\n' >"$AMBIT_ROOT/etc/ambit/node.yaml"
runs "node.yaml: comments alone" 0 ambit_run good true
rm "$AMBIT_ROOT/etc/ambit/node.yaml"
ok "the node ends right behind a run" ambit node stop
runs "a node starts again by itself" 0 ambit_run good true
finish

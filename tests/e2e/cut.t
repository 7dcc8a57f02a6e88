#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An agent that is cut off: its flows end with the command, old ones and new ones,
# also those of sockets that it passed on; it runs on, and others are not touched.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
net_begin
WORK=$(mktemp -d /srv/ambit-cut.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'

# Busy senders: c TCP, u UDP connected, d UDP unconnected, p a TCP socket passed to a
# sibling; an idle connection whose reader waits.  Each says how it ended.
cat >"$WORK/agent.py" <<'PYTHON'
import array, errno, os, socket, sys, threading, time
server = (sys.argv[1], 7000)
socket.setdefaulttimeout(20)  # whoever is never told says so, too
def tell(what, error):
    print(what, errno.errorcode.get(error.errno, error) if error else "end", flush=True)
def send(name, what, sock, to=None):
    try:
        while True:
            sock.sendto(what, to) if to else sock.send(what)
            time.sleep(0.0005)
    except OSError as error:
        tell(name, error)
def idle(sock):
    try:
        sock.recv(1); tell("idle", None)
    except OSError as error:
        tell("idle", error)
connect = lambda: socket.create_connection(server)
udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
udp[0].connect(server)
mine, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    fds = array.array("i")
    _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_LEN(4))
    fds.frombytes(ancillary[0][2][:4])
    send("passed", b"p", socket.socket(fileno=fds[0]))
    os._exit(0)
with connect() as given:
    mine.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [given.fileno()]))])
threads = [threading.Thread(target=send, args=a) for a in
           [("tcp", b"c", connect()), ("udp", b"u", udp[0]), ("datagram", b"d", udp[1], server)]]
threads.append(threading.Thread(target=idle, args=(connect(),)))
[t.start() for t in threads]
print("up", flush=True)
[t.join() for t in threads]
os.waitpid(child, 0)
try:
    connect()
except OSError as error:
    tell("new", error)
print("alive", flush=True)
sys.stdin.readline()
PYTHON
mkfifo "$WORK/ask" "$WORK/answer" "$WORK/in" "$WORK/out"
net_serve python3 tests/lib/stamps.py "$WORK" "$NET4.2:7000"
profile talker "files: {read: [$WORK]}
egress:
  - {to: $NET4.2, ports: [7000], protocol: tcp}
  - {to: $NET4.2, ports: [7000], protocol: udp}"
ambit run --profile talker --name talker -- python3 "$WORK/agent.py" "$NET4.2" \
	<"$WORK/in" >"$WORK/out" 2>"$WORK/err" &
TALKER=$!
exec 5>"$WORK/in" 6<"$WORK/out"
read -r line <&6
is "an agent talks" "$line" up

OUT=$(python3 - "$WORK" <<'PYTHON'
import subprocess, sys, time
done = subprocess.run(["ambit", "cut", "talker", "--reason", "prompt injection"],
                      capture_output=True, text=True)
print(done.returncode, done.stderr, end="")
with open(sys.argv[1] + "/returned", "w") as out:
    print(time.monotonic(), file=out)
PYTHON
)
is "ambit cut" "$OUT" "0 "
said=
while read -r line <&6 && [ "$line" != alive ]; do said="$said
$line"; done
is "the agent lives on" "$line" alive
said=$(printf %s "$said" | sort | tr '\n' ' ')
echo "# $said"
for way in tcp passed idle; do
	like "$way: its holder is told at once" "$said" "$way ECONNABORTED"
done
for way in udp datagram new; do
	like "$way: refused" "$said" "$way E"
done
like "a new connection is refused as such" "$said" "new EPERM"
echo stamps >"$WORK/ask"
cat "$WORK/answer" >"$WORK/stamps"
is "nothing came later than 10 ms after the command" "$(python3 - "$WORK" <<'PYTHON'
import sys
returned = float(open(sys.argv[1] + "/returned").read())
stamps = {who: (float(when), int(count)) for who, when, count in
          (line.split() for line in open(sys.argv[1] + "/stamps"))}
late = {who: when - returned for who, (when, _) in stamps.items() if when > returned + 0.01}
print(late or sorted(stamps), all(count > 1 for _, count in stamps.values()))
PYTHON
)" "['c', 'd', 'p', 'u'] True"
like "ps says so" "$(ambit ps)" "running cut"
is "inspect too" "$(field talker cut)" true
like "the cut is recorded" "$(audit_wait talker "agent cut off")" "prompt injection"
audit=$(ambit audit show --json --agent talker)
is "one record of the cut, with its reason" \
	"$(printf '%s\n' "$audit" | grep '"type_uid":300409' | grep -c "prompt injection")" 1
like "and of what was refused by it" "$audit" "the agent is cut off"

# ---- it stays so, and only for the one -------------------------------------------------
warden=$(node_pid ambitd)
kill -9 "$warden"
ok "the warden is killed" gone "$warden"
runs "another agent of the profile talks" 0 ambit_run talker python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], 7000)).send(b"o")' "$NET4.2"
is "the first is still cut" "$(field talker cut)" true
refused "no such agent" 1 nobody ambit cut nobody --reason test
refused "no reason" 2 reason ambit cut talker
echo >&5
exec 5>&- 6<&-
wait "$TALKER"
is "it ended by itself" "$?" 0
like "and the caller hears what was refused" "$(cat "$WORK/err")" "refused: ambit audit show --agent"

# ---- killed: what it has under way does not outlive the command ---------------------------
# Dying takes long: the warden waits before the write that kills.  Meanwhile the agent finds
# itself cut off, and says so.
ambit run --quiet --profile talker --name dying -- python3 -c '
import errno, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.sendto(b"k", (sys.argv[1], 7000))
print("up", flush=True)
try:
    while True:
        sock.sendto(b"k", (sys.argv[1], 7000))
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
sys.stdin.readline()' "$NET4.2" <"$WORK/in" >"$WORK/out" &
DYING=$!
exec 5>"$WORK/in" 6<"$WORK/out"
read -r line <&6
is "another talks" "$line" up
warden=$(node_pid ambitd)
strace -qq -o /dev/null -e trace=write -e inject=write:delay_enter=2000000 -p "$warden" &
strace=$!
while grep -qs '^TracerPid:[[:space:]]*0' "/proc/$warden/status"; do :; done
ok "it is killed" ambit kill dying --reason test
kill "$strace"
wait "$strace"
is "what it sent was refused before it died" "$(cat <&6)" EPERM
exec 5>&- 6<&-
wait "$DYING"
is "it was killed" "$?" 137
finish

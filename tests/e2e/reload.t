#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Endpoints that leave the profile of a running agent: flows to them end with the
# command, old ones and new ones, by address and by name, also those of sockets that
# it passed on; flows to what stays go on.  Nothing is given to a running agent.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
. tests/lib/dns.sh
net_begin
node_directory
dns_dnsmasq "$NET4.2" --host-record="goes.test,$NET4.3" --host-record="stays.test,$NET4.3"
dns_node "$NET4.2"
node_start
WORK=$(mktemp -d /srv/ambit-reload.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'

# Busy senders, a letter each: capitals to what stays, the others to what goes.  c TCP,
# u UDP connected, d UDP unconnected, n TCP by name, p a TCP socket passed to a sibling;
# an idle connection whose reader waits.  Each says how it ended.
cat >"$WORK/agent.py" <<'PYTHON'
import array, errno, os, socket, sys, threading, time
goes, stays = (sys.argv[1], 7000), (sys.argv[2], 7000)
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
def datagram(peer=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if peer:
        sock.connect(peer)
    return sock
connect = socket.create_connection
mine, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    fds = array.array("i")
    _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_LEN(4))
    fds.frombytes(ancillary[0][2][:4])
    send("passed", b"p", socket.socket(fileno=fds[0]))
    os._exit(0)
with connect(goes) as given:
    mine.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [given.fileno()]))])
threads = [threading.Thread(target=send, args=a, daemon=a[0] == "stays") for a in
           [("tcp", b"c", connect(goes)), ("udp", b"u", datagram(goes)),
            ("datagram", b"d", datagram(), goes), ("name", b"n", connect(("goes.test", 7001))),
            ("stays", b"C", connect(stays)), ("stays", b"U", datagram(stays)),
            ("stays", b"D", datagram(), stays), ("stays", b"N", connect(("stays.test", 7002)))]]
threads.append(threading.Thread(target=idle, args=(connect(goes),)))
[t.start() for t in threads]
print("up", flush=True)
[t.join() for t in threads if not t.daemon]
os.waitpid(child, 0)
for line in sys.stdin:
    for name, place in (("new", goes), ("lookup", ("goes.test", 7001)), ("old", stays),
                        ("other lookup", ("stays.test", 7002))):
        try:
            connect(place).close()
            tell(name, None)
        except socket.gaierror:
            print(name, "unknown", flush=True)
        except OSError as error:
            tell(name, error)
    print("asked", flush=True)
PYTHON
mkfifo "$WORK/ask" "$WORK/answer" "$WORK/in" "$WORK/out"
net_serve python3 tests/lib/stamps.py "$WORK" "$NET4.2:7000" "$NET4.3:7000" "$NET4.3:7001" "$NET4.3:7002"
mkdir "$WORK/run"
serve python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
print("ready", flush=True); time.sleep(1000)' "$WORK/run/socket"
GOES="  - {to: $NET4.2, ports: [7000], protocol: tcp}
  - {to: $NET4.2, ports: [7000], protocol: udp}
  - {to: goes.test, ports: [7001], tls: \"off\"}"
STAYS="  - {to: $NET4.3, ports: [7000], protocol: tcp}
  - {to: $NET4.3, ports: [7000], protocol: udp}
  - {to: stays.test, ports: [7002], tls: \"off\"}"
PLAIN="files: {read: [$WORK]}"
profile talker "$PLAIN" "egress:" "$GOES" "$STAYS"
ambit run --profile talker --name talker -- python3 "$WORK/agent.py" "$NET4.2" "$NET4.3" \
	<"$WORK/in" >"$WORK/out" 2>"$WORK/err" &
TALKER=$!
exec 5>"$WORK/in" 6<"$WORK/out"
read -r line <&6
is "an agent talks" "$line" up

# stamps: letters, when each came last.
stamps() {
	echo stamps >"$WORK/ask"
	cat "$WORK/answer"
}
# asks: what the agent says of new connections and lookups.
asks() {
	echo >&5
	timeout 10 sed -u '/^asked$/Q' <&6 | sed 's/$/; /' | tr -d '\n'
}

# ---- what a running agent can't be given ------------------------------------------------
# kept WHAT WHY PROFILE-BLOCK…: that profile is refused, and nothing has changed.
kept() {
	kept_what=$1 kept_why=$2
	shift 2
	profile talker "$@"
	refused "$kept_what: refused" 1 "$kept_why" ambit reload talker --reason test
	is "$kept_what: nothing left" "$(ambit inspect talker --json | grep -c '"withdrawn":\[\]')" 1
}
kept "a new endpoint" "egress[3] to 192.0.2.7: it is new" "$PLAIN" "egress:" "$STAYS" \
	"  - {to: 192.0.2.7, ports: [443]}"
kept "a wider one" "egress[3] to $NET4.2: it is new" "$PLAIN" "egress:" "$STAYS" \
	"  - {to: $NET4.2, ports: [7000-7001], protocol: tcp}"
kept "its private addresses" "egress[3] to goes.test: it is new" "$PLAIN" "egress:" "$STAYS" \
	"  - {to: goes.test, ports: [7001], tls: \"off\", addresses: [10.0.0.0/8]}"
kept "another limit" "limits: processes: it changed" "$PLAIN" "limits: {processes: 70}" "egress:" "$STAYS"
kept "a port to listen on" "listen: it changed" "$PLAIN" "egress:" "$STAYS" "listen: [7005]"
kept "no profile any more" "nothing was changed" "egress: nonsense"
profile talker "$PLAIN" "egress:" "$STAYS" "$GOES"
runs "another order is no change" 0 ambit reload --all --reason test
like "and is said to be none" "$ERR" "no agent lost an endpoint"

# ---- endpoints leave ------------------------------------------------------------------
profile talker "$PLAIN" "egress:" "$STAYS"
OUT=$(python3 - "$WORK" <<'PYTHON'
import subprocess, sys, time
done = subprocess.run(["ambit", "reload", "--profile", "talker", "--reason", "contract ended"],
                      capture_output=True, text=True)
with open(sys.argv[1] + "/returned", "w") as out:
    print(time.monotonic(), file=out)
print(done.returncode, done.stdout.split(" ", 1)[1], done.stderr, end="")
PYTHON
)
like "ambit reload" "$OUT" "0 talker: withdrawn: $NET4.2, $NET4.2, goes.test"
said=$(timeout 10 sed -u 6q <&6 | sort | tr '\n' ' ')
echo "# $said"
for way in tcp passed idle name; do
	like "$way: its holder is told at once" "$said" "$way ECONNABORTED"
done
for way in udp datagram; do
	like "$way: refused" "$said" "$way E"
done
: >"$DNS_LOG"
is "new: what left is refused, what stays is not" "$(asks)" \
	"new EPERM; lookup unknown; old end; other lookup end; "
unlike "and the resolver is not asked for it" "$(cat "$DNS_LOG")" goes.test
until stamps >"$WORK/stamps" && python3 - "$WORK" <<'PYTHON'
import sys
returned = float(open(sys.argv[1] + "/returned").read())
stamps = {who: float(when) for who, when, _ in map(str.split, open(sys.argv[1] + "/stamps"))}
sys.exit(any(stamps[who] < returned + 0.02 for who in "CUDN"))
PYTHON
do :; done
is "nothing came to what left later than 10 ms after the command, the rest goes on" \
	"$(python3 - "$WORK" <<'PYTHON'
import sys
returned = float(open(sys.argv[1] + "/returned").read())
stamps = {who: (float(when), int(count)) for who, when, count in
          map(str.split, open(sys.argv[1] + "/stamps"))}
late = {who: when - returned for who, (when, _) in stamps.items() if when > returned + 0.01}
print(sorted(late), sorted(stamps), all(count > 1 for _, count in stamps.values()))
PYTHON
)" "['C', 'D', 'N', 'U'] ['C', 'D', 'N', 'U', 'c', 'd', 'n', 'p', 'u'] True"
like "inspect says so" "$(ambit inspect talker --json)" "\"withdrawn\":[\"$NET4.2\",\"$NET4.2\",\"goes.test\"]"
like "to people too" "$(ambit inspect talker)" "withdrawn:      $NET4.2" "withdrawn:      goes.test"
like "it is recorded, with its reason" "$(audit_wait talker "egress withdrawn")" "contract ended"
like "with what left" "$(ambit audit show --json --agent talker | grep '"withdrawn"')" "goes.test 7001"
like "and what was refused by it" "$(ambit audit show --agent talker)" "no entry allows it"

# ---- it stays so, and only for those that run --------------------------------------------
warden=$(node_pid ambitd)
kill -9 "$warden"
ok "the warden is killed" gone "$warden"
runs "an agent that is launched now" 0 ambit_run talker true
is "the first has lost the same" "$(asks)" "new EPERM; lookup unknown; old end; other lookup end; "
like "and the node knows" "$(ambit inspect talker --json)" "\"withdrawn\":[\"$NET4.2\",\"$NET4.2\",\"goes.test\"]"
porter=$(node_pid ambit-porter)
kill -9 "$porter"
ok "the porter is killed" gone "$porter"
timeout 20 sh -c 'until ambit run --quiet --profile talker -- /bin/true; do :; done'
is "a porter that is back has it too" "$(asks)" "new EPERM; lookup unknown; old end; other lookup end; "
profile talker "$PLAIN" "egress:" "$STAYS" "$GOES"
refused "what was withdrawn is not given back" 1 "it was withdrawn, which is for good" \
	ambit reload talker --reason test
id=$(ambit run --profile talker --detach -- python3 -c '
import socket, sys, time
socket.create_connection((sys.argv[1], 7000)).send(b"o")
time.sleep(1000)' "$NET4.2")
runs "an agent that is launched then has it" 0 ambit_run talker python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], 7000))' "$NET4.2"
profile talker "$PLAIN" "egress:" "$STAYS"
runs "all at once" 0 ambit reload --all --reason test
is "those that had something to lose" "$(printf '%s\n' "$OUT" | cut -d' ' -f1)" "$id"

# ---- a unix socket ----------------------------------------------------------------------
profile local "egress: [{to: \"unix:$WORK/run/socket\"}]"
if kernel_has 6 7; then
	id=$(ambit run --profile local --detach -- sleep 1000)
	profile local
	refused "a unix socket can't be withdrawn" 1 "can't be ended; kill or retire" \
		ambit reload "$id" --reason test
else
	refused "there is no unix socket to withdraw" 125 "6.7" ambit_run local true
fi
refused "no such agent" 1 nobody ambit reload nobody --reason test
refused "no reason" 2 reason ambit reload talker
exec 5>&- 6<&-
wait "$TALKER"
is "it ended by itself" "$?" 0
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Egress by name against a resolver, an agent and a process of the host that mean
# harm (tests/lib/dns.py, lookups.probe.c).  Every refusal stands beside a lookup
# that works at the same time.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
. tests/lib/dns.sh
net_begin
dns_addresses
node_directory
DNS_LOG=$TAP_DIRECTORY/asked
: >"$DNS_LOG"
net_serve python3 tests/lib/dns.py "$NET4.3" "$DNS_LOG" "$NET4.3" "$NET4.1"
net_serve python3 tests/lib/echo.py "tcp:$NET4.3:7000"
serve python3 tests/lib/echo.py "tcp:$NET4.1:7000" "tcp:127.0.0.1:7000"
# The first one is dead: nobody listens there.
dns_node "$NET4.2, $NET4.3"
node_start

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cp build/tests/bin/lookups "$WORK/"
gcc -O1 -o "$WORK/lookup" tests/e2e/lookup.c || bail_out "no program"
LABEL=$(printf 'x%.0s' $(seq 61))
LONG=good.$LABEL.$LABEL.$LABEL.$LABEL # 5 + 4 * 61 + 3 = 252, one more in front
profile bounded "files: {read: [$WORK]}
egress:
  - {to: \"*.evil.test\", ports: [7000], tls: \"off\"}
  - {to: a$LONG, ports: [7000], tls: \"off\"}
  - {to: 10.77.0.0/16, ports: [9]}"
profile exact "files: {read: [$WORK]}
egress:
  - {to: loopback.evil.test, ports: [7000], tls: \"off\"}
  - {to: own.evil.test, ports: [7000], tls: \"off\"}
  - {to: 127.0.0.1, ports: [7000]}"

inside() {
	run ambit run --quiet --profile "${PROFILE:-bounded}" --name "agent-$((AGENT += 1))" -- "$@"
}
AGENT=0
record() {
	ambit audit show --agent "agent-$AGENT"
}

inside "$WORK/lookup" good.evil.test 7000
is "one resolver dead, one alive" "$OUT" "connected $NET4.3"
inside "$WORK/lookup" "agood.$LABEL.$LABEL.$LABEL.$LABEL" 7000 4
like "a name of 253 bytes is asked for" "$(tail -n 3 "$DNS_LOG")" "agood.$LABEL"
inside "$WORK/lookup" "bad.$LABEL.$LABEL.$LABEL.$LABEL" 7000 4
is "another of as many is not" "$OUT $(grep -c '^bad' "$DNS_LOG")" "Name or service not known 0"

# ---- rebinding ---------------------------------------------------------------
for name in private10 private172 private192 shared metadata loopback any azure broadcast own \
	mapped6 loopback6 unique6 link6 nat64 metadata6; do
	inside "$WORK/lookup" "$name.evil.test" 7000
	is "an answer that is $name" "$OUT" "No address associated with hostname"
	like "… recorded" "$(record)" "DENIED  lookup $name.evil.test" "are private, reserved or the node's own"
done
inside "$WORK/lookups" ask mixed.evil.test
is "of several addresses only those that may be" "$OUT" "rcode 0: $NET4.3"
like "… the record says that some are missing" "$(ambit audit show --json --agent "agent-$AGENT")" '"withheld":2'
inside "$WORK/lookups" ask listed.evil.test
is "a private one in a block that an entry lists" "$OUT" "rcode 0: 10.77.0.1"
PROFILE=exact
inside "$WORK/lookup" loopback.evil.test 7000
is "loopback, listed by its address" "$OUT" "connected 127.0.0.1"
inside "$WORK/lookup" own.evil.test 7000
is "… which lists no other address of the node" "$OUT" "No address associated with hostname"
profile block "files: {read: [$WORK]}
egress:
  - {to: own.evil.test, ports: [7000], tls: \"off\"}
  - {to: good.evil.test, ports: [7000], tls: \"off\"}
  - {to: $NET4.0/24, ports: [7000]}"
PROFILE=block
inside "$WORK/lookups" ask own.evil.test
is "… nor does a block that it lies in" "$OUT" "rcode 0:"
inside "$WORK/lookups" ask good.evil.test
is "… of which another address is answered" "$OUT" "rcode 0: $NET4.3"
PROFILE=bounded

# ---- answers that are wrong -----------------------------------------------------
while read -r name wanted; do
	inside "$WORK/lookups" ask "$name.evil.test"
	is "an answer that is $name" "$OUT" "$wanted"
done <<TABLE
zero rcode 0: $NET4.3
long rcode 0: $NET4.3
negative rcode 0: $NET4.3
chain rcode 0: $NET4.3
truncated rcode 0: $NET4.3
loop rcode 0:
foreign rcode 0:
nowhere rcode 3:
broken rcode 2:
short rcode 2:
garbage rcode 2:
otherid rcode 2:
otherquestion rcode 2:
pointer rcode 2:
silent rcode 2:
TABLE
# ---- somebody answers in the resolver's name ----------------------------------------
# He does not see the questions.  What he is told of the port, in /proc/net/udp, is of
# one question; and he has one guess, after which the resolver is asked over TCP.
anew() {	# a porter that doubts nobody
	porter=$(node_pid ambit-porter)
	kill -KILL "$porter" && gone "$porter"
	dns_until "ambit run --quiet --profile bounded -- $WORK/lookup good.evil.test 7000" || fail "the porter is back"
	: >"$DNS_LOG"
}
anew
inside "$WORK/lookups" many silent.evil.test 2
is "the same question many times: each is answered as it was spelled" "$OUT" "20 of 20"
is "… and it is asked for once, and once more" "$(wc -l <"$DNS_LOG")" 2
is "… each was recorded" "$(record | grep -c 'lookup silent.evil.test')" 20
run ambit run --profile bounded -- "$WORK/lookup" silent.evil.test 7000 4
like "… whoever started it is told why" "$ERR" "refused (lookup of silent.evil.test: no resolver answered)"
: >"$DNS_LOG"
inside "$WORK/lookups" many silent#.evil.test 2
is "many questions at once" "$OUT" "20 of 20"
is "… each comes from a port of its own" "$(head -n 20 "$DNS_LOG" | cut -d' ' -f3 | sort -u | wc -l)" 20
ok "… in a spelling of its own" test "$(head -n 20 "$DNS_LOG" | cut -d. -f4- | sort -u | wc -l)" -gt 5
for i in 1 2; do
	ambit run --quiet --profile bounded --name "asks-$i" -- "$WORK/lookups" later late.evil.test 7000 0 \
		>"$TAP_DIRECTORY/late.$i" &
	eval "LATE$i=\$!"
done
wait "$LATE1" "$LATE2"
is "two agents wait for one answer: each has it admitted" "$(cat "$TAP_DIRECTORY"/late.?)" "connected
connected"
for how in flipped guessed; do
	anew
	inside "$WORK/lookups" ask "$how.evil.test"
	is "an answer that is $how: the one over TCP is told" "$OUT" "rcode 0: $NET4.3"
	inside "$WORK/lookups" ask good.evil.test
	is "… and another name is looked up" "$OUT" "rcode 0: $NET4.3"
	is "… after one question by UDP" "$(cut -d' ' -f1,3 "$DNS_LOG" | sed 's/ [0-9].*/ udp/')" \
		"$how.evil.test udp
$how.evil.test tcp
good.evil.test tcp"
done
anew

inside "$WORK/lookups" ask good.evil.test
is "after all of these it still answers" "$OUT" "rcode 0: $NET4.3"
inside "$WORK/lookups" ask many.evil.test
is "200 addresses: too many for a datagram" "$OUT" "rcode 0 truncated: 198.18.200.0"
inside dig +short many.evil.test
is "… over TCP the first 32" "$(echo "$OUT" | wc -l)" 32

# ---- time -------------------------------------------------------------------------
# What a resolver says for ever is an hour, and no longer is it told so.
inside dig +noall +answer long.evil.test
is "a time to live of days: an hour" "$(echo "$OUT" | awk '{ print $2 }')" 3600
inside "$WORK/lookups" later zero.evil.test 7000 2
is "no time to live: a connect two seconds later works" "$OUT" "connected"
inside "$WORK/lookups" hold moves.evil.test 7000
is "the name moves under a connection: it lives on" "$OUT" "echo 198.18.0.250 echo"

# ---- questions that are wrong --------------------------------------------------------
inside "$WORK/lookups" malformed good.evil.test
is "questions that are none" "$OUT" "survived"
like "… recorded" "$(record)" "not a question"
is "… and none of them left the node" "$(grep -c malformed "$DNS_LOG")" 0
before=$(wc -l <"$DNS_LOG")
for name in data.in.the.name.secret "c2VjcmV0.not.listed.test" "a.b.evil.test"; do
	inside "$WORK/lookups" ask "$name"
	is "data in a name that is not listed: $name" "$OUT" "rcode 3:"
done
is "… does not leave the node" "$(wc -l <"$DNS_LOG")" "$before"

# ---- many ------------------------------------------------------------------------------
mkfifo "$TAP_DIRECTORY/flood"
ambit run --quiet --profile bounded --name flooder -- "$WORK/lookups" flood good.evil.test \
	>"$TAP_DIRECTORY/flood" &
FLOODER=$!
exec 9<"$TAP_DIRECTORY/flood"
read -r line <&9
is "one agent asks as fast as it can" "$line" "flooding"
slow=0
for i in $(seq 20); do
	inside "$WORK/lookups" ask "good$i.evil.test"
	[ "$OUT" = "rcode 0: $NET4.3" ] || slow=$((slow + 1))
done
is "… and another is answered every time" "$slow" 0
ambit kill flooder --reason "flooded" >/dev/null
wait $FLOODER
ok "… its excess is a record or two, of the packets and of the questions" test \
	"$(ambit audit show --agent flooder | grep -c 'more lookups')" -le 2
ok "… of many questions" test "$(ambit audit show --json --agent flooder |
	grep -o '"dropped_packets":[0-9]*' | tail -n 1 | cut -d: -f2)" -gt 1000

# Connections are held to the same rate as datagrams, before the porter sees them.
inside python3 -c '
import errno, socket, time
made, refused, begin = 0, 0, time.monotonic()
for _ in range(3000):
    with socket.socket() as s:
        s.setblocking(False)
        refused += s.connect_ex(("127.86.0.1", 53)) == errno.EPERM
took = time.monotonic() - begin
print(refused > 0, 3000 - refused <= 401 + 200 * took)'
is "one agent connects as fast as it can: held to the rate" "$OUT" "True True"
like "… recorded" "$(record)" "more lookups than the node answers"
inside dig +short +tcp good.evil.test
is "… and another is answered" "$OUT" "$NET4.3"
mkfifo "$TAP_DIRECTORY/held"
ambit run --quiet --profile bounded --name holder -- python3 -c '
import socket
held = [socket.create_connection(("127.86.0.1", 53), 20) for _ in range(150)]
print("up", flush=True)
try:
    for s in held:
        s.recv(1)
except ConnectionResetError:
    pass
except TimeoutError:
    print("still there", flush=True)
print("ended", flush=True)' >"$TAP_DIRECTORY/held" &
HOLDER=$!
exec 9<"$TAP_DIRECTORY/held"
read -r line <&9
is "one agent holds connections, and asks nothing" "$line" up
inside dig +short +tcp +tries=1 good.evil.test
is "… and another is answered" "$OUT" "$NET4.3"
read -r line <&9
is "… which end when nothing is asked on them" "$line" ended
exec 9<&-
wait $HOLDER

# Connections that are reset while a resolver is silent: nothing wakes the porter for
# them.  What it has used of a processor in the time that the lookup takes.
used() {
	cut -d' ' -f1 "/proc/$(node_pid ambit-porter)/schedstat"
}
before=$(used)
inside "$WORK/lookups" reset silent.evil.test
is "one agent resets its connections and asks on" "$OUT" "rcode 2:"
ok "… which keeps no processor busy" test $(($(used) - before)) -lt 200000000

# ---- a list that changes while questions are under way ---------------------------------
EVIL="  - {to: \"*.evil.test\", ports: [7000], tls: \"off\"}"
profile changes "files: {read: [$WORK]}" "egress:" "$EVIL" "  - {to: goes.test, ports: [7000], tls: \"off\"}"
mkfifo "$TAP_DIRECTORY/changed" "$TAP_DIRECTORY/answers"
: >"$DNS_LOG"
ambit run --quiet --profile changes --name changes -- sh -c \
	"'$WORK/lookups' ask silent.evil.test & read -r line; wait; '$WORK/lookups' ask good.evil.test" \
	<"$TAP_DIRECTORY/changed" >"$TAP_DIRECTORY/answers" &
CHANGES=$!
exec 7>"$TAP_DIRECTORY/changed" 8<"$TAP_DIRECTORY/answers"
timeout 20 sh -c "until grep -q silent '$DNS_LOG'; do :; done" || fail "silent is asked for"
profile changes "files: {read: [$WORK]}" "egress:" "$EVIL"
runs "reload while a question is under way" 0 ambit reload changes --reason test
echo go >&7
read -r line <&8
is "the question ends as it would have" "$line" "rcode 2:"
read -r line <&8
is "… and the next is answered" "$line" "rcode 0: $NET4.3"
exec 7>&- 8<&-
wait $CHANGES

# ---- somebody else asks in an agent's name ---------------------------------------------
mkfifo "$TAP_DIRECTORY/to" "$TAP_DIRECTORY/from"
ambit run --quiet --profile bounded --name victim -- sh -c \
	"'$WORK/lookups' where good0.evil.test; read -r line; '$WORK/lookup' $NET4.3 7000" \
	<"$TAP_DIRECTORY/to" >"$TAP_DIRECTORY/from" &
VICTIM=$!
exec 7>"$TAP_DIRECTORY/to" 8<"$TAP_DIRECTORY/from"
read -r line <&8
is "an agent whose resolver is where it says" "$line" "127.86.0.1:53"
slot=$(($(ambit inspect victim --json | member uid) - 2000000016))
port=$(ss -Hulpn | sed -n 's/.*0\.0\.0\.0:\([0-9]*\) .*"ambit-porter",pid='"$(node_pid ambit-porter)"',.*/\1/p')
: >"$DNS_LOG"
for uid in 0 65534; do
	run setpriv --reuid "$uid" --clear-groups "$AMBIT_BUILD/tests/bin/lookups" forge "$slot" "$port" good.evil.test
	is "uid $uid of the host asks in its name: no answer by UDP, none by TCP" "$OUT" "nothing nothing"
done
inside "$WORK/lookups" forge "$slot" "$port" good.evil.test
is "so does another agent" "$OUT" "send: Operation not permitted connect: Operation not permitted"
# Nor by an agent whose profile lists where the porter listens for the other.
asker=127.86.$((16 + slot / 256)).$((slot % 256))
profile liar "files: {read: [$WORK]}
egress: [{to: $asker, ports: [$port]}, {to: $asker, ports: [$port], protocol: udp}]"
PROFILE=liar
inside "$WORK/lookups" forge "$slot" "$port" good.evil.test
is "so does one that is let to its door" "$OUT" "nothing nothing"
PROFILE=bounded
is "… and nothing was asked for" "$(cat "$DNS_LOG")" ""
echo go >&7
read -r line <&8
is "… nor admitted" "$line" "connect: Operation not permitted"
wait $VICTIM
ok "the log verifies" ambit audit verify
finish

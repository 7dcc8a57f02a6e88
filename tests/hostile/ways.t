#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ways out over IP (ways.probe.c), each tried three times: outside, where it must
# work; inside to a server that no entry lists, where it must fail with the errno
# listed, leave exactly the records listed and deliver nothing; and inside to the
# allowed server, where it must work again if it is an honest way.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
net_begin

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cp build/tests/bin/ways "$WORK/"
ARRIVED=$TAP_DIRECTORY/arrived
: >"$ARRIVED"
net_serve python3 tests/lib/echo.py --count "$ARRIVED" \
	"tcp:$NET4.3:7000" "udp:$NET4.3:7000" "tcp:[${NET6}:3]:7000" "udp:[${NET6}:3]:7000"
net_serve python3 tests/lib/echo.py \
	"tcp:$NET4.2:7000" "udp:$NET4.2:7000" "tcp:[${NET6}:2]:7000" "udp:[${NET6}:2]:7000"
serve python3 tests/lib/echo.py --count "$ARRIVED" "tcp:127.0.0.1:7001" "tcp:[::1]:7001" \
	"tcp:$NET4.1:7001"
profile bounded "files: {read: [$WORK]}
egress:
  - {to: $NET4.2, ports: [7000], protocol: tcp, tool: allowed}
  - {to: $NET4.2, ports: [7000], protocol: udp, tool: allowed}
  - {to: \"$NET6:2\", ports: [7000], protocol: tcp, tool: allowed}
  - {to: \"$NET6:2\", ports: [7000], protocol: udp, tool: allowed}"
profile wide "files: {read: [$WORK]}
egress: [{to: 0.0.0.0/0, ports: [1-65535]}, {to: \"2000::/3\", ports: [1-65535]}, {to: \"fc00::/7\", ports: [1-65535]}]"
profile loopback "files: {read: [$WORK]}
egress: [{to: 127.0.0.1, ports: [7001]}, {to: \"::1\", ports: [7001]}]"
profile listener "files: {read: [$WORK]}
listen: [7002, 7002/udp]"

# What was tried outside may still be on its way: an answer from the same socket of
# the server says that everything sent before has arrived.
arrived_all() {
	python3 - "$NET4.3" "$NET6:3" <<-'PYTHON' || bail_out "the servers do not answer"
	import socket, sys
	for family, address in zip((socket.AF_INET, socket.AF_INET6), sys.argv[1:]):
	    with socket.socket(family, socket.SOCK_DGRAM) as probe:
	        probe.settimeout(20)
	        probe.sendto(b"are you there", (address, 7000))
	        probe.recv(64)
	PYTHON
	: >"$ARRIVED"
}

# try PROFILE WAY ADDRESS PORT [OTHER]
CASE=0
try() {
	CASE=$((CASE + 1))
	try_profile=$1
	shift
	run ambit run --quiet --profile "$try_profile" --name "case-$CASE" -- "$WORK/ways" "$@"
	RESULT=$OUT
}
# records VERDICT: 400101 allowed, 400105 denied
records() {
	ambit audit show --json --agent "case-$CASE" | grep -c "\"type_uid\":$1"
}

# way | result for the server that is not listed | denied records | for the listed
# server, or - | its allowed records | 6 if it is a way of IPv6 only
while IFS='|' read -r way wanted denied sibling allowed family; do
	target=$NET4.3 friend=$NET4.2
	[ "$family" != 6 ] || target=$NET6:3 friend=$NET6:2
	before=$(build/tests/bin/ways "$way" "$target" 7000 "$NET4.2" 2>&1)
	if [ "$before" != "done" ]; then
		skip "$way" "it fails outside: $before"
		continue
	fi
	arrived_all
	try bounded "$way" "$target" 7000 "$NET4.2"
	is "$way: not listed" "$RESULT" "$wanted"
	is "$way: denied records" "$(records 400105)" "$denied"
	is "$way: nothing arrived" "$(cat "$ARRIVED")" ""
	[ "$sibling" != - ] || continue
	try bounded "$way" "$friend" 7000 "$NET4.2"
	is "$way: listed" "$RESULT" "$sibling"
	is "$way: its records" "$(records 400101) $(records 400105)" "$allowed 0"
done <<'TABLE'
tcp|connect EPERM|1|done|1
tcp|connect EPERM|1|done|1|6
tcp-mapped|connect EPERM|1|done|1
tcp-again|connect EPERM|1|done|2
mptcp|socket EPERM|0|-
fast-sendto|send EPERM|1|done|1
fast-sendmsg|send EPERM|1|done|1
fast-sendmmsg|send EPERM|1|done|1
fast-option|connect EPERM|1|done|1
udp-sendto|send EPERM|1|done|1
udp-sendto|send EPERM|1|done|1|6
udp-connect|connect EPERM|1|done|1
udp-connect|connect EPERM|1|done|1|6
udp-sendmsg|send EPERM|1|done|1
udp-sendmmsg|send EPERM|1|done|1
udp-mapped-sendto|send EPERM|1|done|1
udp-mapped-connect|connect EPERM|1|done|1
udp-v4-on-v6|send EPERM|1|done|1
udp-v4-connect-on-v6|connect EPERM|1|done|1
udp-connected-elsewhere|send EPERM|1|done|1
udp-control|connect EPERM|1|done|1
udp-broadcast|send EPERM|1|-
udp-multicast|send EPERM|1|-
join-v4|option EPERM|1|-
join-v4-group|option EPERM|1|-
hops-v4|done|0|-
join-v6|option EPERM|1|-
join-v6-group|option EPERM|1|-
hops-v6|done|0|-
udplite|socket EPERM|0|-
ping|socket EPERM|0|-
raw|socket EPERM|0|-
route-v6|option EPERM|0|-||6
route-v4|option EPERM|0|-
freebind-v4|option EPERM|1|-
freebind-v6|option EPERM|1|-
freebind-v4-in-v6|option EPERM|1|-
source-v6|option EPERM|1|-
route-v6-control|send EPERM|1|-||6
listen|listen EPERM|0|-
bind|bind EPERM|1|-
bind-udp|bind EPERM|1|-
TABLE

# Addresses that are the node's without being an interface's; of a way that worked
# outside the wide profile would let none through.
for route in "198.19.$NET_NUMBER.5" "198.19.$NET_NUMBER.64/27" "fd00:c:$NET_NUMBER::5"; do
	ip route add local "$route" dev lo || bail_out "no local route"
	at_exit "ip route del local $route dev lo"
done
is "outside, 0.0.0.0 from the broadcast address is loopback" \
	"$(build/tests/bin/ways tcp-any-from "$NET4.255" 7001)" done

# ---- addresses that stand for others --------------------------------------------
# name | profile | way | address | port | result | denied records
while IFS='|' read -r name profile way address port wanted denied; do
	: >"$ARRIVED"
	try "$profile" "$way" "$address" "$port"
	is "$name" "$RESULT" "$wanted"
	is "$name: denied records" "$(records 400105)" "$denied"
	[ "$wanted" = "done" ] || is "$name: nothing arrived" "$(cat "$ARRIVED")" ""
done <<TABLE
0.0.0.0 is loopback: not listed|bounded|tcp|0.0.0.0|7001|connect EPERM|1
:: is loopback: not listed|bounded|tcp|::|7001|connect EPERM|1
0.0.0.0 is loopback: listed|loopback|tcp|0.0.0.0|7001|done|0
:: is loopback: listed|loopback|tcp|::|7001|done|0
127.0.0.2 is not 127.0.0.1|loopback|tcp|127.0.0.2|7001|connect EPERM|1
mapped loopback: not listed|bounded|tcp-mapped|127.0.0.1|7001|connect EPERM|1
another port|bounded|tcp|$NET4.2|7001|connect EPERM|1
a wide entry allows|wide|tcp|$NET4.3|7000|done|0
a wide entry is for its protocol|wide|udp-sendto|$NET4.3|7000|send EPERM|1
never by a wide entry: cloud metadata|wide|tcp|169.254.169.254|80|connect EPERM|1
never by a wide entry: link-local|wide|tcp|169.254.1.1|80|connect EPERM|1
never by a wide entry: link-local of IPv6|wide|tcp|fe80::1|80|connect EPERM|1
never by a wide entry: metadata of IPv6|wide|tcp|fd00:ec2::254|80|connect EPERM|1
never by a wide entry: loopback|wide|tcp|127.0.0.1|7001|connect EPERM|1
never by a wide entry: 0.0.0.0|wide|tcp|0.0.0.0|7001|connect EPERM|1
never by a wide entry: the node's own address|wide|tcp|$NET4.1|7001|connect EPERM|1
never by a wide entry: the same, mapped|wide|tcp-mapped|$NET4.1|7001|connect EPERM|1
never by a wide entry: the node's broadcast address|wide|tcp|$NET4.255|7001|connect EPERM|1
never by a wide entry: what is routed here|wide|tcp|198.19.$NET_NUMBER.5|7001|connect EPERM|1
never by a wide entry: a block that is routed here|wide|tcp|198.19.$NET_NUMBER.70|7001|connect EPERM|1
never by a wide entry: the same of IPv6|wide|tcp|fd00:c:$NET_NUMBER::5|7001|connect EPERM|1
never by a wide entry: 0.0.0.0 from the broadcast address|wide|tcp-any-from|$NET4.255|7001|connect EPERM|1
0.0.0.0 from an address of its own, listed|loopback|tcp-any-from|127.0.0.1|7001|done|0
listed for listening|listener|bind|127.0.0.1|7002|done|0
listed for listening, another port|listener|bind|127.0.0.1|7003|bind EPERM|1
listed for loopback only|listener|bind-udp|0.0.0.0|7002|bind EPERM|1
TABLE

# A socket remembers four places that it sent to; the record of a datagram to one that it
# has forgotten is made at the wall of packets, where no hook was called with the address.
profile many "egress: [{to: $NET4.2, ports: [7000-7010], protocol: udp}]"
for between in 3 4; do
	CASE=$((CASE + 1))
	run ambit run --quiet --profile many --name "case-$CASE" -- python3 -c '
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect((sys.argv[1], 7000))
    s.send(b"x")
    for port in range(int(sys.argv[2])):
        s.sendto(b"x", (sys.argv[1], 7001 + port))
    s.send(b"x")' "$NET4.2" "$between"
	is "$between other places between: records" "$ERR$(records 400101)" \
		"$([ "$between" = 3 ] && echo 4 || echo 6)"
done

# What is corked for an allowed peer can't be led elsewhere by a later name.
: >"$ARRIVED"
try bounded udp-cork "$NET4.3" 7000 "$NET4.2"
is "udp-cork: nothing arrived" "$(cat "$ARRIVED")" ""
finish

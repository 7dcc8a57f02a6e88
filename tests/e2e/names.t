#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Egress by name, with dnsmasq as the node's resolver: unmodified programs of every
# kind of resolver look a name up and connect; what no entry lists is refused, and
# what was admitted ends with its agent.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
. tests/lib/dns.sh
net_begin
dns_addresses
node_directory
dns_dnsmasq "$NET4.2" --host-record="crm.test,$NET4.3,$PUBLIC6::3" --host-record="only4.test,$NET4.3" \
	--host-record="only6.test,$PUBLIC6::3" --cname=alias.test,hop.test --cname=hop.test,only4.test \
	--host-record="one.blob.test,$NET4.3" --host-record="two.one.blob.test,$NET4.3" \
	--host-record="blob.test,$NET4.3" --host-record="secret.test,$NET4.3" \
	--host-record="in.test,$NET6:3" --host-record="moved.test,$NET6:2" \
	--host-record="mixed.test,$NET6:2,$NET4.3" --host-record="node.test,$NET6:1" \
	--host-record="half.test,$NET4.3,fd00:dead::1" --host-record="meta.test,fd00:ec2::254" --host-record="bare.test,$NET6:3"
dns_node "$NET4.2"
node_start
net_serve python3 tests/lib/echo.py "tcp:$NET4.3:7000" "tcp:[$PUBLIC6::3]:7000" \
	"tcp:[$NET6:3]:7000" "tcp:[$NET6:2]:7000" "tcp:[$NET6:3]:7001"
serve python3 tests/lib/echo.py "tcp:[$NET6:1]:7000"
mkdir -p "$TAP_DIRECTORY/web/logs"
certificate "$TAP_DIRECTORY/web" crm.test "$NET4.3"
certificate "$TAP_DIRECTORY/web" in.test "$NET6:3"
cat >"$TAP_DIRECTORY/web/nginx.conf" <<CONF
user root;
pid nginx.pid;
events {}
http { access_log off; server { listen [$NET6:3]:443 ssl;
	ssl_certificate in.test.pem; ssl_certificate_key in.test.key;
	location / { return 200 "served inside"; } }
server { listen $NET4.3:443 ssl;
	ssl_certificate crm.test.pem; ssl_certificate_key crm.test.key;
	location / { return 200 "served"; } } }
CONF
net_nginx "$TAP_DIRECTORY/web"

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
gcc -O1 -o "$WORK/glibc" tests/e2e/lookup.c || bail_out "no program of glibc"
cp "$TAP_DIRECTORY/web/crm.test.pem" "$TAP_DIRECTORY/web/in.test.pem" "$WORK/"
musl-gcc -O1 -static -o "$WORK/musl" tests/e2e/lookup.c || bail_out "no program of musl"
CGO_ENABLED=0 GOCACHE=$TAP_DIRECTORY/go GOFLAGS=-mod=mod \
	go build -o "$WORK/go" tests/e2e/lookup.go || bail_out "no program of Go"
cat >"$WORK/node.js" <<'JS'
const dns = require('dns'), net = require('net');
const resolver = new dns.Resolver();
resolver.resolve4(process.argv[2], (error, addresses) => {
	if (error) { console.log(error.code); return; }
	const socket = net.connect(Number(process.argv[3]), addresses[0], () => {
		console.log('connected ' + socket.remoteAddress);
		socket.destroy();
	});
	socket.on('error', (failed) => console.log(failed.code));
});
JS
profile named "files: {read: [$WORK]}
egress:
  - {to: crm.test, ports: [7000], tls: \"off\", tool: crm}
  - {to: only4.test, ports: [7000], tls: \"off\"}
  - {to: only6.test, ports: [7000], tls: \"off\"}
  - {to: ALIAS.test, ports: [7000], tls: \"off\"}
  - {to: \"*.blob.test\", ports: [7000], tls: \"off\"}
  - {to: gone.test, ports: [7000], tls: \"off\"}
  - {to: crm.test, ports: [443]}
  - {to: only4.test, ports: [443]}
  - {to: half.test, ports: [7000], tls: \"off\"}"
profile unnamed "files: {read: [$WORK]}"

inside() {
	run ambit run --quiet --profile named --name "agent-$((AGENT += 1))" -- "$@"
}
AGENT=0
record() {
	ambit audit show --agent "agent-$AGENT"
}

# ---- every kind of resolver -------------------------------------------------
while IFS='|' read -r what unlisted command; do
	# shellcheck disable=SC2086
	inside $command only4.test 7000
	is "$what: a listed name" "$OUT" "connected $NET4.3"
	like "$what: its records" "$(record)" "allowed lookup only4.test A egress[1] = $NET4.3" \
		"allowed connect only4.test=$NET4.3:7000/tcp egress[1]"
	# shellcheck disable=SC2086
	inside $command secret.test 7000
	like "$what: one that is not listed" "$OUT" "$unlisted"
	like "$what: its record" "$(record)" "DENIED  lookup secret.test A: no entry lists this name"
done <<TABLE
glibc|Name or service not known|$WORK/glibc
musl|Name does not resolve|$WORK/musl
Go|no such host|$WORK/go
c-ares of Node|ENOTFOUND|/usr/bin/node $WORK/node.js
TABLE
# One family is withheld, the other is there: not even its address sorting is refused.
for program in glibc musl go; do
	run ambit run --profile named --name "half-$program" -- "$WORK/$program" half.test 7000
	is "$program: a name with a private address beside a public one" "$OUT$ERR" \
		"connected $NET4.3ambit: half-$program: refused (lookup of half.test): ambit audit show --agent $(ambit ps --all --json | sed -n "s/.*\"id\":\"\([^\"]*\)\",\"name\":\"half-$program\".*/\1/p")"
done
inside "$WORK/glibc" only6.test 7000
is "an IPv6 address" "$OUT" "connected $PUBLIC6::3"
inside "$WORK/glibc" crm.test 7000 4
is "both families: IPv4" "$OUT" "connected $NET4.3"
inside "$WORK/glibc" crm.test 7000 6
is "both families: IPv6" "$OUT" "connected $PUBLIC6::3"
inside "$WORK/glibc" only4.test 7001
is "another port of a listed name" "$OUT" "connect: Operation not permitted"
inside "$WORK/glibc" alias.test 7000
is "a chain of CNAME records, an entry in upper case" "$OUT" "connected $NET4.3"
inside "$WORK/glibc" CRM.test. 7000 4
is "upper case and a dot at the end" "$OUT" "connected $NET4.3"
inside "$WORK/glibc" one.blob.test 7000
is "a wildcard: one label" "$OUT" "connected $NET4.3"
inside "$WORK/glibc" two.one.blob.test 7000
is "two labels are not one" "$OUT" "Name or service not known"
inside "$WORK/glibc" blob.test 7000
is "none is not one" "$OUT" "Name or service not known"
inside getent ahosts named
like "its own host name" "$OUT" "127.0.0.1"
unlike "is asked of nobody" "$(record)" "lookup named"
inside "$WORK/glibc" gone.test 7000
is "a listed name that is not there" "$OUT" "Name or service not known"
like "… its record is allowed" "$(record)" "allowed lookup gone.test A egress[5]: an entry lists it; it has no such"

# ---- TLS: the name is asked for and must be said --------------------------------
inside curl -sS --max-time 10 --cacert "$WORK/crm.test.pem" https://crm.test/
is "https to a name" "$OUT" "served"
like "… its records" "$(record)" "allowed lookup crm.test A egress[0] = $NET4.3" \
	"allowed connect crm.test=$NET4.3:443/tcp egress[6]"
inside curl -sS --max-time 10 --cacert "$WORK/crm.test.pem" \
	--connect-to "crm.test:443:only4.test:443" https://crm.test/
is "https to one name with the name of another: it was not asked for" "$OUT" ""
like "… recorded" "$(record)" "DENIED  " "TLS server name"

inside curl -sS --max-time 10 http://crm.test:443/
is "plain text to a name that must be pinned" "$OUT" ""
like "… fails at once" "$ERR" "curl: (5" 
like "… recorded" "$(record)" "DENIED  " "the entry asks for TLS and this is none"

# ---- names of a private network ---------------------------------------------------
# What the entry lists of it is admitted, for that entry alone; the rest is withheld:
# somebody else's name server leads a name where it likes (rebinding).
INSIDE="addresses: [\"$NET6:3\", 10.77.0.0/24]"
profile internal "files: {read: [$WORK]}
egress:
  - {to: in.test, ports: [443], $INSIDE}
  - {to: in.test, ports: [7000], tls: \"off\", $INSIDE}
  - {to: in.test, ports: [7001], tls: \"off\"}
  - {to: moved.test, ports: [7000], tls: \"off\", $INSIDE}
  - {to: mixed.test, ports: [7000], tls: \"off\", $INSIDE}
  - {to: node.test, ports: [7000], tls: \"off\", addresses: [\"fd00::/8\"]}
  - {to: meta.test, ports: [7000], tls: \"off\", addresses: [\"fd00::/8\"]}
  - {to: bare.test, ports: [7000], tls: \"off\"}"
while IFS='|' read -r what answer record asks; do
	# shellcheck disable=SC2086
	run ambit run --quiet --profile internal --name "agent-$((AGENT += 1))" -- "$WORK/glibc" $asks
	is "private: $what" "$OUT" "$answer"
	like "private: $what: recorded" "$(record)" "$record"
done <<TABLE
a listed address|connected $NET6:3|allowed connect in.test=[$NET6:3]:7000/tcp egress[1]|in.test 7000
it is not admitted for the entry without|connect: Operation not permitted|DENIED  connect [$NET6:3]:7001/tcp|in.test 7001
an address that is not listed|No address associated with hostname|DENIED  lookup moved.test AAAA egress[3]|moved.test 7000
of two the public one|connected $NET4.3|allowed connect mixed.test=$NET4.3:7000/tcp egress[4]|mixed.test 7000
the node's own, in a listed block|No address associated with hostname|DENIED  lookup node.test AAAA egress[5]|node.test 7000
metadata, in a listed block|No address associated with hostname|DENIED  lookup meta.test AAAA egress[6]|meta.test 7000
no addresses: another name's do not count|No address associated with hostname|DENIED  lookup bare.test AAAA egress[7]|bare.test 7000
TABLE
web() {
	run ambit run --quiet --profile internal --name "agent-$((AGENT += 1))" -- \
		curl -sS --max-time 10 --cacert "$WORK/in.test.pem" "$@"
}
web https://in.test/
is "private: https to a listed address" "$OUT" "served inside"
web --connect-to "other.test:443:in.test:443" https://other.test/
is "private: another TLS name" "$OUT" ""
like "private: recorded" "$(record)" "DENIED  " "TLS server name"
run ambit profile explain internal
like "private: the plan says so" "$OUT" "egress[0] private answers in $NET6:3" \
	"egress[0] private answers in 10.77.0.0/24" "other private ones are withheld"

# ---- sorting: the C library connects a UDP socket to each of several addresses ----
run ambit run --profile named --name sorts -- python3 -c '
import socket
for port in (0, 443, 7000):
    print(len({at[4][0] for at in socket.getaddrinfo("crm.test", port)}))
socket.create_connection(("crm.test", 7000)).close()'
is "both addresses, with a port and without" "$OUT" "2
2
2"
is "… nothing was refused" "$ERR" ""
unlike "… no record says so" "$(ambit audit show --agent sorts)" DENIED
run ambit run --profile named --name datagram -- python3 -c '
import socket
place = socket.getaddrinfo("crm.test", 7000, socket.AF_INET)[0][4]
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(place)
print("connected", flush=True)
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.connect(place)
other.send(b"x")'
is "a datagram socket may be connected there" "$OUT" connected
like "… and sends nothing" "$ERR" "PermissionError" "1 attempt was refused ($NET4.3:7000/udp)"
like "… recorded" "$(ambit audit show --agent datagram)" "DENIED  packet"

# ---- dig -------------------------------------------------------------------
inside dig +short only4.test
is "dig" "$OUT" "$NET4.3"
inside dig +tcp +short only4.test
is "dig over TCP" "$OUT" "$NET4.3"
inside dig only4.test
like "… sees the resolver that it asked" "$OUT" "SERVER: 127.86.0.1#53"
inside dig +tcp only4.test
like "… also over TCP" "$OUT" "SERVER: 127.86.0.1#53"
inside dig secret.test
like "a refusal says why" "$OUT" "status: NXDOMAIN" "no egress entry lists it"
inside dig +short -t TXT only4.test
is "no other type" "$OUT" ""
like "… recorded" "$(record)" "DENIED  lookup only4.test TXT egress[1]: only addresses are looked up"
inside dig -t SRV only4.test
like "… which says why" "$OUT" "status: REFUSED" "only addresses are looked up"
inside dig -t HTTPS only4.test
like "HTTPS records: there are none" "$OUT" "status: NOERROR" "ANSWER: 0"
inside dig -x 192.0.2.1
like "no reverse lookups" "$OUT" "status: NXDOMAIN"
inside dig +timeout=1 +tries=1 "@$NET4.2" only4.test
like "another resolver is an endpoint like any other" "$OUT$ERR" "permission denied"
inside dig +tcp +timeout=1 +tries=1 "@$NET4.2" only4.test
like "… over TCP too" "$OUT$ERR$(record)" "DENIED  connect $NET4.2:53/tcp"
# ---- what the caller is told at the end -------------------------------------------
# Each line of the table: what, how the line begins behind the agent's name, the endpoints
# that it asks for, a word each.
cat >"$WORK/asks.py" <<'PYTHON'
import socket, sys
for what in sys.argv[1:]:
    kind, _, rest = what.partition(":")
    try:
        if kind == "unix":
            socket.socket(socket.AF_UNIX).connect(rest.replace("ESC", "\x1b[31m"))
        elif kind == "udp":
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (rest, 53))
        elif kind == "bind":
            socket.socket().bind(("127.0.0.1", int(rest)))
        else:
            socket.create_connection((rest, 7000)).close()
        print("done", end=" ")
    except socket.gaierror:
        print("unknown", end=" ")
    except OSError as error:
        print(error.errno, end=" ")
PYTHON
while IFS='|' read -r what did line asks; do
	# shellcheck disable=SC2086
	run ambit run --profile named --name "agent-$((AGENT += 1))" -- python3 "$WORK/asks.py" $asks
	is "told: $what: what happened" "$OUT" "$did"
	id=$(ambit inspect "agent-$AGENT" --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
	is "told: $what" "$ERR" "${line:+ambit: agent-$AGENT: $line: ambit audit show --agent $id}"
done <<TABLE
what is listed|done done ||tcp:only4.test tcp:one.blob.test
one|1 |1 attempt was refused ($NET4.3:7000/tcp)|tcp:$NET4.3
one many times|1 1 1 1 1 |5 attempts were refused ($NET4.3:7000/tcp)|tcp:$NET4.3 tcp:$NET4.3 tcp:$NET4.3 tcp:$NET4.3 tcp:$NET4.3
three|1 1 1 |3 attempts were refused ($NET4.3:7000/tcp, [$PUBLIC6::3]:7000/tcp, $NET4.3:53/udp)|tcp:$NET4.3 tcp:$PUBLIC6::3 udp:$NET4.3
four|1 1 1 1 |4 attempts were refused ($NET4.3:7000/tcp, $NET4.2:7000/tcp, port 81/tcp of its own, and more)|tcp:$NET4.3 tcp:$NET4.2 bind:81 udp:$NET4.3
one, and a name|1 unknown |1 attempt was refused ($NET4.3:7000/tcp), and lookup of secret.test|tcp:$NET4.3 tcp:secret.test
a name alone|unknown |refused (lookup of secret.test)|tcp:secret.test
an escape sequence in a path|1 |1 attempt was refused (unix:/tmp/?[31m)|unix:/tmp/ESC
TABLE
run ambit run --quiet --profile named -- python3 "$WORK/asks.py" "tcp:$NET4.3" tcp:secret.test
is "quiet" "$ERR" ""
run ambit run --quiet --profile named --name other-port -- "$WORK/glibc" only4.test 7001
like "the entry for another port has the name" "$(ambit audit show --denied --agent other-port)" \
	'- {to: "only4.test", ports: [7001]}'
run ambit run --json --profile named -- python3 "$WORK/asks.py" "tcp:$NET4.3" tcp:secret.test
like "a name and an address, as JSON" "$(printf '%s\n' "$ERR" | grep '"event":"ended"')" '"denied":1,"lost":0,"refused":[' \
	"\"$NET4.3:7000/tcp\"" '"lookup of secret.test"' '"refused_more":false'

run ambit audit show --denied
like "who was refused" "$OUT" "DENIED  lookup secret.test" "DENIED  connect $NET4.3:7000/tcp"
unlike "not the node, which tries itself" "$OUT" node-proof
unlike "nor its lookup" "$OUT" unlisted.invalid
run ambit audit show --denied --agent node-proof
like "unless that is asked for" "$OUT" "node-proof DENIED"
run ambit run --quiet --profile unnamed --name unnamed -- "$WORK/glibc" only4.test 7000
is "an agent without names asks for none" "$OUT" "Name or service not known"
like "… recorded" "$(ambit audit show --agent unnamed)" "DENIED  lookup only4.test A"
is "nothing unlisted left the node" "$(grep -cE 'secret|two\.one|192\.0\.2|in-addr| blob\.test|TXT|HTTPS' "$DNS_LOG")" 0

# ---- admission ----------------------------------------------------------------
run ambit run --quiet --profile named --name literal -- \
	"$WORK/glibc" "$NET4.3" 7000
is "the address alone, never looked up" "$OUT" "connect: Operation not permitted"
mkfifo "$TAP_DIRECTORY/to" "$TAP_DIRECTORY/from"
ambit run --quiet --profile named --name holder -- sh -c \
	"'$WORK/glibc' only4.test 7000; read -r line; '$WORK/glibc' $NET4.3 7000
	curl -sS --max-time 10 --cacert '$WORK/crm.test.pem' --connect-to crm.test:443:only4.test:443 \
		https://crm.test/ || echo refused
	curl -sS --max-time 10 --cacert '$WORK/crm.test.pem' https://crm.test/" \
	<"$TAP_DIRECTORY/to" >"$TAP_DIRECTORY/from" &
HOLDER=$!
exec 8>"$TAP_DIRECTORY/to" 9<"$TAP_DIRECTORY/from"
read -r line <&9
is "one agent has it admitted" "$line" "connected $NET4.3"
run ambit run --quiet --profile named --name other -- "$WORK/glibc" "$NET4.3" 7000
is "another does not have it therefore" "$OUT" "connect: Operation not permitted"
PIN=/proc/$(node_pid ambitd)/root$AMBIT_ROOT/run/ambit/bpf/maps/admitted
entries() {
	bpftool map dump pinned "$PIN" | grep -c '"key"\|^key'
}
is "one address is in the kernel" "$(entries)" 1

# The warden and the porter are killed: what was admitted stays, and lookups work.
WARDEN=$(node_pid ambitd) PORTER=$(node_pid ambit-porter)
kill -KILL "$PORTER" && gone "$PORTER"
ok "the porter is back" dns_until "ambit run --quiet --profile named -- $WORK/glibc only4.test 7000"
kill -KILL "$WARDEN" && gone "$WARDEN"
ok "the node is back" dns_until "ambit run --quiet --profile named -- $WORK/glibc only4.test 7000"
echo go >&8
read -r line <&9
is "an adopted agent still has its address" "$line" "connected $NET4.3"
read -r line <&9
is "… no server by another's name" "$line" refused
is "… and the one whose name it says" "$(cat <&9)" served
wait $HOLDER
PIN=/proc/$(node_pid ambitd)/root$AMBIT_ROOT/run/ambit/bpf/maps/admitted
ambit node settle
is "nothing is admitted when the agents are gone" "$(entries)" 0

# ---- a busy machine ------------------------------------------------------------------
# Connections that were closed lately hold every port that the kernel gives out: in a
# network namespace with few of them.
cat >"$TAP_DIRECTORY/busy.py" <<'PYTHON'
import socket, subprocess, sys
held = []
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
    f.write("40000 40007")
server = socket.create_server(("198.18.0.1", 7000))
try:
    while True:
        one = socket.create_connection(("198.18.0.1", 7000))
        held.append(server.accept()[0])
        one.close()
        held[-1].close()
except OSError:
    pass
sys.exit(subprocess.run(sys.argv[1:]).returncode)
PYTHON
other=$(mktemp -d /tmp/ambit-test.XXXXXX)
chmod 755 "$other"
runs "the porter finds a port where the kernel has none to give" 0 unshare --net sh -c \
	'ip link set lo up && ip addr add 198.18.0.1/32 dev lo && AMBIT_ROOT=$1 exec python3 "$2" sh -c "ambit node start && ambit node stop"' \
	sh "$other" "$TAP_DIRECTORY/busy.py"
rm -r "$other"

# ---- plan ------------------------------------------------------------------------
run ambit profile explain named
like "the plan names the mechanism" "$OUT" "names resolved by the node"
ok "the log verifies" ambit audit verify
finish

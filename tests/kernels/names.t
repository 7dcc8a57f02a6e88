#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Names and TLS names on this kernel, end to end and small: dnsmasq as the resolver, a TLS
# server of OpenSSL, Python as the client.  e2e/names.t and e2e/tls.t go further where
# there are compilers and many clients.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
. tests/lib/dns.sh
net_begin
dns_addresses
node_directory
dns_dnsmasq "$NET4.2" --host-record="crm.test,$NET4.3,$PUBLIC6::3" --host-record="secret.test,$NET4.3" \
	--host-record="one.blob.test,$NET4.3" --host-record="inside.test,10.1.2.3"
dns_node "$NET4.2"
node_start
certificate "$TAP_DIRECTORY" crm.test "$NET4.3"
: >"$TAP_DIRECTORY/seen"
cat >"$TAP_DIRECTORY/server.py" <<'PYTHON'
import socket, ssl, sys, threading
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2] + ".pem", sys.argv[2] + ".key")
seen = open(sys.argv[3], "a", buffering=1)
def serve(connection):
    try:
        first = connection.recv(1, socket.MSG_PEEK)
        if first:
            print("a byte", file=seen)
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.sendall(b"served")
            secured.unwrap()
    except OSError:
        connection.close()
listening = []
for family, host in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[4])):
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, 443))
    server.listen(16)
    listening.append(server)
def accept(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
for server in listening[1:]:
    threading.Thread(target=accept, args=(server,), daemon=True).start()
print("ready", flush=True)
accept(listening[0])
PYTHON
net_serve python3 "$TAP_DIRECTORY/server.py" "$NET4.3" "$TAP_DIRECTORY/crm.test" "$TAP_DIRECTORY/seen" \
	"$PUBLIC6::3"

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cp "$TAP_DIRECTORY/crm.test.pem" "$WORK/"
profile named "files: {read: [$WORK]}
egress:
  - {to: crm.test, ports: [443]}
  - {to: \"*.blob.test\", ports: [443]}
  - {to: inside.test, ports: [443]}"
# client HOST SAYS: connects there, says that TLS name ('' plain text), and tells what came.
cat >"$WORK/client.py" <<'PYTHON'
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.check_hostname = False
try:
    with socket.create_connection((sys.argv[2], 443), timeout=20) as plain:
        if not sys.argv[3]:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            print(plain.recv(64))
        else:
            with context.wrap_socket(plain, server_hostname=sys.argv[3]) as secured:
                print(secured.recv(64).decode())
except socket.gaierror as error:
    print(error.strerror)
except OSError as error:
    print(type(error).__name__)
PYTHON
row=0
while IFS='|' read -r name host says wanted record; do
	row=$((row + 1))
	run ambit run --quiet --profile named --name "row-$row" -- \
		python3 "$WORK/client.py" "$WORK/crm.test.pem" "$host" "$says"
	is "$name" "$OUT" "$wanted"
	like "$name: recorded" "$(ambit audit show --agent "row-$row")" "$record"
	case $wanted in served) : >"$TAP_DIRECTORY/seen" ;; esac
	is "$name: nothing else reached the server" "$(cat "$TAP_DIRECTORY/seen")" ""
done <<TABLE
a listed name|crm.test|crm.test|served|allowed connect crm.test=
another name in the hello|crm.test|secret.test|ConnectionAbortedError|the TLS server name is not the entry's: secret.test
plain text|crm.test||ConnectionAbortedError|the entry asks for TLS and this is none
a wildcard, and the name it led from|one.blob.test|one.blob.test|served|allowed lookup one.blob.test A egress[1]
a name that is not listed|secret.test|secret.test|Name or service not known|DENIED  lookup secret.test
a private address for a listed name|inside.test|inside.test|No address associated with hostname|inside.test
an address, without a lookup|$NET4.3|crm.test|PermissionError|DENIED  connect $NET4.3:443/tcp
TABLE
run ambit run --profile named --name sorts -- python3 -c '
import socket
print(len({at[4][0] for at in socket.getaddrinfo("crm.test", 443)}))'
is "both families, and nothing was refused" "$OUT$ERR" 2
ok "the log is whole" ambit audit verify
finish

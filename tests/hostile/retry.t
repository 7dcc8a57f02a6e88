#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A server that asks for a second hello, and an agent that answers with another name: also
# where the first hello went out with the SYN (Fast Open), and where the server's words
# come out of order, so that their first piece is not the first that arrives.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
. tests/lib/dns.sh
net_begin
node_directory
dns_dnsmasq "$NET4.2" --host-record="one.blob.test,$NET4.9"
dns_node "$NET4.2"
node_start
profile blob 'egress: [{to: "*.blob.test", ports: [443]}]'
ip neigh replace "$NET4.9" lladdr "$(net_in cat /sys/class/net/eth0/address)" dev "$NET_LINK" nud permanent

# A hello for one.blob.test, by Fast Open or not; all of the answer; a hello for NAME.
CLIENT='
import socket, ssl, sys
def hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.set_ecdh_curve("prime256v1")  # the keys of OpenSSL 3.5 are too large for a SYN
    side = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
how, name = sys.argv[1:]
peer = socket.getaddrinfo("one.blob.test", 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
s = socket.socket()
s.settimeout(5)
if how == "fast":
    s.setsockopt(socket.IPPROTO_TCP, 34, 1)  # TCP_FASTOPEN_NO_COOKIE
    s.sendto(hello("one.blob.test"), socket.MSG_FASTOPEN, peer)
else:
    s.connect(peer)
    s.send(hello("one.blob.test"))
got = 0
while got < 99:  # a HelloRetryRequest and a ChangeCipherSpec
    got += len(s.recv(4096))
s.send(hello(name))
try:
    s.settimeout(0.5)
    s.recv(1)
except TimeoutError:
    print("sent")
except OSError as error:
    print(error.strerror)
'
for order in straight swapped; do
	net_serve python3 tests/lib/retry_peer.py "$NET4.9" "$TAP_DIRECTORY/$order" $order
	peer=$SERVE_PID
	for how in plain fast; do
		: >"$TAP_DIRECTORY/$order"
		run ambit run --quiet --profile blob --name "right-$order-$how" -- python3 -c "$CLIENT" $how one.blob.test
		is "$how, $order: the same name again passes" "$OUT $(tr '\n' ' ' <"$TAP_DIRECTORY/$order")" \
			"sent one.blob.test one.blob.test "
		: >"$TAP_DIRECTORY/$order"
		run ambit run --quiet --profile blob --name "wrong-$order-$how" -- python3 -c "$CLIENT" $how evil.test
		is "$how, $order: another name does not" "$OUT $(tr '\n' ' ' <"$TAP_DIRECTORY/$order")" \
			"Software caused connection abort one.blob.test "
		like "$how, $order: its record" "$(ambit audit show --agent "wrong-$order-$how")" \
			"DENIED" "evil.test"
	done
	kill "$peer"
done
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `tls: required` before real clients and a real server, in namespaces of their own
# where every address leads to loopback.  kernel_driver bounds the clients' cgroup:
# 203.0.113.5 port 7443 for crm.example.com and *.blob.example.net, port 7445 for
# the first alone, port 7444 without a name; and says what was recorded.
cd "$(dirname "$0")/../.." || exit 1
if [ "${1-}" != inside ]; then
	exec unshare --mount --net -- "$PWD/tests/e2e/tls.t" inside
fi
. tests/lib/tap.sh
cgroups=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
parent=$cgroups/ambit-tls-test-$$
pins=$TAP_DIRECTORY/pins
mkdir "$pins" "$parent"
at_exit 'umount "$pins"; rmdir "$parent"'
mount -t bpf -o mode=0700 bpf "$pins" || bail_out "no bpffs"
ip link set lo up && ip route add local 0.0.0.0/0 dev lo || bail_out "no loopback"

# ---- the server: nginx with any name, one answer --------------------------------
work=$TAP_DIRECTORY
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
	-keyout "$work/key.pem" -out "$work/cert.pem" -subj "/CN=crm.example.com" \
	-addext "subjectAltName=DNS:crm.example.com,DNS:*.blob.example.net,DNS:evil.example.org" \
	2>"$work/req.log" || bail_out "no certificate"
cat >"$work/nginx.conf" <<END
worker_processes 1;
pid $work/nginx.pid;
events { worker_connections 64; }
http {
	access_log off;
	server {
		listen 7443 ssl;
		listen 7444;
		ssl_certificate $work/cert.pem;
		ssl_certificate_key $work/key.pem;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_tickets on;
		ssl_early_data on;
		location / { return 200 "the answer\n"; }
	}
	server {
		listen 7445 ssl;
		ssl_certificate $work/cert.pem;
		ssl_certificate_key $work/key.pem;
		ssl_protocols TLSv1.3;
		ssl_ecdh_curve secp384r1;
		location / { return 200 "the answer\n"; }
	}
}
END
mkfifo "$work/started"
nginx -p "$work" -c "$work/nginx.conf" -e stderr \
	-g 'daemon off; error_log stderr notice;' 2>"$work/started" &
nginx=$!
at_exit 'kill $nginx; wait $nginx; :'
grep -m 1 -e 'start worker process ' -e emerg <"$work/started" >"$work/first"
cat <"$work/started" >"$work/nginx.log" &

# ---- the bounded cgroup -----------------------------------------------------------
coproc DRIVER { exec build/tests/bin/kernel_driver "$pins" "$parent" tls; }
at_exit 'exec {DRIVER[1]}>&-; wait $DRIVER_PID; :'
read -r line <&"${DRIVER[0]}"
[ "$line" = ready ] || bail_out "driver: $line"

recorded() {	# what was refused since the last time
	echo records >&"${DRIVER[1]}"
	RECORDS=
	while read -r line <&"${DRIVER[0]}" && [ "$line" != end ]; do
		RECORDS="$RECORDS$line;"
	done
}

# Eight seconds: a client that hangs is no answer.
inside() {
	run timeout 8 sh -c 'echo $$ >"$0/clients/cgroup.procs"; exec "$@"' \
		"$parent" "$@"
}

passes() {	# NAME COMMAND…: it gets the answer, nothing is refused
	what=$1
	shift
	recorded
	inside "$@"
	like "$what: the answer" "$OUT" "the answer" || diag "$STATUS $ERR"
	recorded
	is "$what: nothing refused" "$RECORDS" ""
}

fails() {	# NAME RECORD COMMAND…: no answer, at once, and one refusal
	what=$1 record=$2
	shift 2
	recorded
	start=$(date +%s%N)
	inside "$@"
	took=$((($(date +%s%N) - start) / 1000000))
	unlike "$what: no answer" "$OUT" "the answer"
	ok "$what: it fails by itself, at once" [ "$STATUS" != 0 -a "$STATUS" != 124 -a "$took" -lt 4000 ]
	recorded
	is "$what: the record" "$RECORDS" "$record;"
}

# ---- clients ------------------------------------------------------------------------
at=203.0.113.5
right=crm.example.com wrong=evil.example.org
refused="TLS hello TLS_NAME $wrong"

# Each takes a server name and answers with what it got; "" is no name.
cat >"$work/fetch.py" <<'END'
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.check_hostname = sys.argv[1] != ""
raw = socket.create_connection(("203.0.113.5", 7443))
tls = context.wrap_socket(raw, server_hostname=sys.argv[1] or None)
tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
print(tls.makefile().read())
END
cat >"$work/fetch.js" <<'END'
const [name, file] = process.argv.slice(2);
const tls = require('tls').connect({ host: '203.0.113.5', port: 7443, servername: name,
	ca: require('fs').readFileSync(file),
	checkServerIdentity: () => undefined }, () => tls.write('GET / HTTP/1.0\r\n\r\n'));
tls.on('data', (bytes) => process.stdout.write(bytes));
END
cat >"$work/fetch.go" <<'END'
package main

import (
	"crypto/tls"
	"io"
	"os"
)

func main() {
	connection, err := tls.Dial("tcp", "203.0.113.5:7443",
		&tls.Config{ServerName: os.Args[1], InsecureSkipVerify: true})
	if err == nil {
		io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n")
		_, err = io.Copy(os.Stdout, connection)
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
END
mkdir -p "$work/rust/.cargo" "$work/rust/src"
# Its interface differs between Debian 12 (0.20) and 13 (0.23).
RUSTLS=$(ls /usr/share/cargo/registry | sed -n 's/^rustls-0\.\([0-9]*\)\..*/\1/p')
cp "tests/e2e/rustls.$RUSTLS.rs" "$work/rust/src/main.rs" || bail_out "no client of rustls 0.$RUSTLS"
case $RUSTLS in 20) features='"dangerous_configuration"' ;; *) features= ;; esac
cat >"$work/rust/Cargo.toml" <<END
[package]
name = "fetch"
version = "0.1.0"
edition = "2021"
[dependencies]
rustls = { version = "*", features = [$features] }
END
cat >"$work/rust/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
END
GOCACHE=$work/go GOFLAGS=-mod=mod GO111MODULE=off go build -o "$work/fetch.go.bin" "$work/fetch.go" ||
	bail_out "go build"

with_curl() { name=$1; shift; set -- curl -s --cacert "$work/cert.pem" --resolve "$name:7443:$at" "$@" "https://$name:7443/"; CLIENT=("$@"); }
with_python() { CLIENT=(python3 "$work/fetch.py" "$1" "$work/cert.pem"); }
with_node() { CLIENT=(node "$work/fetch.js" "$1" "$work/cert.pem"); }
with_go() { CLIENT=("$work/fetch.go.bin" "$1"); }
with_rustls() { CLIENT=("$work/rust/target/debug/fetch" "$1"); }
with_openssl() {
	CLIENT=(sh -c 'printf "GET / HTTP/1.0\r\n\r\n" | openssl s_client -quiet -ign_eof "$@"' sh
		-connect "$at:7443" "${@:2}")
	[ -n "$1" ] && CLIENT+=(-servername "$1") || CLIENT+=(-noservername)
}
with_gnutls() {
	CLIENT=(sh -c '(printf "GET / HTTP/1.0\r\n\r\n"; exec sleep 2) | gnutls-cli --insecure -p 7443 "$@"' sh "${@:2}")
	[ -n "$1" ] && CLIENT+=(--sni-hostname "$1") || CLIENT+=(--disable-sni)
	CLIENT+=("$at")
}

ok "rustls: the client is built" \
	sh -c 'cd "$0" && PATH=/usr/bin:/bin exec /usr/bin/cargo build --offline' "$work/rust"
clients="curl python node go openssl gnutls rustls"
for client in $clients; do
	"with_$client" "$right"
	passes "$client, the right name" "${CLIENT[@]}"
	"with_$client" "$wrong"
	fails "$client, a wrong name" "$refused" "${CLIENT[@]}"
done
with_curl CRM.example.COM
passes "curl, upper case" "${CLIENT[@]}"
with_curl "$right" --tls-max 1.2
passes "curl, TLS 1.2" "${CLIENT[@]}"
with_curl "$wrong" --tls-max 1.2
fails "curl, TLS 1.2, a wrong name" "$refused" "${CLIENT[@]}"
with_gnutls "$right" --priority NORMAL:-VERS-TLS1.3
passes "gnutls, TLS 1.2" "${CLIENT[@]}"
with_gnutls "$wrong" --priority NORMAL:-VERS-TLS1.3
fails "gnutls, TLS 1.2, a wrong name" "$refused" "${CLIENT[@]}"
with_curl a.blob.example.net
passes "curl, below the wildcard" "${CLIENT[@]}"
with_curl blob.example.net -k
fails "curl, the wildcard's domain" "TLS hello TLS_NAME blob.example.net" "${CLIENT[@]}"
for client in python openssl gnutls; do
	"with_$client" ""
	fails "$client, no name" "TLS hello TLS_NO_NAME" "${CLIENT[@]}"
done
fails "curl, the address as name" "TLS hello TLS_NO_NAME" curl -sk "https://$at:7443/"
fails "curl, plain text" "TLS hello NOT_TLS" curl -s "http://$at:7443/"
passes "curl, plain text where tls is off" curl -s "http://$at:7444/"

# ---- resumption, early data ---------------------------------------------------------
for version in -tls1_2 -tls1_3; do
	with_openssl "$right" "$version" -sess_out "$work/session"
	passes "openssl $version, a new session" "${CLIENT[@]}"
	with_openssl "$right" "$version" -sess_in "$work/session"
	passes "openssl $version, resumed" "${CLIENT[@]}"
	with_openssl "$wrong" "$version" -sess_in "$work/session"
	fails "openssl $version, resumed by a wrong name" "$refused" "${CLIENT[@]}"
done
printf 'GET / HTTP/1.0\r\n\r\n' >"$work/early"
with_openssl "$right" -tls1_3 -sess_in "$work/session" -early_data "$work/early"
passes "openssl, early data behind the hello" "${CLIENT[@]}"

# ---- a server that asks for another hello: clients offer another curve first -----------
passes "curl, asked for a second hello" \
	curl -s --cacert "$work/cert.pem" --resolve "$right:7445:$at" "https://$right:7445/"
passes "openssl, asked for a second hello" sh -c \
	'printf "GET / HTTP/1.0\r\n\r\n" | openssl s_client -quiet -ign_eof "$@"' sh \
	-connect "$at:7445" -servername "$right" -tls1_3
passes "gnutls, asked for a second hello" sh -c \
	'(printf "GET / HTTP/1.0\r\n\r\n"; exec sleep 2) | gnutls-cli --insecure -p 7445 "$@"' sh \
	--sni-hostname "$right" "$at"
said=$(openssl s_client -connect "$at:7445" -servername "$right" -msg </dev/null 2>/dev/null)
is "… and it did ask" "$(grep -c ', ClientHello' <<<"$said")" 2

# ---- large hellos: as many protocols as make it several segments ----------------------
protocols=http/1.1$(for i in $(seq 1 140); do printf ',protocol-number-%03d-%020d' "$i" 0; done)
with_openssl "$right" -alpn "$protocols"
passes "openssl, a hello of 6 KB" "${CLIENT[@]}"
with_openssl "$wrong" -alpn "$protocols"
fails "openssl, a hello of 6 KB, a wrong name" "$refused" "${CLIENT[@]}"
finish

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A network of its own for one test script: a namespace, a veth pair into it, and
# real servers inside.  Sourced after tap.sh.  Addresses are of the range for
# benchmarks (RFC 2544), so that they meet nobody's network:
#   $NET4.1 and $NET6::1 the host's end; .2, .3 and ::2, ::3 the servers'.
net_begin() {
	NET_NUMBER=${1:-$((20 + $$ % 200))}
	NET4=198.18.$NET_NUMBER
	NET6=fd00:a:$NET_NUMBER:
	NET_LINK=ambit$NET_NUMBER
	! ip link show "$NET_LINK" >/dev/null 2>&1 || bail_out "$NET_LINK is there already"
	NET_DIRECTORY=$(mktemp -d /tmp/ambit-net.XXXXXX) || bail_out "no directory"
	at_exit 'rm -rf "$NET_DIRECTORY"'
	mkfifo "$NET_DIRECTORY/up"
	unshare --net sh -c 'echo up >"$1"; exec sleep infinity' sh "$NET_DIRECTORY/up" &
	NET_PID=$!
	at_exit net_end
	read -r net_line <"$NET_DIRECTORY/up"
	[ "$net_line" = up ] || bail_out "no network namespace"
	net_configure || bail_out "no veth pair"
}

# Without duplicate address detection the addresses can be used at once.
net_configure() {
	ip link add "$NET_LINK" type veth peer name eth0 netns "$NET_PID" &&
		ip addr add "$NET4.1/24" dev "$NET_LINK" &&
		ip addr add "$NET6:1/64" dev "$NET_LINK" nodad &&
		ip link set "$NET_LINK" up &&
		net_in ip link set lo up &&
		net_in ip link set eth0 up &&
		for net_host in 2 3; do
			net_in ip addr add "$NET4.$net_host/24" dev eth0 &&
				net_in ip addr add "$NET6:$net_host/64" dev eth0 nodad || return 1
		done
}

net_end() {
	# The pair goes with either end; without waiting for the namespace.
	ip link del "$NET_LINK"
	kill "$NET_PID"
	wait "$NET_PID" 2>/dev/null
	return 0
}

# net_in COMMAND…: in the namespace.
net_in() {
	nsenter --net="/proc/$NET_PID/ns/net" "$@"
}

# net_serve COMMAND…: a server in the namespace that writes the line "ready" to
# stdout when it listens.  Ends with the script.
net_serve() {
	serve nsenter --net="/proc/$NET_PID/ns/net" "$@"
}

# serve PROGRAM…: the same where we are.  No function: its process would be a
# shell in between.
serve() {
	SERVE_COUNT=$((${SERVE_COUNT:-0} + 1))
	serve_pipe=$TAP_DIRECTORY/serve.$SERVE_COUNT
	mkfifo "$serve_pipe"
	"$@" >"$serve_pipe" 2>"$serve_pipe.log" &
	SERVE_PID=$!
	at_exit "kill $SERVE_PID 2>/dev/null; wait $SERVE_PID 2>/dev/null; :"
	read -r serve_line <"$serve_pipe"
	[ "$serve_line" = ready ] ||
		bail_out "server does not start: $*: $(cat "$serve_pipe.log")"
}

# net_nginx DIRECTORY: nginx in the namespace with DIRECTORY/nginx.conf.  It
# says on stderr, which is a pipe here, that its worker starts.
net_nginx() {
	mkfifo "$1/started"
	nsenter --net="/proc/$NET_PID/ns/net" nginx -p "$1" -c "$1/nginx.conf" -e stderr \
		-g 'daemon off; error_log stderr notice;' 2>"$1/started" &
	NGINX_PID=$!
	at_exit "kill $NGINX_PID; wait $NGINX_PID; :"
	grep -m 1 -e 'start worker process ' -e emerg <"$1/started" >"$1/first" ||
		bail_out "nginx does not start"
	! grep emerg "$1/first" || bail_out "nginx does not start"
}

# certificate DIRECTORY NAME ADDRESS: a self-signed server certificate.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=$2" -addext "subjectAltName=DNS:$2,IP:$3" \
		-keyout "$1/$2.key" -out "$1/$2.pem" 2>"$1/openssl.log" ||
		bail_out "no certificate: $(cat "$1/openssl.log")"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Resolvers in the namespace of net.sh.  Sourced after it.

# Addresses that a public name may have: net.sh's IPv6 is of a private network.
dns_addresses() {
	PUBLIC6=2001:2:0:$NET_NUMBER
	ip addr add "$PUBLIC6::1/64" dev "$NET_LINK" nodad
	for dns_host in 2 3; do
		net_in ip addr add "$PUBLIC6::$dns_host/64" dev eth0 nodad
	done
}

# dns_dnsmasq ADDRESS OPTION…: dnsmasq there; what it is asked stands in $DNS_LOG.
dns_dnsmasq() {
	dns_address=$1
	shift
	DNS_LOG=$TAP_DIRECTORY/dnsmasq.log
	: >"$DNS_LOG"
	# It goes to the background when it listens.
	nsenter --net="/proc/$NET_PID/ns/net" dnsmasq --conf-file=/dev/null --no-resolv \
		--no-hosts --bind-interfaces --listen-address="$dns_address" \
		--except-interface=lo --user=root --local-ttl=60 --local=/#/ \
		--pid-file="$TAP_DIRECTORY/dnsmasq.pid" --log-queries \
		--log-facility="$DNS_LOG" "$@" || bail_out "dnsmasq does not start"
	DNS_PID=$(cat "$TAP_DIRECTORY/dnsmasq.pid")
	at_exit "kill $DNS_PID 2>/dev/null; :"
}

# dns_node ADDRESS[, ADDRESS]: the resolvers of the node that starts next.
dns_node() {
	mkdir -p "$AMBIT_ROOT/etc/ambit"
	echo "resolvers: [$1]" >"$AMBIT_ROOT/etc/ambit/node.yaml"
}

# dns_until COMMAND: again until it succeeds, at most 100 times: a process of the
# node is being restarted, and a launch says so.
dns_until() {
	for dns_try in $(seq 100); do
		$1 >/dev/null 2>&1 && return 0
		python3 -c 'import time; time.sleep(0.05)'
	done
	return 1
}

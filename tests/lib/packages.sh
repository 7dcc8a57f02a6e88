#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages named as arguments that are missing, and names
# them first.  Does nothing, and asks for nothing, when all are there.
set -eu
missing=
for package; do
	# nodejs may come from elsewhere than Debian; its command is what counts.
	if [ "$package" = nodejs ] && command -v node >/dev/null; then
		continue
	fi
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
if [ "$(id -u)" != 0 ]; then
	echo "packages: root is needed to install them" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Servers that tests start by hand are not to be started by their packages.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
# shellcheck disable=SC2086
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	rm -f "$log"
	echo "packages: could not be installed" >&2
	exit 1
fi
rm -f "$log"
# Nor at the next start of the machine: a server that nobody asked for would listen.
case "$missing " in
*" nginx-light "*)
	update-rc.d nginx disable
	rm -f /etc/systemd/system/multi-user.target.wants/nginx.service
	;;
esac

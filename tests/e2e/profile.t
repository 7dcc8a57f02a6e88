#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ambit profile as people use it, and what the shipped profiles claim.
set -u
cd "$(dirname "$0")/../.." || exit 1
profile=$PWD/build/libexec/ambit/ambit-profile
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

ok() { # NAME STATUS
	count=$((count + 1))
	if [ "$2" = 0 ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "$work/out" "$work/err"
	fi
}

run() { # COMMAND…: output in out and err
	"$@" >"$work/out" 2>"$work/err"
}

is() { # NAME STATUS: the last run's
	local got=$3
	[ "$got" = "$2" ]
	ok "$1: exit $2" $?
}

says() { # NAME FILE TEXT
	grep -qF -- "$3" "$work/$2"
	ok "$1" $?
}

silent() { # NAME FILE TEXT
	! grep -qF -- "$3" "$work/$2"
	ok "$1" $?
}

sample() { # FILE [MORE…]: a valid profile with more lines
	local file=$1
	shift
	{
		printf '%s\n' 'ambit: 1' 'name: sample' 'owner: a' 'purpose: b' \
			'tier: low' 'review: {approved-by: c, by: 2999-12-31}'
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$work/$file"
}

# ---- the shipped profiles: valid, and as their first lines say ------------
# This machine may have profiles of the same names, which would come first.
export AMBIT_ROOT="$work/none"
for file in profiles/*.yaml; do
	name=$(basename "$file" .yaml)
	run "$profile" check "$file"
	is "$file is valid" 0 $?
	says "$file has the name that finds it" out ": ok $name sha256:"
	"$profile" show "$file" >"$work/shown.yaml"
	run "$profile" check "$work/shown.yaml"
	says "$file: show has the same digest" out \
		"$("$profile" check "$file" | sed 's/.*: ok/: ok/')"
done

for name in offline build; do
	run "$profile" explain $name
	says "$name: no egress" out 'egress none'
	says "$name: no listening" out 'listen refused by seccomp'
	silent "$name: no host directory" out 'files.read '
	silent "$name: nothing refused" out 'REFUSED'
done
run "$profile" explain offline
silent "offline: nothing of the agent's own runs" out 'files.execute'
says "offline: an hour" out 'run.lifetime 1h'
run "$profile" explain build
says "build: what is in /tmp runs" out 'files.execute /tmp'
says "build: what is at home runs" out 'files.execute /home/agent'
says "build: many processes" out 'limits.processes 512'
run "$profile" explain loopback-tools
says "loopback-tools: its ports" out 'egress[0] to 127.0.0.1 ports 8000-8999 tcp'
says "loopback-tools: IPv6 too" out 'egress[1] to ::1 ports 8000-8999 tcp'
silent "loopback-tools: nothing else" out 'egress[2]'
says "loopback-tools: no listening" out 'listen none'
silent "loopback-tools: nothing refused" out 'REFUSED'

run "$profile" explain coding-agent
says "coding-agent: one project" out 'files.write /srv/project'
says "coding-agent: what is built there runs" out 'files.execute /srv/project'
says "coding-agent: the model, by its TLS name" out 'tls: required for model.example.com'
says "coding-agent: the code host" out 'tls: required for git.example.com'
says "coding-agent: the registry" out 'tls: required for registry.example.com'
silent "coding-agent: nothing else" out 'egress[3]'
says "coding-agent: no listening" out 'listen refused by seccomp'
silent "coding-agent: nothing refused" out 'REFUSED'
run "$profile" explain browser-agent
says "browser-agent: the site" out 'tls: required for shop.example.com'
says "browser-agent: names below it" out 'tls: required for *.shop.example.com'
silent "browser-agent: nothing else" out 'egress[2]'
says "browser-agent: no port to listen on" out 'listen none'
says "browser-agent: one call more" out 'syscalls @agent, 1 allowed'
silent "browser-agent: nothing refused" out 'REFUSED'
unset AMBIT_ROOT

# ---- check ----------------------------------------------------------------
sample good.yaml
run "$profile" check "$work/good.yaml"
is "a good file" 0 $?
digest=$(cut -d' ' -f3- "$work/out")
{ echo '# a comment'; sed 's/tier: low/tier:   "low"/' "$work/good.yaml"
  echo 'run: {grace: 10s}'; } >"$work/same.yaml"
run "$profile" check "$work/same.yaml"
says "comments, quotes and defaults change no digest" out "$digest"
sample other.yaml 'run: {grace: 11s}'
run "$profile" check "$work/other.yaml"
silent "another value does" out "$digest"

sample bad.yaml 'run:' '  lifetime: 2 hours'
run "$profile" check "$work/bad.yaml"
is "a bad file" 1 $?
says "its place" err "ambit: $work/bad.yaml:8:13: run.lifetime: 2 hours: "
says "what was expected" err '2h or 1d, or unlimited was expected'
[ "$(wc -l <"$work/err")" = 1 ]
ok "one line" $?
run "$profile" check "$work/bad.yaml" "$work/good.yaml"
is "one bad of two" 1 $?
says "the good one is said to be good" out "$work/good.yaml: ok sample"

sed -i 's/2999/2020/' "$work/other.yaml"
run "$profile" check "$work/other.yaml"
is "past its review day" 1 $?
says "says so, and where" err "ambit: $work/other.yaml:6:30: review: was due by 2020-12-31"
run "$profile" explain "$work/other.yaml"
says "explain says that too" out 'a launch would be refused: '

sample late.yaml 'exceptions: [{what: w, why: y, requested-by: r, approved-by: s, until: 2020-01-01}]'
run "$profile" check "$work/late.yaml"
says "past an exception" err "late.yaml:7:72: exceptions[0]: ended on 2020-01-01"

# ---- slips: what was meant ---------------------------------------------------
# place and message | the line
while IFS='|' read -r said line; do
	sample slip.yaml "$line"
	run "$profile" check "$work/slip.yaml"
	says "$line" err "slip.yaml:$said"
done <<'TABLE'
7:16: not YAML: did not find expected alphabetic or numeric character while scanning an alias: put quotes around what begins with *, as in "*.example.com"|egress: [{to: *.example.com, ports: [443]}]
7:16: not YAML: did not find expected alphabetic or numeric character while scanning an alias: put quotes|egress: [{to: *, ports: [443]}]
7:12: not YAML: mapping values are not allowed in this context: put quotes around a text with ": " in it|other: does: things
7:10: limits.open_files: no such key: open-files was expected|limits: {open_files: 5}
7:7: run.pass_environment: no such key: pass-environment was expected|run: {pass_environment: [A]}
7:42: exceptions[0].requested_by: no such key: requested-by was expected|exceptions: [{what: w, why: y, until: a, requested_by: r}]
7:10: limits.memry: no such key: one of memory, processes, cpu, open-files, file-size was expected|limits: {memry: 1G}
7:26: egress[0].port: no such key: one of to, addresses, ports, protocol, tls, tool was|egress: [{to: 192.0.2.1, port: 5}]
7:1: limit: no such key: one of ambit,|limit: {cpu: 1%}
TABLE

# ---- places of the host ------------------------------------------------------
# key | path | what is said, or ok
while IFS='|' read -r key path said; do
	sample place.yaml "files: {$key: [$path]}"
	run "$profile" check "$work/place.yaml"
	says "files.$key: $path" "$([ "$said" = ok ] && echo out || echo err)" "$said"
done <<'TABLE'
write|/etc/cron.d|/etc/cron.d: lies in /etc, settings that root's programs obey
write|/usr/local/bin|/usr/local/bin: lies in /usr, programs that root runs
write|/boot|/boot: is /boot
write|/boot/grub|/boot/grub: lies in /boot
write|/lib/x|/lib/x: lies in /lib
write|/lib64/x|/lib64/x: lies in /lib64
write|/bin/x|/bin/x: lies in /bin
write|/sbin/x|/sbin/x: lies in /sbin
write|/root/.ssh|/root/.ssh: is /root/.ssh
write|/root/.ssh/keys|/root/.ssh/keys: lies in /root/.ssh
write|/root|/root: covers /root/.ssh
write|/root/work|ok
write|/library|ok
read|/etc/shadow|/etc/shadow: is /etc/shadow, the host's passwords
read|/etc/gshadow-|/etc/gshadow-: is /etc/gshadow-
write|/etc/shadow|/etc/shadow: is /etc/shadow
read|/etc|/etc: is /etc
read|/etc/php|ok
read|/usr/share/x|ok
read|/root/.ssh|ok
TABLE
sample socket.yaml 'egress: [{to: "unix:/var/run/x"}]'
run "$profile" check "$work/socket.yaml"
says "a socket below /var/run" err '7:15: egress[0].to: /var/run/x: lies in /var/run, a link: its target /run was expected'
sample socket.yaml 'egress: [{to: "unix:/run/x"}]' && run "$profile" explain "$work/socket.yaml"
says "one below /run: explained" out 'the socket alone is mounted, by /var/run too'
sample absent.yaml 'files: {read: [/opt/no-such-place]}' && run "$profile" explain "$work/absent.yaml"
says "a listed path that is not there: explained" out 'a launch would be refused: files: /opt/no-such-place: No such file'
sample sockets.yaml 'egress:' "$(for i in 1 2 3 4 5 6 7 8; do echo "  - {to: \"unix:/run/$i\"}"; done)"
run "$profile" check "$work/sockets.yaml"
is "eight sockets below /run" 0 $?
echo '  - {to: "unix:/srv/9"}' >>"$work/sockets.yaml"
run "$profile" check "$work/sockets.yaml"
says "and one more" err 'egress[8] to unix:/srv/9: too many unix sockets: an agent can have 16, and one below /run counts twice'

# ---- files that are none ---------------------------------------------------
run "$profile" check "$work/missing.yaml"
is "missing" 1 $?
says "says so" err 'No such file or directory'
: >"$work/empty.yaml"
run "$profile" check "$work/empty.yaml"
says "empty" err 'empty.yaml:1:1: empty: a profile was expected'
run "$profile" check "$work/"
says "a directory" err 'is not a regular file'
mkfifo "$work/fifo.yaml"
run timeout 10 "$profile" check "$work/fifo.yaml"
is "a fifo does not wait" 1 $?
says "says so" err 'is not a regular file'
head -c 1048577 /dev/zero | tr '\0' '#' >"$work/large.yaml"
run "$profile" check "$work/large.yaml"
says "too large" err 'is too large: at most 1048576 bytes'
head -c 4096 "$profile" >"$work/binary.yaml"
run "$profile" check "$work/binary.yaml"
is "a binary" 1 $?

# ---- private addresses of a name ---------------------------------------------
for blocks in '10.77.0.0/24, "FD00:0::/8", 10.78.0.1/32' 10.77.0.0/24 ''; do
	sample inside.yaml "egress: [{to: in.example.com, ports: [443], addresses: [$blocks]}]"
	"$profile" check "$work/inside.yaml" | sed 's/.*sha256//' >>"$work/digests"
	"$profile" show "$work/inside.yaml" | grep addresses >>"$work/shown"
done
is "each list has a digest of its own" 3 "$(sort -u "$work/digests" | wc -l)"
printf '    addresses: [%s]\n' '"10.77.0.0/24", "fd00::/8", "10.78.0.1"' '"10.77.0.0/24"' >"$work/wanted"
run diff "$work/shown" "$work/wanted"
is "shown in their canonical form, if there are any" 0 $?

# ---- explain ---------------------------------------------------------------
run "$profile" explain "$work/good.yaml"
says "a table of clauses and mechanisms" out "review by 2999-12-31"
sample names.yaml 'egress:' '  - {to: crm.example.com, ports: [443], tool: crm}'
run "$profile" explain "$work/names.yaml"
is "a name is explained" 0 $?
says "the name" out 'names resolved by the node; connect and sendmsg hooks, packet wall'
says "its TLS" out "egress[0] tls: required for crm.example.com"
says "the layers that were assumed" out 'yes  TLS server names'
silent "nobody else's port: nothing is said" out 'TLS is not held'
# An entry that asks for no TLS name wins where it leads: the row says so.
sample wins.yaml 'egress:' '  - {to: crm.example.com, ports: [443]}' \
	'  - {to: 10.77.0.0/24, ports: [400-500]}' '  - {to: 10.78.0.0/24, ports: [444]}' \
	'  - {to: 10.79.0.1, ports: [443], protocol: udp}' \
	'  - {to: b.example.com, ports: [443], tls: "off"}' \
	'  - {to: c.example.com, ports: [8443], tls: required}' \
	'  - {to: "fd00::1", ports: [8443]}'
run "$profile" explain "$work/wins.yaml"
says "entries without TLS on the same port" out 'refused by seccomp; not at addresses of egress[1] (10.77.0.0/24), egress[4] (b.example.com): there that entry wins and TLS is not held'
says "another port has others" out 'refused by seccomp; not at addresses of egress[6] (fd00::1): there'
sample many.yaml 'egress:' '  - {to: crm.example.com, ports: [443]}' \
	"$(for i in $(seq 60); do echo "  - {to: 10.77.0.$i, ports: [443]}"; done)"
run "$profile" explain "$work/many.yaml"
says "many of them" out 'and more: there that entry wins and TLS is not held'

# ---- explain: what the agent does not see -------------------------------------
# mark | command | directory | files
unseen="not in the agent's view: files.read lists nothing of it"
while IFS='|' read -r command directory files; do
	sample view.yaml "run: {command: [$command], directory: $directory}" "files: {$files}"
	run "$profile" explain "$work/view.yaml"
	[ "$(grep -cF "$unseen" "$work/out")" = "${command##*-}" ]
	ok "in view or not: $command in $directory with $files" $?
done <<'TABLE'
/opt/support/main-1|home|
/opt/support/main-2|/opt/support|
/opt/support/main-0|/opt/support|read: [/opt/support]
/opt/support/main-0|/srv|read: [/opt], write: [/srv/a]
/opt/supporter/main-1|/opt|read: [/opt/support]
/usr/bin/a-0|/tmp|
/usr/bin/a-1|/tmp/x|system: none
/bin/a-0|/|
/home/agent/a-0|/home|system: none
/home/somebody/a-1|/var/tmp|
main-0|/usr/share|
TABLE

sample syscalls.yaml 'syscalls: {allow: [bpf]}'
run "$profile" explain "$work/syscalls.yaml"
is "a call that no profile may have" 1 $?
says "and why" err 'syscalls.yaml:7:20: syscalls.allow[0]: bpf: it puts code into the kernel'

# ---- names -----------------------------------------------------------------
run env AMBIT_ROOT="$work/root" "$profile" check offline
is "a shipped name" 0 $?
mkdir -p "$work/root/etc/ambit/profiles"
sed 's/name: sample/name: offline/' "$work/good.yaml" >"$work/root/etc/ambit/profiles/offline.yaml"
run env AMBIT_ROOT="$work/root" "$profile" check offline
says "the machine's own comes first" out "$work/root/etc/ambit/profiles/offline.yaml: ok offline"
run "$profile" check nobody-has-this
is "an unknown name" 1 $?
says "and where it was looked for" err 'nor among the shipped ones'
mkdir -p "$work/root/etc/ambit" "$work/root/srv/own"
echo 'profile-directory: /srv/own' >"$work/root/etc/ambit/node.yaml"
sed 's/^name: .*/name: elsewhere/' "$work/good.yaml" >"$work/root/srv/own/elsewhere.yaml"
AMBIT_ROOT=$work/root run "$profile" check elsewhere
says "in the node's own directory of profiles" out "$work/root/srv/own/elsewhere.yaml: ok elsewhere"

# ---- syscalls --------------------------------------------------------------
run "$profile" syscalls
says "the sets" out '@agent'
run "$profile" syscalls @network
says "one set, with conditions" out 'socket  if argument 0 & 0xffffffff == 0x2'
silent "and no call of another" out 'openat'
run "$profile" syscalls @nothing
is "no such set" 1 $?
run "$profile" syscalls "$work/good.yaml"
says "a profile's calls" out 'openat'
silent "without listen" out 'listen'
sample ports.yaml 'listen: [8080]'
run "$profile" syscalls "$work/ports.yaml"
says "with listen, if it lists ports" out 'listen'

# ---- usage -----------------------------------------------------------------
for arguments in '' 'check' 'show' 'show a b' 'chek a' '--version'; do
	# shellcheck disable=SC2086
	run "$profile" $arguments
	is "usage: '$arguments'" 2 $?
done
run "$profile" --help
is "help" 0 $?
"$profile" show "$work/good.yaml" >/dev/full 2>"$work/err"
is "a full disk" 1 $?

echo "1..$count"

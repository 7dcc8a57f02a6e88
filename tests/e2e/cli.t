#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client where no node is needed: usage, refusals and their statuses, what
# happens when no node runs and when one can't be started.
set -u
# Escapes above ASCII in these scripts mean UTF-8 whatever the caller speaks.
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.." || exit 1
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
mkdir "$top/bin"
cp build/bin/ambit "$top/bin/ambit"	# alone: nothing beside it
cp build/tests/bin/pty "$top/pty"
export AMBIT_ROOT="$top/root"
mkdir "$AMBIT_ROOT"
ambit=$top/bin/ambit
count=0

ok() {	# ok STATUS NAME
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
is() {	# is GOT WANTED NAME
	[ "$1" = "$2" ]
	local same=$?
	ok $same "$3"
	[ $same = 0 ] || { echo "# got:    $1"; echo "# wanted: $2"; }
}
# refused STATUS MESSAGE ARGUMENT…: exactly this line on stderr, nothing on stdout
refused() {
	local status=$1 message=$2
	shift 2
	"$ambit" "$@" >"$top/out" 2>"$top/err" </dev/null
	is "$?:$(cat "$top/err" "$top/out")" "$status:$message" "ambit $*"
}

# ---- the command line was wrong: 2 -----------------------------------------
commands='run, ps, inspect, cut, reload, kill, retire, reinstate, profile, audit, doctor, node'
run='usage: ambit run --profile NAME|FILE [--task ID] [--name N] [--detach] [--json] [--quiet] [--] [COMMAND [ARG...]]'
kill='usage: ambit kill AGENT... | --profile P | --all --reason TEXT [--json]'
retire='usage: ambit retire AGENT... | --profile P --reason TEXT [--json]'
refused 2 "ambit: --verbose: no such command (the commands are $commands)" --verbose
refused 2 "ambit: : no such command (the commands are $commands)" ''
refused 2 "ambit: run: --profile is missing ($run)" run
refused 2 "ambit: run: --profile is missing ($run)" run -- --profile x
refused 2 "ambit: run: --profile is missing ($run)" run true --profile x
refused 2 "ambit: run: --profile needs a value ($run)" run --profile
refused 2 "ambit: run: --profile is empty ($run)" run --profile=
refused 2 "ambit: run: --task is empty ($run)" run --profile x --task ''
refused 2 "ambit: run: --profile is given twice ($run)" run --profile a --profile=b
refused 2 "ambit: run: --detach takes no value ($run)" run --detach=yes
refused 2 "ambit: run: --prof: no such option ($run)" run --prof x
refused 2 "ambit: run: --profiles: no such option ($run)" run --profiles=x
refused 2 "ambit: run: -p: no such option ($run)" run -p x
refused 2 "ambit: run: --profile: ./ is no file ($run)" run --profile ./
refused 2 "ambit: ps: x: unexpected argument (usage: ambit ps [--all] [--json])" ps x
refused 2 "ambit: inspect: one AGENT is wanted, not 0 (usage: ambit inspect AGENT [--json])" inspect
refused 2 "ambit: inspect: one AGENT is wanted, not 2 (usage: ambit inspect AGENT [--json])" inspect a b
refused 2 "ambit: kill: --reason is missing ($kill)" kill a
refused 2 "ambit: kill: --reason is missing ($kill)" kill a --reason '  '
refused 2 "ambit: kill: --reason is empty ($kill)" kill a --reason=
refused 2 "ambit: kill: which agents? ($kill)" kill --reason why
refused 2 "ambit: kill: only one of them at a time ($kill)" kill a --all --reason why
refused 2 "ambit: kill: only one of them at a time ($kill)" kill --profile p --all --reason why
refused 2 "ambit: retire: --all: no such option ($retire)" retire --all --reason why
refused 2 "ambit: reinstate: --profile is missing (usage: ambit reinstate --profile P --reason TEXT [--json])" reinstate --reason why
refused 2 "ambit: node: start, settle or stop? (usage: ambit node start | settle | stop [--reason TEXT])" node
refused 2 "ambit: node: restart: start, settle or stop? (usage: ambit node start | settle | stop [--reason TEXT])" node restart
refused 2 "ambit: node: --reason is for stop (usage: ambit node start | settle | stop [--reason TEXT])" node start --reason x
refused 2 "ambit: node: supervise: is for ambit node start only" node supervise
refused 2 'ambit: run: --a\x1b[31m: no such option ('"$run)" run $'--a\e[31m'
refused 2 'ambit: run: --\xff\u{202e}: no such option ('"$run)" run $'--\xff\u202e'

# ---- help and version ------------------------------------------------------
is "$($ambit --version)" "ambit 0.1.0" "the version"
is "$($ambit --help 2>&1 | grep -c '^  [a-z]')" 12 "--help lists every command"
$ambit >"$top/out" 2>"$top/err"
is "$?:$(wc -c <"$top/out"):$(head -n 1 "$top/err")" "2:0:usage: ambit COMMAND ..." \
	"no command: usage on stderr"
for command in run ps inspect cut reload kill retire reinstate doctor node; do
	is "$($ambit $command --help 2>&1 | head -n 1 | cut -d' ' -f1-3):$?" \
		"usage: ambit $command:0" "$command --help"
done
is "$($ambit help run | head -n 1 | cut -d' ' -f1-3)" "usage: ambit run" "help run"
$ambit --help >/dev/full 2>"$top/err"
is "$?:$(cat "$top/err")" "1:ambit: standard output: No space left on device" \
	"help that can't be written is a failure"

# ---- no node ---------------------------------------------------------------
none='no node is running (start one with: ambit node start)'
refused 1 "ambit: ps: $none" ps
refused 1 "ambit: inspect: $none" inspect x
refused 1 "ambit: kill: $none" kill x --reason why
refused 1 "ambit: kill: $none" kill --reason=why x
refused 1 "ambit: retire: $none" retire --profile p --reason why
refused 1 "ambit: reinstate: $none" reinstate --profile p --reason why
refused 1 "ambit: node: $none" node stop
refused 1 '{"refused":{"what":"ps","why":"no node is running","hint":"start one with: ambit node start","status":1}}' ps --json
[ ! -e "$AMBIT_ROOT/run" ]
ok $? "none of these starts or makes anything"

as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$ambit" "$@" </dev/null 2>&1
}
none='no node is running (root starts one with: ambit node start)'
is "$(as_nobody run --profile p -- true):$?" "ambit: run: $none:125" "run as nobody"
is "$(as_nobody doctor):$?" "ambit: doctor: $none:1" "doctor as nobody"
is "$(as_nobody node start):$?" "ambit: node: only root starts the node:1" \
	"node start as nobody"

# ---- what is checked before the node is asked --------------------------------
refused 125 "ambit: $top/none/p.yaml: No such file or directory" \
	run --profile "$top/none/p.yaml"
refused 125 'ambit: run: argument 1 of the command is not UTF-8: \xff' \
	run --profile p -- echo $'\xff'
refused 125 'ambit: run: --task is not UTF-8: \xff' \
	run --profile p --task $'\xff' -- echo
AMBIT_ROOT=relative refused 1 "ambit: ps: AMBIT_ROOT: must be an absolute path" ps
AMBIT_ROOT=/$(printf '%0120d' 0) \
	refused 1 "ambit: ps: /$(printf '%0120d' 0)/run/ambit/control: too long for a socket's path" ps

# ---- programs that are not beside it -----------------------------------------
refused 1 "ambit: audit: $top/libexec/ambit/ambit-audit: No such file or directory (it is not installed)" audit tail
refused 1 "ambit: profile: $top/libexec/ambit/ambit-profile: No such file or directory (it is not installed)" profile --help
missing="ambit: node: $top/libexec/ambit/ambitd: No such file or directory"
refused 125 "$missing" run --profile p -- true
refused 1 "$missing" doctor
refused 1 "$missing" node start
is "$(stat -c %a "$AMBIT_ROOT/run/ambit")" 711 "the run directory is root's to write"
is "$(stat -c %a "$AMBIT_ROOT/run/ambit/node.lock")" 600 "nobody else can hold the lock"
flock -n "$AMBIT_ROOT/run/ambit/node.lock" true
ok $? "a start that failed leaves no supervisor behind"
chmod 777 "$AMBIT_ROOT/run/ambit"
refused 125 "ambit: node: $AMBIT_ROOT/run/ambit: must be root's, and only root may write it" \
	run --profile p -- true
chmod 711 "$AMBIT_ROOT/run/ambit"

# A sibling gets the arguments as they are, and its status is ours.
mkdir -p "$top/libexec/ambit"
printf '#!/bin/sh\necho "$#:$1:$2"\nexit 42\n' >"$top/libexec/ambit/ambit-audit"
chmod 755 "$top/libexec/ambit/ambit-audit"
is "$($ambit audit --help 'two words'):$?" "2:--help:two words:42" "a sibling is executed"
mkdir "$top/elsewhere"
ln -s "$ambit" "$top/elsewhere/ambit"
is "$("$top/elsewhere/ambit" audit a b)" "2:a:b" "through a symbolic link too"

# ---- descriptors and terminals -----------------------------------------------
$ambit --version >&- 2>"$top/err"
is "$?:$(cat "$top/err")" "0:" "closed stdout is /dev/null"
is "$("$top/pty" --modes -- "$ambit" run --profile p -- true):$?" "$missing"$'\r:125' \
	"a refusal leaves the terminal's modes as they were"

echo "1..$count"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is recorded, and that the log can be checked.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
net_begin
net_serve python3 tests/lib/echo.py "tcp:$NET4.2:7000" "udp:$NET4.2:7000"

profile recorded "egress:
  - {to: $NET4.2, ports: [7000], protocol: tcp, tool: ledger}
credentials:
  - {name: tls, type: x509-svid, ttl: 1h}
  - {name: api, type: jwt-svid, audience: \"https://api.example.com\", ttl: 5m}"
TRY='
import socket, sys
for host, kind in ((sys.argv[1], 1), (sys.argv[2], 1), (sys.argv[1], 2)):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == 1 else socket.SOCK_DGRAM)
    try:
        s.connect((host, 7000))
        s.send(b"x")
    except PermissionError:
        pass
sys.exit(9)'
run ambit run --profile recorded --name clerk --task T-77 -- python3 -c "$TRY" "$NET4.2" "$NET4.3"
is "the agent's own status" "$STATUS" 9
LOG=$AMBIT_ROOT/var/log/ambit
ambit node settle
is "the node has nothing to complain of" "$(cat "$AMBIT_ROOT/run/ambit/node.log")" ""

# Every line is one JSON object of OCSF with what all have in common.
cat >"$TAP_DIRECTORY/check.py" <<'PYTHON'
import collections, json, sys
kinds = collections.Counter()
kseq = collections.defaultdict(list)
sequence = 0
for line in sys.stdin:
    r = json.loads(line)
    for name in ("activity_id", "category_uid", "class_uid", "type_uid", "time",
                 "severity_id", "metadata", "message", "status_id", "device"):
        assert name in r, (name, line)
    assert r["type_uid"] == r["class_uid"] * 100 + r["activity_id"], line
    assert r["metadata"]["version"] == "1.8.0", line
    assert r["metadata"]["sequence"] == sequence, (sequence, line)
    sequence += 1
    kinds[r["type_uid"]] += 1
    u = r.get("unmapped", {})
    if r["class_uid"] == 4001:
        kseq[r["metadata"]["correlation_uid"]].append(u["kseq"])
        assert u.get("task", "T-77") == "T-77", line
for agent, numbers in kseq.items():
    assert numbers == list(range(1, len(numbers) + 1)), (agent, numbers)
print(*sorted(kinds.items()))
PYTHON
run sh -c "ambit audit show --json | python3 $TAP_DIRECTORY/check.py"
is "every record has the common fields, no number is missing" "$STATUS $ERR" "0 "
KINDS=$OUT
while IFS='|' read -r name kind; do
	like "recorded: $name" " $KINDS " "($kind, "
done <<'TABLE'
connection allowed|400101
connection refused|400105
launch|100701
exit|100702
credential issued|300401
credential ended|300404
TABLE
run ambit audit show --agent clerk
is "readable: one line a record" "$(printf '%s\n' "$OUT" | wc -l)" \
	"$(ambit audit show --json --agent clerk | wc -l)"
like "readable: allowed by which entry, refused why" "$OUT" "ledger" "allowed" "denied" \
	"$NET4.2" "$NET4.3"
is "two refusals: another server, another protocol" \
	"$(ambit audit show --json --agent clerk --denied | wc -l)" 2
run ambit audit show --json --agent clerk
like "who, what for, by which rules" "$OUT" '"T-77"' 'spiffe://' 'agent/recorded' \
	'profile_sha256' 'seccomp'
unlike "no secret is in the log" "$(cat "$LOG"/* 2>/dev/null)" "PRIVATE KEY"
unlike "no argument is in the log" "$(cat "$LOG"/* 2>/dev/null)" "import socket"

# By time, as lines begin with it.
ALL=$(ambit audit show)
TIME=$(printf '%s\n' "$ALL" | sed -n '$s/ .*//p') # of the newest line
is "since the newest record" "$(ambit audit show --since "$TIME")" \
	"$(printf '%s\n' "$ALL" | awk -v time="$TIME" '$1 >= time')"
is "until it" "$(ambit audit show --until "$TIME")" "$ALL"
is "until an hour ago" "$(ambit audit show --until 1h)" ""
is "since an hour ago" "$(ambit audit show --since=1h)" "$ALL"
is "since a day" "$(ambit audit show --since 2026-01-31)" "$ALL"
is "tail begins there" "$(ambit audit tail --no-follow --since 1h)" "$ALL"
while read -r word; do
	run ambit audit show --since "$word"
	like "no time: $word" "$STATUS $ERR" "2 ambit: audit: --since: a time was expected"
done <<'TABLE'
yesterday
2026-13-01
2026-01-31T12
2026-01-31T12:00:00.5Z
1w
m
2026-01-31T12:00:00Zx
TABLE

# Launches that were refused, with the reason.
run ambit_run no-such-profile true
profile expired
sed -i 's/9999-12-31/2020-01-01/' "$PROFILES/expired.yaml"
run ambit_run expired true
run ambit audit show
like "refusals to launch are recorded" "$OUT" "launch refused" "no-such-profile" "2020-01-01"

# A text that is too long for its record says so.
id=$(ambit run --profile recorded --detach -- sleep 1000)
ok "a long reason is no reason not to kill" \
	ambit kill "$id" --reason "$(printf 'é%.0s' $(seq 700))"
is "a long reason ends with …" \
	"$(ambit audit show --agent "$id" | grep -o 'é…' | wc -l)" 1
run ambit_run recorded "/$(printf 'x%.0s' $(seq 300))"
like "and so does a long command" "$(ambit audit show --json | tail -n 5)" '"path":"/xxx' 'xx…",'

# ---- the pipe -------------------------------------------------------------------
mkfifo "$TAP_DIRECTORY/tail"
ambit audit tail --from 0 --json >"$TAP_DIRECTORY/tail" &
tail=$!
exec 4<"$TAP_DIRECTORY/tail"
read -r line <&4
is "tail starts at a position" "$(printf '%s\n' "$line" | member metadata.sequence)" 0
ambit run --name live --profile recorded -- true
is "tail streams what comes" "$(grep -m 1 -c '"live"' <&4)" 1
kill "$tail"
wait "$tail" 2>/dev/null
exec 4<&-

# ---- proof ----------------------------------------------------------------------
runs "verify" 0 ambit audit verify
ok "export" sh -c "ambit audit export >$TAP_DIRECTORY/export"
# A record that is missing, moved, doubled or broken is noticed: in a copy.
for harm in '2d' '2{h;d};3G' '2p' '2s/}$//' '2s/"kseq":[0-9]*/"kseq":77/'; do
	cp -r "$LOG" "$TAP_DIRECTORY/copy"
	sed -i "$harm" "$(find "$TAP_DIRECTORY/copy" -type f -size +1k | sort | head -n 1)"
	mkdir -p "$TAP_DIRECTORY/root/var/log"
	mv "$TAP_DIRECTORY/copy" "$TAP_DIRECTORY/root/var/log/ambit"
	run env AMBIT_ROOT="$TAP_DIRECTORY/root" ambit audit verify
	unlike "verify notices: $harm" "$STATUS" 0
	rm -r "$TAP_DIRECTORY/root"
done

# ---- what was issued verifies without us -------------------------------------------
WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cat >>"$PROFILES/recorded.yaml" <<YAML
files: {write: [$WORK]}
YAML
ambit run --profile recorded --name clerk2 --task T-78 -- \
	sh -c "cp -rL \$CREDENTIALS_DIRECTORY/. $WORK/; ls -lan \$CREDENTIALS_DIRECTORY"  >"$TAP_DIRECTORY/ls"
KEYS=$AMBIT_ROOT/var/lib/ambit/keys/authority
ok "the certificate" openssl verify -x509_strict -CAfile "$KEYS/ca.pem" "$WORK/tls.crt"
like "its identity" "$(openssl x509 -in "$WORK/tls.crt" -noout -ext subjectAltName)" \
	"URI:$(field clerk2 spiffe_id)"
cat >"$TAP_DIRECTORY/claims.py" <<'PYTHON'
import json, jwt, sys
token = open(sys.argv[1]).read().strip()
keys = jwt.PyJWKSet.from_dict(json.load(open(sys.argv[2])))
kid = jwt.get_unverified_header(token)["kid"]
key = next(k for k in keys.keys if k.key_id == kid).key
claims = jwt.decode(token, key, algorithms=["ES256"], audience="https://api.example.com")
print(claims["sub"], "T-78" in json.dumps(claims), claims["exp"] - claims["iat"] <= 300)
PYTHON
run python3 "$TAP_DIRECTORY/claims.py" "$WORK/api" "$KEYS/keys.jwks"
is "the token" "$OUT$ERR" "$(field clerk2 spiffe_id) True True"

# ---- a recorder that ended --------------------------------------------------------
# It has not read what it was sent: the end of an agent is told to the next one, which
# knows whose the records in the ring are.
profile plain
profile orphan "credentials: [{name: tls, type: x509-svid, ttl: 1h}]"
mkfifo "$TAP_DIRECTORY/go"
exec 5<>"$TAP_DIRECTORY/go"
id=$(ambit run --profile orphan --detach -- python3 -c '
import socket, sys
sys.stdin.readline()
for port in range(1, 21):
    try:
        socket.socket().connect(("192.0.2.1", port))
    except PermissionError:
        pass' <&5)
agent=$(field "$id" pid)
recorder=$(node_pid ambit-recorder)
kill -STOP "$recorder"
echo >&5
ok "the agent ends while the recorder hears nothing" gone "$agent"
kill -KILL "$recorder"
like "the next one tells of it" "$(audit_wait "$id" "every attempt")" "accounted for"
OUT=$(ambit audit show --agent "$id")
is "what it tried is its own" "$(printf '%s\n' "$OUT" | grep -c "DENIED  connect")" 20
like "how it ended, what it had" "$OUT" "agent ended" "credential ended"
like "and its totals" "$(ambit audit show --json --agent "$id" | tail -n 1)" '"attempts":20,"records":20'
runs "the log is whole" 0 ambit audit verify
runs "its place is free" 0 ambit node settle

# One that waits for its disk: who kills is not kept waiting with it.
id=$(ambit run --profile plain --detach -- sleep 1000)
recorder=$(node_pid ambit-recorder)
kill -STOP "$recorder"
runs "kill answers without the recorder" 0 timeout 10 ambit kill "$id" --reason test
kill -CONT "$recorder"
like "which tells of it later" "$(audit_wait "$id" "every attempt")" "accounted for"
ok "and the place is free" ambit node settle

# One that hears nothing for so long that it is started anew: what it had not read is
# told to the next one, and what nobody could be told is counted.
cat >"$TAP_DIRECTORY/ask.py" <<'PYTHON'
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.86.0.1", 53))
s.settimeout(2)
answered = 0
for number in range(700):
    s.send(struct.pack(">6HB6s", number, 0x100, 1, 0, 0, 0, 6, b"n%05d" % number) +
           b"\x04evil\x00\x00\x01\x00\x01")
    try:
        answered += s.recv(512)[3] & 15 == 3
    except TimeoutError:
        pass
    time.sleep(0.005)
print(answered)
PYTHON
recorder=$(node_pid ambit-recorder)
ambit run --quiet --profile plain --name asker -- python3 -c "$(cat "$TAP_DIRECTORY/ask.py")" \
	>"$TAP_DIRECTORY/answered" </dev/null 2>/dev/null &
asker=$!
sleep 0.5
kill -STOP "$recorder"
ok "a recorder that does not read is ended" gone "$recorder"
wait "$asker"
like "and another is there" "$(audit_wait asker "every attempt")" "accounted for"
recorded=$(ambit audit show --agent asker | grep -c "DENIED  lookup")
uncounted=$(ambit audit show | sed -n 's/.* \([0-9]*\) lookups have no record.*/\1/p')
# It may have been stopped with one in its hands.
missing=$(($(cat "$TAP_DIRECTORY/answered") - recorded - uncounted))
ok "$recorded lookups recorded, $uncounted told as not, $missing missing" \
	[ "${missing#-}" -le 2 ]
runs "and the log is whole" 0 ambit audit verify

# One that ends before it has said that it is ready: what it would have been sent is told
# to the next one, which knows whose it is.
cat >"$TAP_DIRECTORY/young.py" <<'PYTHON'
import os, signal, sys, time
members = sys.argv[1] + "/cgroup.procs"
old = int(open(members).read())
os.kill(old, signal.SIGKILL)
until = time.monotonic() + 10
while time.monotonic() < until:
    for pid in map(int, open(members).read().split()):
        try:
            # The child of the warden that becomes it must not be stopped.
            if pid != old and os.readlink(f"/proc/{pid}/exe").endswith("/ambit-recorder"):
                os.kill(pid, signal.SIGSTOP)
                print(pid)
                sys.exit()
        except OSError:
            pass
PYTHON
id=$(ambit run --profile plain --detach -- sleep 1000)
recorder=$(python3 "$TAP_DIRECTORY/young.py" "$NODE_CGROUP/recorder")
ok "who cuts is not kept waiting" timeout 10 ambit cut "$id" --reason "before it is ready"
kill -KILL "$recorder"
ok "the next one tells of the cut, and whose it is" timeout 20 sh -c \
	'until ambit audit show --agent "$1" | grep "cut off.*before it is ready"; do sleep 0.1; done' sh "$id"
other=$(ambit run --profile plain --detach -- sleep 1000)
recorder=$(python3 "$TAP_DIRECTORY/young.py" "$NODE_CGROUP/recorder")
ok "who kills is not kept waiting" timeout 10 ambit kill "$id" --reason "at a bad time"
runs "with agents, a node is not stopped" 1 timeout 10 ambit node stop
kill -CONT "$recorder"
ok "when the recorder is back, the end is whole" timeout 20 sh -c \
	'until ambit audit show --agent "$1" | grep "every attempt"; do sleep 0.1; done' sh "$id"
OUT=$(ambit audit show --agent "$id")
like "and goes on owing the end of the one that is gone" "$OUT" "at a bad time" "agent ended"
is "told once" "$(printf '%s\n' "$OUT" | grep -c "agent ended")" 1
ambit kill "$other" --reason test
runs "the log is whole after that" 0 ambit audit verify

# A renewal that meets no recorder is put in place when there is one.
instances=/proc/$(node_pid ambitd)/root$AMBIT_ROOT/run/ambit/instances
profile renewed 'credentials: [{name: api, type: jwt-svid, audience: a, ttl: 60m}]'
ok "the node is whole again" timeout 20 sh -c \
	'until ambit run --quiet --profile plain -- /bin/true 2>/dev/null; do sleep 0.1; done'
id=$(ambit run --profile renewed --detach -- sleep 1000)
# in_place: the id of the token that the agent has.
cat >"$TAP_DIRECTORY/in_place.py" <<'PYTHON'
import jwt, sys
print(jwt.decode(open(sys.argv[1]).read().strip(), options={"verify_signature": False})["jti"])
PYTHON
in_place() {
	python3 "$TAP_DIRECTORY/in_place.py" "$instances/$id/credentials/api" 2>&1 | tail -n 1
}
is "the first is in place" "$(in_place)" "$(field "$id" credentials.0.id)"
first=$(field "$id" credentials.0.id)
recorder=$(python3 "$TAP_DIRECTORY/young.py" "$NODE_CGROUP/recorder")
porter=$(node_pid ambit-porter)
kill -KILL "$porter"
ok "another is signed" timeout 20 sh -c \
	'until ambit inspect "$1" --json | grep api | grep -vq "$2"; do sleep 0.1; done' sh "$id" "$first"
second=$(field "$id" credentials.0.id)
is "and not in place without its record" "$(in_place)" "$first"
kill -CONT "$recorder"
for _ in $(seq 100); do
	[ "$(in_place)" = "$first" ] || break
	sleep 0.1
done
is "but with it" "$(in_place)" "$second"
is "which is one" "$(ambit audit show --json --agent "$id" | grep "credential renewed" |
	grep -c "$second")" 1

# The closing record is of the one that lives longest, whatever ends meanwhile.
agent=$(field "$id" pid)
supervisor=$(node_pid ambit-supervise)
warden=$(node_pid ambitd)
kill -STOP "$supervisor"
kill -KILL "$warden"
kill -KILL "$agent"
gone "$agent"
kill -CONT "$supervisor"
ok "the end is recorded" timeout 20 sh -c \
	'until ambit audit show --agent "$1" | grep "every attempt"; do sleep 0.1; done' sh "$id"
like "with the credential that was the last" \
	"$(ambit audit show --json --agent "$id" | grep "credential ended")" "$second"
runs "and the log is whole then" 0 ambit audit verify

# A launch that was recorded ends in the log, too, if the warden ends in the middle of
# it: here its process waits to be bounded.
ambit run --quiet --profile plain -- true
for _ in $(seq 100); do
	ready=$(node_pid ambit-init)
	[ "$(printf '%s\n' "$ready" | wc -l)" -lt 4 ] || break
	sleep 0.1
done
# shellcheck disable=SC2086
kill -STOP $ready
ambit run --profile plain --name begun -- true </dev/null >/dev/null 2>&1 &
begun=$!
ok "a launch is recorded" timeout 20 sh -c \
	'until ambit audit show --agent begun | grep "agent launched"; do sleep 0.1; done'
kill -KILL "$(node_pid ambitd)"
# shellcheck disable=SC2086
kill -CONT $ready
wait "$begun"
ok "and its end" timeout 20 sh -c \
	'until ambit audit show --agent begun | grep "agent ended"; do sleep 0.1; done'
runs "the node is whole again" 0 timeout 20 sh -c \
	'until ambit run --quiet --profile plain -- true; do :; done'
finish

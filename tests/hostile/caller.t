#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who launched an agent is gone: killed, so that nobody could tell the node, or back at
# work after --detach.  The first ends the agent, whatever it ignores; the second leaves it
# no way to the terminal that it was launched from.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain 'run: {grace: 1s}'
mkfifo "$TAP_DIRECTORY/up"

# members AGENT: every process of it.
members() { cat "$NODE_CGROUP/$(field "$1" id)/cgroup.procs"; }

# ---- a caller that is killed ----------------------------------------------------------
# With a child that left its session, group and stdio, as deaf as itself.
DEAF='import os, signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 3)
    while True: signal.pause()
print("u" + "p", flush=True)
while True: signal.pause()'
ambit run --quiet --profile plain --name other -- sleep 600 &
OTHER=$!
ambit run --profile plain --name detached --detach -- sleep 600 >/dev/null

ambit run --quiet --profile plain --name deaf -- python3 -c "$DEAF" >"$TAP_DIRECTORY/up" &
caller=$!
read -r line <"$TAP_DIRECTORY/up"
is "an agent and its child run" "$line $(members deaf | wc -l)" "up 3"
all=$(members deaf)
kill -KILL "$caller"
# shellcheck disable=SC2086
ok "its caller is killed: all of it ends" gone $all
ok "that is why" audit_wait deaf "agent ended: deaf: caller gone (exit 137)"
wait "$caller" 2>/dev/null

# The same at a terminal, which lives on behind the caller.
pty --expect up -- "$(command -v ambit)" run --quiet --profile plain --name typed -- \
	python3 -c "$DEAF" >"$TAP_DIRECTORY/up" &
person=$!
read -r line <"$TAP_DIRECTORY/up"
is "an agent at a terminal, and its child" "$(members typed | wc -l)" 3
all=$(members typed)
pkill -KILL -P "$person"
wait "$person"
is "its caller is killed" "$?" 137
# shellcheck disable=SC2086
ok "all of it ends" gone $all
ok "that is why" audit_wait typed "agent ended: typed: caller gone (exit 137)"

# ---- a supervisor that is killed, then its node: nobody is there to start it anew -------
kept="$(members other) $(members detached)"
supervisor=$(node_pid ambit-supervise) warden=$(node_pid ambitd)
kill -KILL "$supervisor"
gone "$supervisor"
runs "without its supervisor the node goes on" 0 ambit_run plain true
kill -KILL "$warden"
gone "$warden"
# shellcheck disable=SC2086
ok "agents do not end with them" kill -0 $kept
runs "the next caller starts another, which takes its agents over" 0 ambit_run plain true
is "those whose callers live, and the detached" \
	"$(ambit ps | awk '$2 == "other" || $2 == "detached" { print $2 }' | sort | tr '\n' ' ')" \
	"detached other "
kill -KILL "$OTHER"
ok "a caller that came back and is killed" audit_wait other "agent ended: other: caller gone"
wait "$OTHER" 2>/dev/null
like "the detached one is left alone" "$(ambit ps)" detached running
ambit kill detached --reason test >/dev/null
finish

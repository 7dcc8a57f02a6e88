#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Echo servers for tests: echo.py tcp:ADDRESS:PORT udp:[V6]:PORT unix:PATH
abstract:NAME...  Sends back what comes; writes "ready" when all listen.  With
--count FILE each connection and datagram appends one line to FILE: what arrived
is what a bounded agent must not have sent.  With --payload FILE the bytes are
appended too, each piece a line, before they are sent back."""
import os
import selectors
import socket
import sys

select = selectors.DefaultSelector()
count = None
payload = None


def note(text):
    if count:
        os.write(count, (text + "\n").encode())


def keep(data):
    if payload:
        os.write(payload, data.rstrip(b"\0").replace(b"\n", b" ") + b"\n")


def listen(word):
    kind, rest = word.split(":", 1)
    if kind in ("unix", "abstract"):
        family, address = socket.AF_UNIX, rest if kind == "unix" else "\0" + rest
    else:
        host, port = rest.rsplit(":", 1)
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        address = (host.strip("[]"), int(port))
    datagram = kind == "udp"
    s = socket.socket(family, socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == "tcp":
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    s.bind(address)
    if kind == "unix":
        os.chmod(rest, 0o666)
    if not datagram:
        s.listen(128)
    s.setblocking(False)
    select.register(s, selectors.EVENT_READ, (datagram_in if datagram else accept, word))


def accept(s, word):
    try:
        c, _ = s.accept()
    except OSError:
        return
    note(word)
    c.setblocking(False)
    select.register(c, selectors.EVENT_READ, (stream_in, word))


def stream_in(s, _word):
    try:
        data = s.recv(65536)
        if data:
            keep(data)
            s.sendall(data)
            return
    except BlockingIOError:
        return
    except OSError:
        pass
    select.unregister(s)
    s.close()


def datagram_in(s, word):
    data, peer = s.recvfrom(65536)
    note(word)
    keep(data)
    try:
        s.sendto(data, peer)
    except OSError:
        pass


arguments = sys.argv[1:]
if arguments[:1] == ["--count"]:
    count = os.open(arguments[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    arguments = arguments[2:]
if arguments[:1] == ["--payload"]:
    payload = os.open(arguments[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    arguments = arguments[2:]
for argument in arguments:
    listen(argument)
print("ready", flush=True)
while True:
    for key, _ in select.select():
        key.data[0](key.fileobj, key.data[1])

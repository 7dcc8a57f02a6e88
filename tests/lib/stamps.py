#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stamps.py DIRECTORY ADDRESS:PORT...: a TCP and a UDP server at each.

Clients send one letter over and over.  Noted is when each letter came last and how
often; a line in the pipe DIRECTORY/ask has that written to DIRECTORY/answer, in
seconds of the monotonic clock.
"""
import os, selectors, socket, sys, time
directory, last, select = sys.argv[1], {}, selectors.DefaultSelector()
ask = os.fdopen(os.open(directory + "/ask", os.O_RDWR), "rb", 0)
listeners, datagrams = set(), set()
for place in sys.argv[2:]:
    address, port = place.rsplit(":", 1)
    tcp = socket.create_server((address, int(port)))
    tcp.setblocking(False)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, int(port)))
    listeners.add(tcp)
    datagrams.add(udp)
for readable in [ask, *listeners, *datagrams]:
    select.register(readable, 1)
print("ready", flush=True)
while True:
    for key, _ in select.select():
        if key.fileobj in listeners:
            select.register(key.fileobj.accept()[0], 1)
        elif key.fileobj is ask:
            ask.readline()
            with open(directory + "/answer", "w") as out:
                for who, (when, count) in last.items():
                    print(who, when, count, file=out)
        else:
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            for who in {bytes([b]).decode() for b in data if b != 10}:
                last[who] = (time.monotonic(), last.get(who, (0, 0))[1] + 1)
            if not data and key.fileobj not in datagrams:
                select.unregister(key.fileobj)
                key.fileobj.close()

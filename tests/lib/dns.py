# SPDX-License-Identifier: Apache-2.0
"""A resolver that an attacker controls, for tests: what it answers is chosen by the
first label of the name.  Writes what it is asked for to LOG, a line each: name, type,
"tcp" or the port that asks, the name as it was spelled.

    dns.py ADDRESS LOG SERVER OTHER      says "ready" when it listens
"""
import socket
import struct
import sys
import threading

ADDRESS, LOG, SERVER, OTHER = sys.argv[1:5]
FORGED = "198.18.0.251"
COUNT = {}


def encode(name):
    return b"".join(bytes([len(part)]) + part.encode()
                    for part in name.split(".") if part) + b"\0"


def record(name, kind, ttl, data):
    return name + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def a(address, ttl=60):
    return record(b"\xc0\x0c", 1, ttl, socket.inet_aton(address))


def aaaa(address, ttl=60):
    return record(b"\xc0\x0c", 28, ttl, socket.inet_pton(socket.AF_INET6, address))


def cname(owner, target, ttl=60):
    return record(owner, 5, ttl, encode(target))


PRIVATE = {
    "private10": "10.1.2.3", "private172": "172.16.0.1", "private192": "192.168.1.1",
    "shared": "100.64.1.1", "metadata": "169.254.169.254", "loopback": "127.0.0.1",
    "any": "0.0.0.0", "azure": "168.63.129.16", "broadcast": "255.255.255.255",
    "listed": "10.77.0.1",
}
PRIVATE6 = {
    "loopback6": "::1", "mapped6": "::ffff:10.0.0.1", "unique6": "fd00::1",
    "link6": "fe80::1", "nat64": "64:ff9b::a00:1", "metadata6": "fd00:ec2::254",
}


def answers(label, name, kind):
    """The records, the rcode, or the whole message as a function of the header."""
    if label in PRIVATE and kind == 1:
        return [a(PRIVATE[label])], 0
    if label in PRIVATE6 and kind == 28:
        return [aaaa(PRIVATE6[label])], 0
    if label == "own" and kind == 1:
        return [a(OTHER)], 0
    if label == "mixed" and kind == 1:
        return [a("10.0.0.1"), a(SERVER), a("169.254.169.254")], 0
    if label == "moves" and kind == 1:
        COUNT[name] = COUNT.get(name, 0) + 1
        return [a(SERVER if COUNT[name] == 1 else "198.18.0.250", 0)], 0
    if label == "zero" and kind == 1:
        return [a(SERVER, 0)], 0
    if label == "long" and kind == 1:
        return [a(SERVER, 0x7fffffff)], 0
    if label == "negative" and kind == 1:
        return [a(SERVER, 0xffffffff)], 0
    if label == "chain" and kind == 1:
        owner, records = b"\xc0\x0c", []
        for step in range(6):
            records.append(cname(owner, f"step{step}.elsewhere.test"))
            owner = encode(f"step{step}.elsewhere.test")
        return records + [record(owner, 1, 60, socket.inet_aton(SERVER))], 0
    if label == "loop" and kind == 1:
        other = encode("loop2.elsewhere.test")
        return [cname(b"\xc0\x0c", "loop2.elsewhere.test"), cname(other, name)], 0
    if label == "foreign" and kind == 1:
        return [record(encode("other.test"), 1, 60, socket.inet_aton(SERVER))], 0
    if label == "pointer" and kind == 1:
        return [record(b"\xc0\x30", 1, 60, socket.inet_aton(SERVER))] * 2, 0
    if label == "many" and kind == 1:
        return [a(f"198.18.200.{n}") for n in range(200)], 0
    if label == "nowhere":
        return [], 3
    if label == "broken":
        return [], 2
    if kind == 1 and label.startswith(("good", "flipped", "guessed", "late")):
        return [a(SERVER)], 0
    return [], 0


def forgeries(query, question, label):
    """What somebody sends in our name who knows the port and guesses the rest; the
    last guess of four is right."""
    guesses = [1, 2, 3, 0]
    if label == "flipped":
        guesses = [0]
        question = question[:-4].swapcase() + question[-4:]
    return [bytes([query[0], query[1] ^ guess]) + b"\x81\x80\0\1\0\1\0\0\0\0" + question
            + a(FORGED) for guess in guesses]


def answer(query, port=None):
    """What goes back, or a list of it.  No port: asked over TCP."""
    stream = port is None
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    kind, = struct.unpack(">H", query[at + 1:at + 3])
    question = query[12:at + 5]
    name = ".".join(labels).lower()
    with open(LOG, "a") as log:
        log.write(f"{name} {kind} {port or 'tcp'} {'.'.join(labels)}\n")
    label = labels[0].lower()
    if label.startswith("silent"):
        return None
    if label == "late":
        COUNT[name] = COUNT.get(name, 0) + 1
        if COUNT[name] == 1:
            return None
    if label in ("flipped", "guessed") and not stream:
        return forgeries(query, question, label)
    if label == "short":
        return query[:2] + b"\x81\x80\0\1"
    if label == "garbage":
        return query[:2] + b"\x81\x80" + b"\0\1\0\xff\0\0\0\0" + question + b"\xc0" * 400
    if label == "otherid":
        return bytes([query[0] ^ 255, query[1]]) + b"\x81\x80\0\1\0\1\0\0\0\0" + question \
            + a(SERVER)
    if label == "otherquestion":
        other = encode("other.test") + struct.pack(">HH", kind, 1)
        return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + other + a(SERVER)
    if label == "truncated" and not stream:
        return query[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + question
    if label == "truncated" and kind == 1:
        return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question + a(SERVER)
    records, rcode = answers(label, name, kind)
    if label == "many" and not stream:
        return query[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + question
    return query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0) \
        + question + b"".join(records)


def serve_stream(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(5)
            try:
                while True:
                    size = peer.recv(2)
                    if len(size) < 2:
                        break
                    reply = answer(peer.recv(struct.unpack(">H", size)[0]))
                    if reply:
                        peer.sendall(struct.pack(">H", len(reply)) + reply)
            except OSError:
                pass


datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((ADDRESS, 53))
stream = socket.create_server((ADDRESS, 53))
threading.Thread(target=serve_stream, args=(stream,), daemon=True).start()
print("ready", flush=True)
while True:
    query, client = datagrams.recvfrom(4096)
    try:
        reply = answer(query, client[1])
    except IndexError:
        continue
    for one in reply if isinstance(reply, list) else [reply]:
        if one:
            datagrams.sendto(one, client)

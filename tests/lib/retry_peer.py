# SPDX-License-Identifier: Apache-2.0
"""A TCP peer of an attacker's own making: it asks every client for a second hello, in
two segments, the second of which it sends first if told so.

    retry_peer.py ADDRESS LOG straight|swapped

It speaks on eth0 for ADDRESS, port 443, which nobody else has.  Says "ready"; LOG gets a
line for each piece of data, in order: the server name in it, or "other"."""
import socket
import struct
import sys

ADDRESS, LOG, ORDER = sys.argv[1:4]
ME = socket.inet_aton(ADDRESS)
FIRST = 1000	# our sequence number
RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SYN, RST, ACK, PUSH = 2, 4, 16, 8


def retry_request():
    """HelloRetryRequest (RFC 8446, 4.1.4), then a ChangeCipherSpec."""
    extensions = b"\0\x2b\0\2\3\4" + b"\0\x33\0\2\0\x17"
    body = b"\3\3" + RANDOM + b"\x20" + bytes(32) + b"\x13\1\0" + \
        struct.pack(">H", len(extensions)) + extensions
    message = b"\2" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\3" + struct.pack(">H", len(message)) + message + b"\x14\3\3\0\1\1"


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return ~total & 0xffff


class Peer:
    """What one frame came from; answers go there."""

    def __init__(self, raw, frame):
        self.raw, self.frame = raw, frame
        self.address = frame[26:30]
        tcp = frame[14 + (frame[14] & 15) * 4:14 + struct.unpack(">H", frame[16:18])[0]]
        self.port, self.to, self.sequence = struct.unpack(">HHI", tcp[:8])
        self.flags, self.data = tcp[13], tcp[(tcp[12] >> 4) * 4:]

    def send(self, sequence, acknowledged, flags, data=b""):
        tcp = struct.pack(">HHIIBBHHH", 443, self.port, sequence, acknowledged & 0xffffffff,
                          0x50, flags, 65000, 0, 0) + data
        pseudo = ME + self.address + struct.pack(">BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, ME,
                         self.address)
        ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
        self.raw.send(self.frame[6:12] + self.frame[:6] + b"\x08\0" + ip + tcp)

    def ask_again(self, acknowledged):
        flight = retry_request()
        pieces = [(FIRST + 1, flight[:40]), (FIRST + 41, flight[40:])]
        for sequence, piece in reversed(pieces) if ORDER == "swapped" else pieces:
            self.send(sequence, acknowledged, ACK | PUSH, piece)


def main():
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    raw.bind(("eth0", 0))
    print("ready", flush=True)
    expected, asked = {}, set()
    while True:
        frame = raw.recv(70000)
        if frame[30:34] != ME or frame[23] != 6:
            continue
        peer = Peer(raw, frame)
        if peer.to != 443 or peer.flags & RST:
            continue
        if peer.flags & SYN:
            asked.discard(peer.port)
            expected[peer.port] = peer.sequence + 1
            peer.sequence += 1
            peer.send(FIRST, peer.sequence + len(peer.data), SYN | ACK)
        if not peer.data or expected.get(peer.port) != peer.sequence:
            continue
        expected[peer.port] = after = peer.sequence + len(peer.data)
        names = [name for name in (b"one.blob.test", b"evil.test") if name in peer.data]
        with open(LOG, "a", encoding="ascii") as log:
            log.write((names[0].decode() if names else "other") + "\n")
        if peer.port not in asked:
            asked.add(peer.port)
            peer.ask_again(after)
        else:	# no more to say
            peer.send(FIRST + 1 + len(retry_request()), after, ACK)


main()

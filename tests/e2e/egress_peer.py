"""The other end of the network of test_egress.py, in a namespace of its own.

Every TCP port greets and says by which address it was reached, every UDP port answers with what it
got. Commands come on stdin, one a line: "wire" prints what has come over the wire so far, as JSON.
"""
import ctypes
import json
import select
import socket
import struct
import sys
import threading

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
TCP_PORTS = (22, 443, 444, 8000, 8001, 8002)
UDP_PORTS = (53, 443, 5353)


def unshare(namespaces):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(namespaces) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def greet(listener):
    while True:
        conn, _ = listener.accept()
        with conn:
            try:
                conn.sendall(b"reached %s\n" % conn.getsockname()[0].encode())
            except OSError:
                pass


def answer(sock):
    while True:
        data, sender = sock.recvfrom(65536)
        try:
            sock.sendto(data, sender)
        except OSError:
            pass


def name_answer(data):
    """Any name is 192.0.2.2 (RFC 1035), of type A; other types have no answer."""
    question = data[12:data.index(b"\0", 12) + 5]
    is_a = question[-4:-2] == b"\0\1"
    head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_a), 0, 0)
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + bytes([192, 0, 2, 2])
    return head + question + (record if is_a else b"")


def resolve(sock):
    while True:
        data, sender = sock.recvfrom(65536)
        try:
            sock.sendto(name_answer(data) if len(data) > 16 else data, sender)
        except (OSError, ValueError):
            pass


def start(function, *args):
    threading.Thread(target=function, args=args, daemon=True).start()


def serve(families=(socket.AF_INET, socket.AF_INET6), host=None):
    for family in families:
        for port in TCP_PORTS:
            start(greet, socket.create_server((host or "", port), family=family, backlog=64))
        for port in UDP_PORTS:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host or "", port))
            start(resolve if port == 53 else answer, sock)


def describe(frame):
    """[protocol, destination, port, kind] of a packet; the port is None where there is none."""
    if frame[12:14] == b"\x08\x00":
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        fragment = struct.unpack(">H", packet[6:8])[0] & 0x1fff
        protocol, to = packet[9], socket.inet_ntop(socket.AF_INET, packet[16:20])
        plain = header == 20
        if fragment:
            return [protocol, to, None, "fragment"]
    elif frame[12:14] == b"\x86\xdd":
        packet, header = frame[14:], 40
        protocol, to = packet[6], socket.inet_ntop(socket.AF_INET6, packet[24:40])
        plain = True
    else:
        return None
    port = None
    if protocol in (6, 17):
        port = struct.unpack(">H", packet[header + 2:header + 4])[0]
    return [protocol, to, port, "plain" if plain else "options"]


def sniff(sniffer, seen):
    """Adds what has come in and is new."""
    while True:
        try:
            frame, sender = sniffer.recvfrom(65536)
        except BlockingIOError:
            return
        what = describe(frame) if sender[2] != socket.PACKET_OUTGOING else None
        if what is not None and what not in seen:
            seen.append(what)


def main():
    unshare(CLONE_NEWNET)
    print("away", flush=True)
    sys.stdin.readline()  # the interface is here and has its addresses
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sniffer.bind((sys.argv[1], 0))
    sniffer.setblocking(False)
    serve()
    seen = []
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sniffer, sys.stdin], [], [])
        sniff(sniffer, seen)
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()

"""A small SSH client for the protocol fuzzer. paramiko brings the connection up and keeps the keys;
from then on each message is the caller's, whatever it is, and every answer is kept here."""
import logging
import queue
import socket
import struct
import time
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)

CHANNEL_OPEN, OPEN_CONFIRMED, OPEN_FAILED = 90, 91, 92
WINDOW_ADJUST, DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST = 93, 94, 95, 96, 97, 98
GLOBAL_REQUEST = 80


def u32(number):
    return struct.pack(">I", number & 0xffffffff)


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return u32(len(value)) + value


class Gone(Exception):
    """The server has closed the connection, or never answered."""


class Raw(paramiko.Message):
    """A payload as it is."""

    def __init__(self, payload):
        super().__init__()
        self.packet.write(payload)


class Wire:
    """A connection that is logged in. What the server says is in `heard`; None is its end."""

    def __init__(self, port, source, user, key, timeout):
        self.timeout = timeout
        self.heard = queue.Queue()
        self.taken = False
        self.sock = socket.create_connection(("127.0.0.1", port), timeout, (source, 0))
        self.transport = None
        try:
            self.transport = paramiko.Transport(self.sock)
            self.transport.banner_timeout = self.transport.auth_timeout = timeout
            self.listen()
            self.transport.start_client(timeout=timeout)
            self.transport.auth_publickey(user, key)
        except (paramiko.SSHException, EOFError, OSError) as problem:
            self.close()
            raise Gone(str(problem)) from None
        self.taken = True

    def listen(self):
        """Key exchanges stay paramiko's; what comes after authentication is ours."""
        read = self.transport.packetizer.read_message

        def read_message():
            while True:
                try:
                    kind, message = read()
                except BaseException:
                    self.heard.put(None)
                    raise
                if not self.taken or kind < 50:
                    return kind, message
                self.heard.put((kind, message.get_remainder()))
        self.transport.packetizer.read_message = read_message

    def send(self, payload):
        try:
            self.transport.packetizer.send_message(Raw(payload or b"\0"))
        except (EOFError, OSError, KeyError, ValueError, struct.error) as problem:
            raise Gone(str(problem)) from None

    def send_raw(self, data):
        """Bytes that no cipher has seen."""
        try:
            self.sock.sendall(data)
        except OSError as problem:
            raise Gone(str(problem)) from None

    def hear(self):
        """paramiko ends its thread by itself after a DISCONNECT."""
        until = time.monotonic() + self.timeout
        while True:
            try:
                found = self.heard.get(timeout=0.1)
            except queue.Empty:
                if not self.transport.is_active():
                    raise Gone("closed") from None
                if time.monotonic() > until:
                    raise TimeoutError("the server neither answers nor hangs up") from None
                continue
            if found is None:
                self.heard.put(None)
                raise Gone("closed")
            return found

    def wait_for(self, *kinds):
        while True:
            kind, body = self.hear()
            if kind in kinds:
                return kind, body

    def open(self, kind="session", window=1 << 20, packet=32768, mine=0, rest=b""):
        self.send(bytes([CHANNEL_OPEN]) + text(kind) + u32(mine) + u32(window) + u32(packet)
                  + rest)

    def opened(self):
        """The server's number of the channel that was asked for; None if it refused."""
        kind, body = self.wait_for(OPEN_CONFIRMED, OPEN_FAILED)
        return struct.unpack(">I", body[4:8])[0] if kind == OPEN_CONFIRMED else None

    def request(self, channel, name, body=b"", want_reply=True):
        self.send(bytes([REQUEST]) + u32(channel) + text(name) + bytes([want_reply]) + body)

    def is_alive(self):
        """False if it has hung up; TimeoutError if it does neither that nor answer."""
        try:
            self.send(bytes([GLOBAL_REQUEST]) + text("keepalive@openssh.com") + b"\1")
            self.wait_for(81, 82)
            return True
        except Gone:
            return False

    def close(self):
        if self.transport is not None:
            self.transport.close()
        self.sock.close()

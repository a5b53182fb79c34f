"""What test_interop.py asks of every client, said by paramiko."""
import sys

import paramiko

port, user, key = sys.argv[1:]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.WarningPolicy())
client.connect("127.0.0.1", int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)

_, out, err = client.exec_command("echo out; echo err >&2; exit 7")
print("exec", out.read().decode().strip(), err.read().decode().strip(), out.channel.recv_exit_status())

given, out, _ = client.exec_command("sha256sum")
given.write(b"x" * (1 << 20))
given.channel.shutdown_write()
print("stdin", out.read().decode()[:64], out.channel.recv_exit_status())

running = [client.exec_command(f"cat; exit {n}") for n in range(5)]
line = "channels"
for n in range(4, -1, -1):
    given, out, _ = running[n]
    given.write(b"n%d" % n)
    given.channel.shutdown_write()
    line += f" {out.read().decode()}={out.channel.recv_exit_status()}"
print(line)

transport = client.get_transport()
try:
    transport.request_port_forward("127.0.0.1", 0)
    sys.exit("not refused")
except paramiko.SSHException:
    pass
try:
    transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
    sys.exit("not refused")
except paramiko.ChannelException:
    pass
_, out, _ = client.exec_command("echo alive")
print("refused,", out.read().decode().strip())
client.close()

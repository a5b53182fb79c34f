"""What test_interop.py asks of every client, said by asyncssh."""
import asyncio
import sys

import asyncssh


async def main(port, user, key):
    async with asyncssh.connect("127.0.0.1", int(port), username=user, client_keys=[key], config=None,
                                known_hosts=None, agent_path=None) as conn:
        done = await conn.run("echo out; echo err >&2; exit 7")
        print("exec", done.stdout.strip(), done.stderr.strip(), done.exit_status)
        done = await conn.run("sha256sum", input="x" * (1 << 20))
        print("stdin", done.stdout[:64], done.exit_status)
        running = [await conn.create_process(f"cat; exit {n}") for n in range(5)]
        line = "channels"
        for n in range(4, -1, -1):
            out, _ = await running[n].communicate(f"n{n}")
            line += f" {out}={running[n].exit_status}"
        print(line)
        for ask in (lambda: conn.open_connection("127.0.0.1", 22),
                    lambda: conn.forward_remote_port("", 0, "127.0.0.1", 22)):
            try:
                await ask()
                sys.exit("not refused")
            except (asyncssh.ChannelOpenError, asyncssh.ChannelListenError):
                pass
        print("refused,", (await conn.run("echo alive")).stdout.strip())


asyncio.run(main(*sys.argv[1:]))

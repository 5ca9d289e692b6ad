"""A server of known capacity, as a process: `python queueing.py WORKERS SERVICE_S` prints its port.

First come, first served by so many workers, each of which takes a fixed time (M/D/c where arrivals
are Poisson): its capacity is workers / service time. Workers are the times at which they will be
free, not tasks, so that the server's own scheduling takes nothing from its capacity. It ends when
its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

REPLY = b'{"r": "ok"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(REPLY),
    REPLY,
)


async def main(workers: int, service_s: float) -> None:
    loop = asyncio.get_running_loop()
    free_at = [0.0] * workers

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                now = loop.time()
                first = min(range(workers), key=free_at.__getitem__)
                free_at[first] = max(now, free_at[first]) + service_s
                await asyncio.sleep(free_at[first] - now)
                writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))

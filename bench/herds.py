#!/usr/bin/env python3
"""What many viewers at once, and an origin that falls silent, do to headland. See README.md."""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS_MAX = 60
BODY = b"x" * 10_000


@dataclass
class Origin:
    """An origin that counts, takes its time, and can fall silent."""

    cache_control: str = "max-age=1"
    delay: float = 0.1
    silent: bool = False
    requests: int = 0
    port: int = 0
    server: asyncio.Server | None = field(default=None, repr=False)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, HOST, 0, backlog=4096)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                if self.silent:
                    await asyncio.sleep(3600)
                await asyncio.sleep(self.delay)
                writer.write(self.answer(head))
                await writer.drain()
        writer.close()

    def answer(self, head: bytes) -> bytes:
        fields = f"etag: \"e\"\r\ncache-control: {self.cache_control}\r\n".encode()
        if b"\r\nif-none-match:" in head.lower():
            return b"HTTP/1.1 304 Not Modified\r\n" + fields + b"\r\n"
        length = f"content-length: {len(BODY)}\r\n".encode()
        return b"HTTP/1.1 200 OK\r\n" + fields + length + b"\r\n" + BODY


@dataclass
class Answer:
    """What one viewer got, and after how long."""

    status: int
    cache_status: str
    seconds: float


class Viewer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Viewer":
        return cls(*await asyncio.open_connection(HOST, port))

    async def get(self, path: str) -> Answer:
        began = time.perf_counter()
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        await self.reader.readexactly(int(length[1]) if length else 0)
        said = re.search(r"\r\ncache-status: ([^\r]*)", head, re.IGNORECASE)
        return Answer(int(head.split(" ", 2)[1]), said[1] if said else "", time.perf_counter() - began)

    def close(self) -> None:
        self.writer.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def headland(program: Path, origin: Origin, semantics: str) -> AsyncIterator[int]:
    """`headland dev` before this origin; yields the port for viewers."""
    port, api = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        program, "dev", "--origin", f"http://{HOST}:{origin.port}", "--semantics", semantics,
        "--http", f"{HOST}:{port}", "--api", f"{HOST}:{api}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdout
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while not (await process.stdout.readline()).startswith(b"ready"):
                pass
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def told(answers: list[Answer]) -> str:
    times = sorted(a.seconds for a in answers)
    wrong = sum(a.status != 200 for a in answers)
    return (f"{len(answers)} answers, {wrong} not 200; median {statistics.median(times) * 1000:.0f} ms, "
            f"slowest {times[-1] * 1000:.0f} ms")


async def herd(port: int, viewers: int, path: str) -> list[Answer]:
    """That many viewers, connected already, ask at the same moment."""
    connected = [await Viewer.connect(port) for _ in range(viewers)]
    answers = await asyncio.gather(*(viewer.get(path) for viewer in connected))
    for viewer in connected:
        viewer.close()
    return list(answers)


async def herds(program: Path, viewers: int) -> None:
    origin = Origin()
    await origin.start()
    async with headland(program, origin, "rfc9111") as port:
        for what, path in (("absent", "/absent"), ("expired", "/expired")):
            if what == "expired":
                one = await Viewer.connect(port)
                await one.get(path)
                one.close()
                await asyncio.sleep(1.5)
            before = origin.requests
            answers = await herd(port, viewers, path)
            print(f"{what} object, origin answers after {origin.delay * 1000:.0f} ms: "
                  f"{origin.requests - before} origin request(s); {told(answers)}")


async def outage(program: Path, semantics: str, cache_control: str, objects: int, seconds: float) -> None:
    origin = Origin(cache_control=cache_control, delay=0)
    await origin.start()
    async with headland(program, origin, semantics) as port:
        first = await Viewer.connect(port)
        for n in range(objects):
            await first.get(f"/{n}")
        first.close()
        # Long enough to expire, not to be dropped. An object without an end of its own is made to expire by the header above.
        await asyncio.sleep(1.5)
        origin.silent, before = True, origin.requests
        end = time.perf_counter() + seconds

        async def viewer(start: int) -> list[Answer]:
            connection, answers = await Viewer.connect(port), []
            n = start
            while time.perf_counter() < end:
                answers.append(await connection.get(f"/{n % objects}"))
                n += 7
                await asyncio.sleep(0.02)
            connection.close()
            return answers

        answers = [a for some in await asyncio.gather(*(viewer(i) for i in range(50))) for a in some]
        waited = {limit: sum(a.seconds >= limit for a in answers) for limit in (0.5, 1.9, 29)}
        print(f"origin silent for {seconds:.0f} s, {semantics}, \"{cache_control}\", {objects} expired objects, 50 viewers: "
              f"{told(answers)}; waited for the time-out of 30 s: {waited[29]}, for 1.9 s or more: {waited[1.9]}, "
              f"for 0.5 s or more: {waited[0.5]}; {origin.requests - before} origin requests")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headland", type=Path, default=ROOT / "target/release/headland")
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--outage-seconds", type=float, default=30)
    args = parser.parse_args()
    await herds(args.headland, args.viewers)
    for semantics, cache_control in (
        ("rfc9111", "max-age=1, stale-if-error=600"),
        ("cloudfront", "max-age=1, stale-if-error=600"),
    ):
        await outage(args.headland, semantics, cache_control, 100, args.outage_seconds)


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("needs Python 3.11 or later")
    os.environ.setdefault("HEADLAND_LOG", "error")
    asyncio.run(main())

#!/usr/bin/env python3
"""Kills headland under load, again and again, and compares every byte that it serves with the origin's. See README.md."""

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
REQUEST_SECONDS_MAX = 30
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
PIECE_BYTES = 64 << 10
WRONG_SHOWN_MAX = 20


class Objects:
    """What the origin has: each object is a stretch of one pool of random bytes, so that any mix-up is seen and none takes memory."""

    def __init__(self, count: int, sizes: tuple[int, int], chance: random.Random) -> None:
        least, most = sizes
        # As many between 1 and 2 kB as between 512 kB and 1 MB.
        self.sizes = [round(least * (most / least) ** chance.random()) for _ in range(count)]
        self.pool = memoryview(chance.randbytes(2 * most + 1))
        self.starts = [chance.randrange(most + 1) for _ in range(count)]
        self.hashes: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def footprint(self) -> int:
        return sum(self.sizes)

    def content(self, number: int) -> memoryview:
        return self.pool[self.starts[number]:][:self.sizes[number]]

    def hash(self, number: int) -> bytes:
        if number not in self.hashes:
            self.hashes[number] = hashlib.sha256(self.content(number)).digest()
        return self.hashes[number]


@dataclass
class Origin:
    """An origin that sends them, and counts."""

    objects: Objects
    requests: int = 0
    port: int = 0
    server: asyncio.Server | None = field(default=None, repr=False)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, HOST, 0, backlog=1024)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                asked = re.match(rb"GET /(\d+) ", head)
                content = self.objects.content(int(asked[1])) if asked else b"what?"
                length, status = len(content), b"200 OK" if asked else b"404 Not Found"
                fields = b"cache-control: max-age=86400\r\n"
                if asked:
                    # So that what is large is kept, and fetched again, in blocks.
                    fields += b'etag: "%s"\r\n' % asked[1]
                if asked and (wanted := re.search(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", head, re.IGNORECASE)):
                    first, last = int(wanted[1]), min(int(wanted[2] or length), length - 1)
                    status, content = b"206 Partial Content", content[first:last + 1]
                    fields += b"content-range: bytes %d-%d/%d\r\n" % (first, last, length)
                writer.write(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n" % (status, fields, len(content)))
                for at in range(0, len(content), PIECE_BYTES):
                    writer.write(content[at:at + PIECE_BYTES])
                    await writer.drain()
        writer.close()


@dataclass
class Totals:
    """What came of it all."""

    requests: int = 0
    bytes_compared: int = 0
    wrong: list[str] = field(default_factory=list)
    wrong_bytes: int = 0
    cut_off: int = 0
    failed: list[str] = field(default_factory=list)
    hits: int = 0
    hits_before_kill: list[float] = field(default_factory=list)
    hits_after_start: list[float] = field(default_factory=list)
    start_seconds: list[float] = field(default_factory=list)


class Viewer:
    """One connection, which compares what it gets."""

    def __init__(self, port: int, objects: Objects, totals: Totals) -> None:
        self.port, self.objects, self.totals = port, objects, totals
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def get(self, number: int) -> bool:
        """Whether it was a hit. OSError or EOFError if there is no whole answer, ValueError if it is not a 200."""
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection(HOST, self.port)
        assert self.reader
        try:
            self.writer.write(b"GET /%d HTTP/1.1\r\nhost: %s\r\n\r\n" % (number, HOST.encode()))
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split(" ", 2)[1])
            length = re.search(r"\r\ncontent-length: (\d+)\r", head, re.IGNORECASE)
            if status != 200 or not length:
                raise ValueError(f"/{number}: {head.splitlines()[0]}")
            await self.compare(number, int(length[1]))
        except BaseException:
            self.close()
            raise
        said = re.search(r"\r\ncache-status: [^\r]*; *hit", head, re.IGNORECASE)
        self.totals.requests += 1
        self.totals.hits += bool(said)
        return bool(said)

    async def compare(self, number: int, length: int) -> None:
        """Reads a body. What comes before a break must be right as well."""
        assert self.reader
        expected, digest, got = self.objects.content(number), hashlib.sha256(), 0
        try:
            while got < length:
                piece = await self.reader.read(min(PIECE_BYTES, length - got))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", length - got)
                digest.update(piece)
                if piece != expected[got:got + len(piece)]:
                    self.differs(number, got, piece, expected[got:got + len(piece)])
                got += len(piece)
        finally:
            self.totals.bytes_compared += got
        # A body that ends too soon is right as far as it goes.
        if digest.digest() != self.objects.hash(number):
            self.totals.wrong_bytes += max(0, len(expected) - length)
            self.totals.wrong.append(f"/{number}: the hash of all {length} bytes is another, {len(expected)} bytes are expected")

    def differs(self, number: int, at: int, piece: bytes, expected: memoryview) -> None:
        count = sum(a != b for a, b in zip(piece, expected)) + max(0, len(piece) - len(expected))
        self.totals.wrong_bytes += count
        self.totals.wrong.append(f"/{number}: {count} of {len(piece)} bytes from {at} on are wrong")

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None


class Edge:
    """`headland dev` on one folder, started and killed at will."""

    def __init__(self, program: Path, origin: Origin, folder: Path, disk_bytes: int) -> None:
        self.port, api = free_port(), free_port()
        self.command = [program, "dev", "--origin", f"http://{HOST}:{origin.port}", "--data-dir", folder / "data"]
        self.command += ["--cache-disk", str(disk_bytes), "--http", f"{HOST}:{self.port}", "--api", f"{HOST}:{api}"]
        self.log = folder / "headland.log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*self.command, stdout=asyncio.subprocess.DEVNULL, stderr=log)

    def check(self) -> None:
        """An edge that ends by itself is a failure of its own."""
        assert self.process
        if self.process.returncode is not None:
            raise SystemExit(f"headland ended with status {self.process.returncode}:\n{self.log.read_text()[-2000:]}")

    async def end(self, by: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(by)
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS_MAX)


def free_port() -> int:
    """A port that the system gives nobody who asks for any: between a kill and the next start it has to stay free."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


@dataclass
class Soak:
    """One run."""

    options: argparse.Namespace
    objects: Objects
    edge: Edge
    chance: random.Random
    totals: Totals = field(default_factory=Totals)
    known: dict[int, None] = field(default_factory=dict)
    is_up: bool = False

    def choose(self) -> int:
        """Some are asked for far more often than others, as it is."""
        return int(len(self.objects) * self.chance.random() ** 3)

    def viewer(self) -> Viewer:
        return Viewer(self.edge.port, self.objects, self.totals)

    async def start(self) -> None:
        """Starts the edge, and waits for the first 200."""
        began = time.perf_counter()
        await self.edge.start()
        viewer = self.viewer()
        while True:
            self.edge.check()
            if time.perf_counter() - began > START_SECONDS_MAX:
                raise SystemExit(f"no 200 within {START_SECONDS_MAX} s of a start")
            # Until the distribution has come, an edge that listens answers with an error page.
            with contextlib.suppress(OSError, EOFError, ValueError):
                await viewer.get(0)
                break
            await asyncio.sleep(0.005)
        self.totals.start_seconds.append(time.perf_counter() - began)
        viewer.close()
        self.known[0] = None
        self.is_up = True

    async def ask_for_known(self) -> None:
        """What was served before the kill: how much of it is still there?"""
        viewer, numbers = self.viewer(), list(self.known)
        # What was asked for last was written last, and is what a kill may cost.
        chosen = numbers[-self.options.sample:]
        hits = [hit for number in chosen if (hit := await self.one(viewer, number)) is not None]
        self.totals.hits_after_start.append(statistics.fmean(hits))
        viewer.close()

    async def one(self, viewer: Viewer, number: int) -> bool | None:
        """Whether it was a hit; None if there was no answer."""
        try:
            hit = await asyncio.wait_for(viewer.get(number), REQUEST_SECONDS_MAX)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            if self.is_up:
                self.totals.failed.append(f"/{number}: {error!r}")
            else:
                self.totals.cut_off += 1
            return None
        self.known.pop(number, None)
        self.known[number] = None
        return hit

    async def load(self, counts: list[bool]) -> None:
        viewer = self.viewer()
        while self.is_up:
            hit = await self.one(viewer, self.choose())
            if hit is not None:
                counts.append(hit)
        viewer.close()

    async def life(self) -> None:
        """From a start to a kill."""
        await self.start()
        if len(self.known) > 1:
            await self.ask_for_known()
        counts: list[bool] = []
        load = [asyncio.create_task(self.load(counts)) for _ in range(self.options.connections)]
        least, most = self.options.seconds
        await asyncio.sleep(self.chance.uniform(least, most))
        self.edge.check()
        self.is_up = False
        await self.edge.end(signal.SIGKILL)
        await asyncio.gather(*load)
        if counts:
            self.totals.hits_before_kill.append(statistics.fmean(counts))

    async def run(self) -> None:
        began = time.monotonic()
        for kill in range(self.options.kills):
            await self.life()
            if (kill + 1) % 10 == 0:
                print(f"{kill + 1} kills after {time.monotonic() - began:.0f} s, {self.totals.requests} requests, "
                      f"{len(self.totals.wrong)} wrong", file=sys.stderr)
        # Everything once, after the last kill and then after a clean stop.
        for _ in range(2):
            await self.start()
            viewer = self.viewer()
            for number in range(len(self.objects)):
                await self.one(viewer, number)
            viewer.close()
            self.is_up = False
            if status := await self.edge.end(signal.SIGTERM):
                self.totals.failed.append(f"a stop ended with status {status}")


def spread(values: list[float], unit: float, digits: int = 0) -> str:
    if not values:
        return "–"
    values = [value * unit for value in values]
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def print_table(options: argparse.Namespace, objects: Objects, totals: Totals) -> None:
    rows = [
        ("kills", f"{options.kills}"),
        ("objects, bytes together", f"{len(objects)}, {objects.footprint / 1e6:.0f} MB"),
        ("disk cache", f"{options.disk / 1e6:.0f} MB"),
        ("requests answered", f"{totals.requests}"),
        ("bytes compared", f"{totals.bytes_compared}"),
        ("wrong bytes", f"{totals.wrong_bytes}"),
        ("findings about wrong bytes", f"{len(totals.wrong)}"),
        ("failed while the edge was up", f"{len(totals.failed)}"),
        ("cut off by a kill", f"{totals.cut_off}"),
        ("hits under load, %: median of all lives (least–most)", spread(totals.hits_before_kill, 100, 1)),
        (f"hits among the last {options.sample} known right after a kill, %", spread(totals.hits_after_start, 100, 1)),
        ("start to first 200, ms", spread(totals.start_seconds, 1000)),
    ]
    print("| what | figure |\n|---|---:|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def parse_bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([kmg]?)", text)
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 100k, 1m or 2g")
    return int(match[1]) * UNITS[match[2]]


def parse_pair(parse: type | object):
    def pair(text: str) -> tuple:
        least, _, most = text.partition("-")
        values = parse(least), parse(most or least)
        if values[0] > values[1]:
            raise argparse.ArgumentTypeError(f"{text!r}: the first is the least")
        return values

    return pair


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headland", type=Path, help="the command to run [default: the release build]")
    parser.add_argument("--kills", type=int, default=100, help="how often it is killed [default: 100]")
    parser.add_argument("--objects", type=int, default=4000, help="how many the origin has [default: 4000]")
    parser.add_argument("--sizes", type=parse_pair(parse_bytes), default=(1 << 10, 1 << 20), metavar="LEAST-MOST",
                        help="their sizes, spread evenly over the powers of two between [default: 1k-1m]")
    parser.add_argument("--disk", type=parse_bytes, default=256 << 20, metavar="SIZE",
                        help="size of the disk cache; less than all objects, so that room has to be made [default: 256m]")
    parser.add_argument("--connections", type=int, default=16, help="viewers at a time [default: 16]")
    parser.add_argument("--seconds", type=parse_pair(float), default=(0.1, 2.0), metavar="LEAST-MOST",
                        help="load before each kill [default: 0.1-2]")
    parser.add_argument("--sample", type=int, default=200, help="requests right after a start for what was served before [default: 200]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of all that is random")
    parser.add_argument("--folder", type=Path, help="where to keep the cache meanwhile [default: a temporary folder]")
    return parser.parse_args()


def find_headland(asked: Path | None) -> Path:
    if asked is None:
        target = subprocess.run([ROOT / "scripts/target-dir.sh"], check=True, capture_output=True, text=True).stdout.strip()
        asked = Path(target) / "release/headland"
    if not asked.is_file():
        raise SystemExit(f"{asked} is not there; build it with: cargo build --release --package headland")
    return asked.resolve()


async def main() -> int:
    options = parse_options()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    chance = random.Random(options.seed)
    objects = Objects(options.objects, options.sizes, chance)
    origin = Origin(objects)
    await origin.start()
    with tempfile.TemporaryDirectory(prefix="headland-restart-", dir=options.folder) as folder:
        edge = Edge(find_headland(options.headland), origin, Path(folder), options.disk)
        soak = Soak(options, objects, edge, chance)
        print(f"seed {options.seed}", file=sys.stderr)
        try:
            await soak.run()
        finally:
            if edge.process and edge.process.returncode is None:
                await edge.end(signal.SIGKILL)
    print_table(options, objects, soak.totals)
    for trouble in (*soak.totals.wrong[:WRONG_SHOWN_MAX], *soak.totals.failed[:WRONG_SHOWN_MAX]):
        print(trouble, file=sys.stderr)
    return 1 if soak.totals.wrong or soak.totals.failed else 0


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("needs Python 3.11 or later")
    os.environ.setdefault("HEADLAND_LOG", "error")
    sys.exit(asyncio.run(main()))

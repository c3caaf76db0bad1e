#!/usr/bin/env python3
"""Cache hits or misses of headland beside nginx, HAProxy, Varnish and Traffic Server, on one machine. See README.md."""

import argparse
import contextlib
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
SERVER_CPU, LOAD_CPU = 0, 1
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10
CACHE_MIB = 512
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
UNITS = {"k": 1024, "m": 1024 * 1024}
# Of the requests of a round of misses, so many must have reached the origin; some are still under way when it ends.
MISSES_MIN = 0.99
# What wrk asks for in a round of misses, never the same twice; or of hits on disk, so many names in turn.
IN_TURN = """
local prefix, n, names
function init(arguments) prefix, n, names = arguments[1], 0, tonumber(arguments[2]) end
function request() n = (names and n % names or n) + 1 return wrk.format("GET", prefix .. n) end
"""
# Bytes of the objects that are asked for in turn when they are to come from disk, and of memory for those who would keep them there.
DISK_MIB, DISK_MEMORY_MIB = 256, 16
# Servers that have a disk cache; the least share of requests that it must answer.
ON_DISK = ("nginx", "trafficserver")
DISK_HITS_MIN = 0.99


@dataclass(frozen=True)
class Object:
    """A file at the origin, and what a viewer must get."""

    name: str
    content: bytes

    def unique(self, tag: str) -> str:
        """Where the origin has the same content under as many names as are asked for."""
        return f"unique/{self.name}/{tag}"


@dataclass
class Server:
    """A cache under test, running."""

    name: str
    port: int
    process: subprocess.Popen[bytes]


@dataclass
class Sample:
    """One round of one server."""

    cpu_us: float
    rate: float
    p99_us: float


@dataclass
class Bench:
    """What every server is started with."""

    folder: Path
    on_disk: bool = False
    origin_port: int = 0
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """A fresh folder."""
        path = self.folder / name
        path.mkdir()
        return path

    def start(self, name: str, command: list[str | Path], cpu: int = SERVER_CPU, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a program on one processor, with its output in a file."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(cpu), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def stop(self) -> None:
        """Stops all that was started, the last first."""
        for process in reversed(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def nginx_head(folder: Path) -> str:
    # Workers that change to another user could not read a folder that is this user's only.
    user = "user root;" if os.geteuid() == 0 else ""
    temp = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
        events {{ worker_connections 4096; }}
        http {{ access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; {temp}"""


def start_origin(bench: Bench, objects: list[Object]) -> None:
    folder = bench.path("origin")
    for item in objects:
        (folder / item.name).write_bytes(item.content)
    bench.origin_port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"""{nginx_head(folder)}
        server {{ listen {HOST}:{bench.origin_port}; root {folder}; add_header Cache-Control "public, max-age=86400";
        rewrite ^/unique/([^/]+)/ /$1 break; location = /count {{ stub_status; }} }} }}"""
    )
    process = bench.start("origin", ["nginx", "-c", config], cpu=LOAD_CPU)
    wait_for(Server("origin", bench.origin_port, process), objects[0])


def headland(bench: Bench, name: str, build: Path) -> Server:
    """The whole network in one process: what the control plane costs is counted too."""
    port, data = free_port(), bench.path(name)
    command = [build, "dev", "--origin", f"http://{HOST}:{bench.origin_port}", "--data-dir", data, "--cache-memory"]
    command += [f"{DISK_MEMORY_MIB}MiB", "--cache-disk", "1GiB"] if bench.on_disk else [f"{CACHE_MIB}MiB"]
    command += ["--http", f"{HOST}:{port}", "--api", f"{HOST}:{free_port()}"]
    return Server(name, port, bench.start(name, command))


def nginx(bench: Bench) -> Server:
    """Its disk cache, on a file system in memory where there is one."""
    port, folder = free_port(), bench.path("nginx")
    config = folder / "nginx.conf"
    config.write_text(
        f"""{nginx_head(folder)} open_file_cache max=50000 inactive=1h;
        proxy_cache_path {folder}/cache levels=1:2 keys_zone=hits:16m max_size={CACHE_MIB}m use_temp_path=off;
        upstream origin {{ server {HOST}:{bench.origin_port}; keepalive 64; keepalive_requests 1000000000; }}
        server {{ listen {HOST}:{port} backlog=4096; location / {{ proxy_pass http://origin; proxy_set_header Connection "";
        proxy_http_version 1.1; proxy_cache hits; add_header X-Cache $upstream_cache_status; }} }} }}"""
    )
    return Server("nginx", port, bench.start("nginx", ["nginx", "-c", config]))


def haproxy(bench: Bench) -> Server:
    port, folder = free_port(), bench.path("haproxy")
    config = folder / "haproxy.cfg"
    config.write_text(
        f"""global
    nbthread 1
    maxconn 4000
    tune.bufsize 32768
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
cache hits
    total-max-size {CACHE_MIB}
    max-object-size {32 * UNITS["m"]}
    max-age 86400
listen viewers
    bind {HOST}:{port}
    filter cache hits
    http-request cache-use hits
    http-response cache-store hits
    server origin {HOST}:{bench.origin_port}
"""
    )
    return Server("haproxy", port, bench.start("haproxy", ["haproxy", "-db", "-f", config]))


def varnish(bench: Bench) -> Server:
    port, folder = free_port(), bench.path("varnish")
    command = ["varnishd", "-F", "-j", "none", "-n", folder, "-T", "none", "-s", f"malloc,{CACHE_MIB}M"]
    command += ["-a", f"{HOST}:{port}", "-b", f"{HOST}:{bench.origin_port}"]
    return Server("varnish", port, bench.start("varnish", command))


def trafficserver(bench: Bench) -> Server:
    """In folders of its own, so that an installed one is neither used nor changed; with the RAM cache for everything."""
    port, folder = free_port(), bench.path("trafficserver")
    for name in ("etc", "cache", "run", "log"):
        (folder / name).mkdir()
    layout = {
        **dict.fromkeys(("prefix", "exec_prefix"), "/usr"),
        **{"bindir": "/usr/bin", "sbindir": "/usr/sbin", "includedir": "/usr/include"},
        **{"libdir": "/usr/lib/trafficserver", "libexecdir": "/usr/lib/trafficserver/modules", "localstatedir": folder},
        **{"sysconfdir": folder / "etc", "runtimedir": folder / "run", "logdir": folder / "log"},
        **{"datadir": folder / "cache", "cachedir": folder / "cache"},
    }
    (folder / "runroot.yaml").write_text("".join(f"{key}: {value}\n" for key, value in layout.items()))
    settings = {
        "http.server_ports STRING": f"{port}:ip-in={HOST}",
        "exec_thread.autoconfig INT": 0,
        "exec_thread.limit INT": 1,
        "admin.user_id STRING": "#-1",
        "log.logging_enabled INT": 0,
        "crash_log_helper STRING": "NULL",
        "cache.ram_cache.size INT": (1 if bench.on_disk else CACHE_MIB) * UNITS["m"],
        "cache.ram_cache_cutoff INT": 32 * UNITS["m"],
    }
    records = "".join(f"CONFIG proxy.config.{key} {value}\n" for key, value in settings.items())
    (folder / "etc/records.config").write_text(records)
    (folder / "etc/storage.config").write_text(f"{folder}/cache {CACHE_MIB}M\n")
    (folder / "etc/remap.config").write_text(f"map / http://{HOST}:{bench.origin_port}/\n")
    allowed = "ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n"
    (folder / "etc/ip_allow.yaml").write_text(allowed)
    process = bench.start("trafficserver", ["traffic_server", f"--run-root={folder}/runroot.yaml"])
    return Server("trafficserver", port, process)


PEERS: dict[str, tuple[str, Callable[[Bench], Server]]] = {
    "nginx": ("nginx", nginx),
    "haproxy": ("haproxy", haproxy),
    "varnish": ("varnishd", varnish),
    "trafficserver": ("traffic_server", trafficserver),
}


def get(port: int, name: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", f"/{name}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_for(server: Server, item: Object) -> None:
    """Returns once a server answers with the object; it is in its cache then."""
    deadline = time.monotonic() + START_SECONDS_MAX
    answer = "no answer"
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.name} ended with status {server.process.returncode}")
        try:
            status, body = get(server.port, item.name)
            if (status, body) == (200, item.content):
                return
            answer = f"status {status}, {len(body)} bytes"
        except (OSError, http.client.HTTPException) as error:
            answer = repr(error)
        time.sleep(0.1)
    raise SystemExit(f"{server.name} did not serve {item.name} within {START_SECONDS_MAX} s: {answer}")


def stat_fields(pid: int) -> list[str]:
    # The second field is the program's name in brackets, which may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(root: int) -> Iterator[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(stat_fields(int(entry.name))[1]), []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def cpu_seconds(root: int) -> float:
    """Processor time of a process and its descendants so far, in user mode and in the kernel."""
    ticks = 0
    for pid in family(root):
        with contextlib.suppress(OSError):
            fields = stat_fields(pid)
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


def microseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def origin_requests(bench: Bench) -> int:
    """How many requests the origin has had."""
    _, body = get(bench.origin_port, "count")
    return int(body.split(b"\n")[2].split()[2])


def measure(bench: Bench, server: Server, item: Object, turn: int, options: argparse.Namespace) -> Sample:
    load = ["taskset", "--cpu-list", str(LOAD_CPU), "wrk", "--threads", "1", "--connections", str(options.connections)]
    load += ["--duration", f"{options.seconds}s", "--latency", f"http://{HOST}:{server.port}/{item.name}"]
    if options.work != "hit":
        script = bench.folder / "in-turn.lua"
        script.write_text(IN_TURN)
        load += ["--script", script, "--"]
        load += [f"/{item.unique(f'{server.name}-{turn}')}-"] if options.work == "miss" else [f"/{item.unique('disk')}-", str(names(item))]
    fetched = origin_requests(bench)
    before = cpu_seconds(server.process.pid)
    output = subprocess.run(load, check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(server.process.pid) - before
    fetched = origin_requests(bench) - fetched
    if trouble := re.search(r"Non-2xx.*|Socket errors.*", output):
        raise SystemExit(f"{server.name}: {trouble.group()}")
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    if options.work == "miss" and fetched < requests * MISSES_MIN:
        raise SystemExit(f"{server.name}: of {requests} requests for what it could not have, {fetched} reached the origin")
    if options.work == "disk" and turn >= 0 and fetched > requests * (1 - DISK_HITS_MIN):
        raise SystemExit(f"{server.name}: of {requests} requests for what it has on disk, {fetched} reached the origin")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    p99 = microseconds(re.search(r"\n\s+99%\s+(\S+)", output).group(1))
    return Sample(spent / requests * 1e6, rate, p99)


def names(item: Object) -> int:
    """How many objects are asked for in turn."""
    return max(1, DISK_MIB * UNITS["m"] // len(item.content))


def fill(server: Server, item: Object) -> None:
    """Asks for each object once, so slowly that a cache can write what it gets."""
    viewer = http.client.HTTPConnection(HOST, server.port, timeout=10)
    for n in range(1, names(item) + 1):
        viewer.request("GET", f"/{item.unique('disk')}-{n}")
        if viewer.getresponse().read() != item.content:
            raise SystemExit(f"{server.name}: other bytes than the origin's")
    viewer.close()


def compare(bench: Bench, servers: list[Server], item: Object, options: argparse.Namespace) -> dict[str, list[Sample]]:
    """Rounds of everyone in turn, each round beginning with another, so that a noisy moment hits all alike."""
    for server in servers:
        wait_for(server, item)
        # The second and third answers come from the cache, also where the first was not stored at once.
        for _ in range(2):
            wait_for(server, item)
        if options.work == "disk":
            fill(server, item)
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    # Of misses, the first round is for memory that was never used before; of hits on disk, for what was not written at once.
    for turn in range(0 if options.work == "hit" else -1, options.rounds):
        first = turn % len(servers)
        for server in servers[first:] + servers[:first]:
            sample = measure(bench, server, item, turn, options)
            if turn >= 0:
                samples[server.name].append(sample)
    return samples


def print_rows(size: str, samples: dict[str, list[Sample]]) -> None:
    cpu = {name: [sample.cpu_us for sample in taken] for name, taken in samples.items()}
    median = {name: statistics.median(values) for name, values in cpu.items()}
    best_peer = min((value for name, value in median.items() if name in PEERS), default=None)
    for name, taken in samples.items():
        ratio = f"{median[name] / best_peer:.2f}" if best_peer else ""
        spread = f"{min(cpu[name]):.1f}–{max(cpu[name]):.1f}"
        rate = statistics.median(sample.rate for sample in taken)
        p99 = statistics.median(sample.p99_us for sample in taken) / 1000
        print(f"| {size:>5} | {name:<13} | {median[name]:>8.1f} | {spread:>13} | {ratio:>5} | {rate:>9.0f} | {p99:>8.2f} |", flush=True)


def parse_size(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\d+)([km])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1k or 1m")
    return text, int(match[1]) * UNITS[match[2]]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    listed = lambda parse: lambda text: [parse(part) for part in text.split(",") if part]  # noqa: E731
    sizes = [parse_size(text) for text in ("1k", "16k", "100k", "1m")]
    parser.add_argument("--headland", type=Path, help="the command to measure [default: the release build]")
    parser.add_argument("--beside", type=Path, help="another build of it, to be measured in the same rounds")
    parser.add_argument("--work", choices=["hit", "miss", "disk"], default="hit", help="what is in the cache, what never is, or what is on disk alone [default: hit]")
    parser.add_argument("--peers", type=listed(str), default=list(PEERS), help="whom to compare with, separated by commas")
    parser.add_argument("--sizes", type=listed(parse_size), default=sizes, help="sizes of objects [default: 1k,16k,100k,1m]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server and size [default: 5]")
    parser.add_argument("--seconds", type=int, default=3, help="length of one round [default: 3]")
    parser.add_argument("--connections", type=int, default=64, help="connections of viewers [default: 64]")
    options = parser.parse_args()
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    return options


def find_headland(asked: Path | None) -> Path:
    if asked is None:
        target = subprocess.run([ROOT / "scripts/target-dir.sh"], check=True, capture_output=True, text=True).stdout.strip()
        asked = Path(target) / "release/headland"
    if not asked.is_file():
        raise SystemExit(f"{asked} is not there; build it with: cargo build --release --package headland")
    return asked.resolve()


def check_machine() -> None:
    missing = [tool for tool in ("wrk", "taskset", "nginx") if not shutil.which(tool)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)} (Debian packages wrk, util-linux, nginx)")
    if not {SERVER_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        raise SystemExit(f"needs processors {SERVER_CPU} and {LOAD_CPU}: one for the server, one for the load")


def main() -> None:
    options = parse_options()
    # Where Debian puts servers; not everyone's path has it.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    check_machine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    objects = {name: Object(f"{name}.bin", os.urandom(size)) for name, size in options.sizes}
    on_disk = options.work == "disk"
    if on_disk:
        options.peers = [name for name in options.peers if name in ON_DISK]
    # A file system in memory where there is one: no server is to be measured by its disk, unless that is what is asked for.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and not on_disk else None
    with tempfile.TemporaryDirectory(prefix="headland-bench-", dir=memory) as folder:
        bench = Bench(Path(folder), on_disk)
        try:
            start_origin(bench, list(objects.values()))
            servers = [headland(bench, "headland", find_headland(options.headland))]
            if options.beside:
                servers.append(headland(bench, "beside", find_headland(options.beside)))
            for name in options.peers:
                program, start = PEERS[name]
                if shutil.which(program):
                    servers.append(start(bench))
                else:
                    print(f"{name}: {program} is not installed, skipped", file=sys.stderr)
            load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
            print(f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, load before the start {load}")
            print(f"{options.work}: {options.rounds} rounds of {options.seconds} s, {options.connections} connections\n")
            print("|  size | server        | CPU µs/request (median) | min–max | / best peer | requests/s | p99 ms |")
            print("|------:|---------------|---------:|--------------:|------:|----------:|---------:|")
            for name, item in objects.items():
                print_rows(name, compare(bench, servers, item, options))
        except BaseException:
            for log in sorted(bench.folder.glob("*.log")):
                sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}\n")
            raise
        finally:
            bench.stop()


if __name__ == "__main__":
    main()

"""The systemd units: systemd's own verdict where it is installed, and whether they fit the example settings."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from programs import CONFIGURED, Programs, seconds_of
from report import Report

# systemd's measure of what a service could do to its host: 0 nothing, 10 everything. Times ten, as its --threshold is.
EXPOSURE_MAX = 20
# A control plane's drain is not a setting; see DRAIN_TIMEOUT in control-plane/src/server.rs.
CONTROL_PLANE_DRAIN_SECONDS = 10


def check(deploy: Path, programs: Programs, report: Report) -> None:
    for name, stem in CONFIGURED.items():
        unit = (deploy / "systemd" / f"{name}.service").read_text()
        config = (deploy / "config" / f"{stem}.yaml").read_text()
        report.result(f"{name}.service fits {stem}.yaml", _fits(name, unit, config, programs))
        report.refused(
            f"{name}.service that is stopped too early",
            lambda u=unit, n=name, c=config: _fits(n, _with(u, "TimeoutStopSec", "1s"), c, programs), "TimeoutStopSec",
        )
        report.refused(
            f"{name}.service that keeps its files elsewhere",
            lambda u=unit, n=name, c=config: _fits(n, _with(u, "StateDirectory", "other"), c, programs), "StateDirectory",
        )
        if shutil.which("systemd-analyze") is None:
            report.left_out(f"systemd-analyze {name}.service", "systemd is not installed here")
            continue
        report.result(f"systemd-analyze verify {name}.service", _verify(name, unit, programs.directory))
        report.refused(
            f"{name}.service with an unknown key",
            lambda u=unit, n=name: _verify(n, u.replace("[Service]", "[Service]\nNoSuchKey=1"), programs.directory),
            "NoSuchKey",
        )
        report.result(f"systemd-analyze security {name}.service", _security(name, unit))
        report.refused(
            f"{name}.service without hardening",
            lambda u=unit, n=name: _security(n, _without(u, r"(Protect|Private|Restrict|System|Capability|Dynamic).*")),
            "exposure",
        )


def _with(unit: str, key: str, value: str) -> str:
    return re.sub(rf"^{key}=.*$", f"{key}={value}", unit, flags=re.MULTILINE)


def _without(unit: str, keys: str) -> str:
    return re.sub(rf"^{keys}=.*$", "", unit, flags=re.MULTILINE)


def _value(unit: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", unit, re.MULTILINE)
    return found[1] if found else ""


def _fits(name: str, unit: str, config: str, programs: Programs) -> list[str]:
    settings, problems = programs.settings(name, config, {})
    if problems:
        return problems
    expected = f"/usr/bin/{name} --config /etc/headland/{CONFIGURED[name]}.yaml"
    if _value(unit, "ExecStart") != expected:
        problems.append(f"ExecStart is not {expected}")
    if _value(unit, "Restart") != "always":
        problems.append("Restart is not always")
    state = f"/var/lib/{_value(unit, 'StateDirectory')}/"
    data = _data(settings)
    if not f"{data}/".startswith(state):
        problems.append(f"StateDirectory stands for {state}, and the example settings keep files in {data}")
    drain = seconds_of(settings["drain_timeout"]) if "drain_timeout" in settings else CONTROL_PLANE_DRAIN_SECONDS
    stop = seconds_of(_value(unit, "TimeoutStopSec"))
    if stop <= drain:
        problems.append(f"TimeoutStopSec is {stop} s, and the program may take {drain} s")
    connections = settings.get("limits", {}).get("connections_max", 0)
    if int(_value(unit, "LimitNOFILE")) < 2 * int(connections):
        problems.append(f"LimitNOFILE does not allow {connections} viewers with an origin connection each")
    return problems


def _data(settings: dict) -> str:
    """Where a program keeps its files: the edge's data directory, or the control plane's store."""
    return settings["data_dir"] if "data_dir" in settings else settings["store"]["embedded"]["path"]


def _in_copy(name: str, unit: str, run: Callable[[Path], list[str]]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.service"
        path.write_text(unit)
        return run(path)


def _verify(name: str, unit: str, directory: Path) -> list[str]:
    # systemd wants the program to exist: the one at hand stands for the installed one.
    unit = unit.replace("ExecStart=/usr/bin/", f"ExecStart={directory}/")

    def run(path: Path) -> list[str]:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False
        )
        said = [line for line in done.stderr.splitlines() if name in line]
        return said or ([f"exit code {done.returncode}: {done.stderr}"] if done.returncode else [])

    return _in_copy(name, unit, run)


def _security(name: str, unit: str) -> list[str]:
    def run(path: Path) -> list[str]:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", "--no-pager", path],
            capture_output=True, text=True, check=False,
        )
        return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-1:]

    return _in_copy(name, unit, run)

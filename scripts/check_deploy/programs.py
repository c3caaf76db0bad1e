"""The programs themselves, as the judges of their own settings."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import yaml
from report import Report

NAMES = ("headland", "headland-control-plane", "headland-edge-agent")
# The programs that take --config and --print-config: name -> the example file below deploy/config.
CONFIGURED = {"headland-control-plane": "control-plane", "headland-edge-agent": "edge-agent"}
TIMEOUT_SECONDS = 30
VARIABLE = re.compile(r"\[env:\s+(HEADLAND_[A-Z0-9_]+)")


class Programs:
    """Where the programs are, and which environment variables each takes."""

    def __init__(self, directory: Path, report: Report) -> None:
        self.directory = directory.resolve()
        self.report = report
        self.variables: dict[str, set[str]] = {}
        for name in NAMES:
            report.result(f"{name} --help", self._read_help(name))

    def _read_help(self, name: str) -> list[str]:
        try:
            done = self.run(name, ["--help"], {})
        except OSError as error:
            return [f"cannot run {self.directory / name}: {error.strerror}"]
        self.variables[name] = set(VARIABLE.findall(done.stdout))
        if done.returncode != 0 or not self.variables[name]:
            return [f"exit code {done.returncode}, and no HEADLAND_* variable is named"]
        return []

    def run(self, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
        """Runs a program with this environment and nothing of ours."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HEADLAND_")}
        return subprocess.run(
            [self.directory / name, *arguments],
            env=clean | environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
        )

    def unknown_variables(self, name: str, used: set[str]) -> list[str]:
        """What is wrong with these variables as settings of that program."""
        ours = {variable for variable in used if variable.startswith("HEADLAND_")}
        return [f"{name} knows no {variable}" for variable in sorted(ours - self.variables[name])]

    def settings(self, name: str, text: str | None, environment: dict[str, str]) -> tuple[dict, list[str]]:
        """The settings in force for a file with this text and this environment, and what the program objects to."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            arguments = ["--print-config"]
            if text is not None:
                file.write(text)
                file.flush()
                arguments += ["--config", file.name]
            done = self.run(name, arguments, environment)
        if done.returncode != 0:
            return {}, [f"{name} objects: {done.stderr.strip()}"]
        return yaml.safe_load(done.stdout) or {}, []

    def check_files(self, directory: Path) -> None:
        """Each example file is taken by the program it is named for, and a mistake in it is not."""
        files = sorted(directory.glob("*.yaml"))
        for name, stem in CONFIGURED.items():
            mine = [file for file in files if file.stem.startswith(stem)]
            self.report.result(f"{directory.name}/ has examples for {name}", [] if mine else ["there is none"])
            for file in mine:
                self.report.result(f"{name} --config {file.name}", self.settings(name, file.read_text(), {})[1])
                self.report.refused(
                    f"{file.name} with an unknown setting",
                    lambda name=name, file=file: self.settings(name, f"{file.read_text()}\nno_such: 1\n", {})[1],
                    "no_such",
                )


def port_of(address: str) -> int:
    """The port of "host:port"."""
    return int(str(address).rsplit(":", 1)[1])


def seconds_of(duration: str) -> float:
    """The seconds in "90s", "1500ms", "2m" or "1h"."""
    number, unit = re.fullmatch(r"(\d+)\s*(ms|s|m|h)", str(duration)).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]

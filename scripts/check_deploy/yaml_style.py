"""The style of every YAML file of the project, with yamllint."""

import subprocess
import sys
from pathlib import Path

from report import Report


def check(root: Path, report: Report) -> None:
    report.result("yamllint deploy/", _problems(root, [str(root / "deploy")]))
    report.refused("a key given twice", lambda: _problems(root, ["-"], "a: 1\na: 2\n"), "duplication of key")


def _problems(root: Path, arguments: list[str], text: str | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "--format", "parsable", *arguments],
        cwd=root, input=text, capture_output=True, text=True, check=False,
    )
    return done.stdout.splitlines() + done.stderr.splitlines()

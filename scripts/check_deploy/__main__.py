"""Checks everything below deploy/: runs each room's checks and prints one line for each thing checked."""

import sys
from pathlib import Path

import compose
import container
import kubernetes
import systemd
import yaml_style
from programs import Programs
from report import Report

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    report = Report()
    programs = Programs(Path(sys.argv[1]), report)
    if not report.failures:
        deploy = ROOT / "deploy"
        programs.check_files(deploy / "config")
        yaml_style.check(ROOT, report)
        container.check(ROOT, report)
        kubernetes.check(deploy / "kubernetes", programs, report)
        compose.check(deploy / "compose" / "compose.yaml", programs, report)
        systemd.check(deploy, programs, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())

"""The container file: hadolint where it exists, and what we ask of the images ourselves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from programs import NAMES
from report import Report


def check(root: Path, report: Report) -> None:
    file = root / "deploy" / "container" / "Containerfile"
    text = file.read_text()
    report.result("Containerfile", _problems(text))
    report.refused("an image without a tag", lambda: _problems(text.replace(":nonroot", "")), "no tag")
    report.refused("an image that runs as root", lambda: _problems(text.replace("USER 65532:65532", "USER root")), "user")
    report.refused("a copied file that is not there", lambda: _missing(root, text + "\nCOPY no-such-folder .\n"), "no-such")
    report.result("Containerfile copies what exists and is not ignored", _missing(root, text))
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        report.left_out("hadolint", "there is no build of it for this machine")
        return
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    report.result("hadolint Containerfile", done.stdout.splitlines() + done.stderr.splitlines())


def image_problems(image: str) -> list[str]:
    """What is wrong with the name of an image: it must say which version, and not by a word that moves on."""
    tag = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[2]
    if not tag:
        return [f"image {image} has no tag"]
    return [f"image {image} moves on by itself"] if tag in ("latest", "stable", "main") else []


def _problems(text: str) -> list[str]:
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.MULTILINE)
    names = {name for _, name in stages}
    problems = [problem for image, _ in stages if image not in names for problem in image_problems(image)]
    problems += [f"there is no target {name}" for name in NAMES if name not in names]
    # The last stages build on "base", which sets the user for all of them.
    base = re.search(r"AS base$(.*?)^FROM", text, re.MULTILINE | re.DOTALL)
    if not base or not re.search(r"^USER [1-9]\d*:[1-9]\d*$", base[1], re.MULTILINE):
        problems.append("the images' user is not a number above 0")
    for name in NAMES:
        if f'ENTRYPOINT ["/usr/bin/{name}"]' not in text:
            problems.append(f"{name} is not the entry point of its image")
    return problems


def _missing(root: Path, text: str) -> list[str]:
    """Sources of COPY that are not in the checkout; and members of the workspace that .dockerignore leaves out."""
    sources = [s for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for s in line.split()[:-1]]
    problems = [f"COPY {source}: there is no such file" for source in sources if not (root / source).exists()]
    members = re.search(r"^members = \[(.*?)\]", (root / "Cargo.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    kept = (root / ".dockerignore").read_text().splitlines()
    needed = re.findall(r'"([^"]+)"', members) + ["Cargo.toml", "Cargo.lock"]
    return problems + [f".dockerignore leaves out {name}" for name in needed if f"!{name}" not in kept]

#!/usr/bin/env python3
"""Holds the dependencies against deny.toml where cargo-deny is not installed: licences, banned crates, duplicates, sources.

Reads what cargo itself resolved, for all platforms and all features. Advisories are cargo-deny's alone.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ["cargo", "tree", "--locked", "--workspace", "--all-features", "--target", "all", "--edges", "all"]


def main() -> int:
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    crates = resolved()
    allowed = set(policy["licenses"]["allow"])
    problems = [
        f"{name} {version}: licence {licence!r} is not allowed by deny.toml"
        for name, version, licence in crates if not permitted(licence, allowed)
    ]
    problems += banned(crates, policy["bans"]["deny"]) + duplicates(crates, policy["bans"]["skip"])
    problems += foreign_sources(policy["sources"]["allow-registry"])
    problems += [f"the licence {licence} is allowed and not needed" for licence in sorted(allowed - needed(crates, allowed))]
    for problem in problems:
        print(problem)
    print(f"{len(crates)} crates, {len(problems)} problems")
    return 1 if problems else 0


def resolved() -> list[tuple[str, str, str]]:
    """(name, version, licence) of every crate."""
    done = subprocess.run([*TREE, "--prefix", "none", "--format", "{p}|{l}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"failed to list the dependencies: {done.stderr}")
    found = set()
    for line in done.stdout.splitlines():
        if match := re.match(r"(\S+) v(\S+)[^|]*\|(.*?)(?: \(\*\))?$", line):
            found.add(match.groups())
    return sorted(found)


def permitted(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression holds when only these licences may be used. No licence is no permission."""
    # Before SPDX, "/" meant OR.
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either() -> bool:
        value = both()
        while words and words[0] == "OR":
            words.pop(0)
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while words and words[0] == "AND":
            words.pop(0)
            value = one() and value
        return value

    def one() -> bool:
        word = words.pop(0) if words else ""
        if word == "(":
            value = either()
            words.pop(0)
            return value
        if words and words[0] == "WITH":
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in allowed

    return either() and not words


def needed(crates: list[tuple[str, str, str]], allowed: set[str]) -> set[str]:
    """The licences without which some crate would not be permitted."""
    return {one for one in allowed for _, _, licence in crates if permitted(licence, allowed) and not permitted(licence, allowed - {one})}


def matches(crate: tuple[str, str, str], pattern: str) -> bool:
    name, _, version = pattern.partition("@")
    return crate[0] == name and (not version or f"{crate[1]}.".startswith(f"{version}."))


def banned(crates: list[tuple[str, str, str]], deny: list[dict]) -> list[str]:
    return [f"{c[0]} {c[1]}: banned by deny.toml" for c in crates for ban in deny if matches(c, ban["crate"])]


def duplicates(crates: list[tuple[str, str, str]], skip: list[dict]) -> list[str]:
    """Crates in two versions that deny.toml does not explain, and explanations that nothing needs any more."""
    explained = {c for c in crates for entry in skip if matches(c, entry["crate"])}
    names = [c[0] for c in crates if c not in explained]
    problems = [f"{name}: in two versions; say why in deny.toml" for name in sorted({n for n in names if names.count(n) > 1})]
    unused = [entry["crate"] for entry in skip if not any(matches(c, entry["crate"]) for c in crates)]
    return problems + [f"deny.toml explains {crate}, which is not there" for crate in unused]


def foreign_sources(registries: list[str]) -> list[str]:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    wanted = {f"registry+{url}" for url in registries}
    # Members of the workspace have no source.
    return [f"{p['name']} comes from {p['source']}" for p in lock["package"] if p.get("source") not in wanted | {None}]


if __name__ == "__main__":
    sys.exit(main())

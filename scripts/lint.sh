#!/usr/bin/env bash
# Everything that is checked without running the code: format, lints, shell scripts, YAML, licences.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "== $*" >&2; }

step "format"
cargo fmt --all --check
step "lints"
cargo clippy --locked --workspace --all-targets -- -D warnings
step "shell scripts"
mapfile -t scripts < <(git ls-files -- '*.sh' .ci/run)
shellcheck -- "${scripts[@]}"
step "YAML"
.tools/venv/bin/yamllint --strict .
step "licences and sources of dependencies"
if cargo deny --version >/dev/null 2>&1; then
  # Advisories need a database from the network, and change without a change here: `cargo deny check advisories`.
  cargo deny --locked check --hide-inclusion-graph licenses bans sources
else
  .tools/venv/bin/python scripts/check-dependencies.py
fi

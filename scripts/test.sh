#!/usr/bin/env bash
# Runs every test. The last lines printed are the test runner's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=default
if [ -n "${CI:-}" ]; then profile=ci; fi

# Some tests run the programs themselves.
cargo build --locked --workspace --bins
if cargo nextest --version >/dev/null 2>&1; then
  # nextest runs no documentation tests; cargo does, first, so that nextest has the last word.
  cargo test --locked --workspace --doc --quiet
  exec cargo nextest run --locked --workspace --profile "$profile"
fi
exec cargo test --locked --workspace

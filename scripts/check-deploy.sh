#!/usr/bin/env bash
# Checks everything below deploy/ with real validators and with the programs themselves.
#
#   scripts/check-deploy.sh <directory with headland, headland-control-plane and headland-edge-agent>
#
# Prints what it checked, one line each; exits non-zero when something is wrong or a tool is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -ne 1 ]; then
  echo "usage: scripts/check-deploy.sh <directory with the programs>" >&2
  exit 2
fi
python=.tools/venv/bin/python
if ! "$python" -c 'import compose_spec, kubernetes_validate, yaml, yamllint' 2>/dev/null; then
  echo "the validators are missing: run scripts/bootstrap.sh test, then this again" >&2
  exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" scripts/check_deploy "$1"

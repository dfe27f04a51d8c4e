#!/usr/bin/env bash
# Runs the benchmarks, all or those named. One profile with the tests, so that nothing heavy is compiled twice.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- table pipeline l7 layout
for bench in "$@"; do
  cargo bench --profile dev --bench "$bench"
done

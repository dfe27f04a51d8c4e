#!/usr/bin/env bash
# Runs the benchmarks, all or those named. One profile with the tests, so that nothing heavy is compiled twice.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- table pipeline l7 layout
for bench in "$@"; do
  if [ "$bench" = store ]; then
    cargo build --bin weir
    "${WEIR_CACHE:-$HOME/.cache/weir}/python/bin/python" scripts/bench-store.py \
      "${CARGO_TARGET_DIR:-target}/debug/weir" "${WEIR_BENCH_DIR:-${TMPDIR:-/tmp}/weir-bench}" \
      --flows "${WEIR_BENCH_FLOWS:-10000000}"
  else
    cargo bench --profile dev --bench "$bench"
  fi
done

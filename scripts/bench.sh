#!/usr/bin/env bash
# Runs the benchmarks, all or those named, and prints their figures; docs/benchmarks.md says what each measures. One
# profile with the tests, so that nothing heavy is compiled twice.
set -euo pipefail
cd "$(dirname "$0")/.."

ALL="kernel pipeline memory l7 table pieces index files query layout"
# Only by name: these need tools of the tests.
NAMED="store cli relay"

usage() {
  printf 'usage: bench.sh [NAME...]; names: %s\n' "$ALL $NAMED" >&2
  exit 2
}

run() {
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  cargo bench --quiet --profile dev --bench "$name" -- "$@"
}

[ $# -gt 0 ] || set -- $ALL
for name in "$@"; do
  case " $ALL $NAMED " in *" $name "*) ;; *) usage ;; esac
done
printf '%s, %s processors, Linux %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uname -r)"
for name in "$@"; do
  case $name in
    kernel)
      if [ "$(id -u)" = 0 ]; then run kernel; else printf '\n== kernel\nleft out: loading programs needs root\n'; fi ;;
    query) run query 1000000 10000000 ;;
    store)
      cargo build --bin weir
      "${WEIR_CACHE:-$HOME/.cache/weir}/python/bin/python" scripts/bench-store.py \
        "${CARGO_TARGET_DIR:-target}/debug/weir" "${WEIR_BENCH_DIR:-${TMPDIR:-/tmp}/weir-bench}" \
        --flows "${WEIR_BENCH_FLOWS:-10000000}" ${WEIR_BENCH_FILES:+--files} ;;
    relay)
      cargo build --bin weir
      # Word splitting is meant: numbers of nodes.
      run relay ${WEIR_BENCH_NODES:-} ;;
    *) run "$name" ;;
  esac
done

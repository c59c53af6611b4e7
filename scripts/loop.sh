#!/usr/bin/env bash
# How long a developer waits after an edit: touches one file of a kind, then times `cargo build` and one test of its crate.
# Usage: scripts/loop.sh [ROUNDS]     (3 rounds; the median is printed)
# An older commit, with everything in one crate, is measured by a copy of this script with LAYOUT=one.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# what | file that is touched | crate | test that is run
if [ "${LAYOUT:-crates}" = one ]; then
  edits=(
    "a backend route|backend/src/product/routes.rs|ecomctl-backend|a_value_that_is_not_this_product"
    "a panel of the dashboard|src/tui/draw/kafka.rs|ecomctl|tui::tests::screens"
    "a check|src/verify/checks/bounds.rs|ecomctl|verify::checks"
  )
else
  edits=(
    "a backend route|backend/src/product/api.rs|ecomctl-backend|a_value_that_is_not_this_product"
    "a panel of the dashboard|crates/tui/src/draw/kafka.rs|ecomctl-tui|tests::screens"
    "a check|$(git ls-files 'crates/verify/*bounds.rs')|ecomctl-verify|checks"
  )
fi

took() { # took COMMAND…: how many microseconds it takes
  local start=${EPOCHREALTIME/[.,]/}
  "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
  echo $((${EPOCHREALTIME/[.,]/} - start))
}

# The median, in seconds.
median() { sort -n | awk '{ all[NR] = $1 } END { printf "%.1f", all[int((NR + 1) / 2)] / 1e6 }'; }

cargo build --quiet
printf '| after an edit of | `cargo build` | `cargo test -p CRATE NAME` |\n|---|---|---|\n'
for edit in "${edits[@]}"; do
  IFS='|' read -r what file crate name <<<"$edit"
  cargo test --quiet --package "$crate" --lib "$name" >/dev/null
  builds=() tests=()
  for _ in $(seq "$rounds"); do
    touch "$file"
    time=$(took cargo build)
    builds+=("$time")
    touch "$file"
    time=$(took cargo test --package "$crate" --lib "$name")
    tests+=("$time")
  done
  printf '| %s | %s s | %s s |\n' "$what" "$(printf '%s\n' "${builds[@]}" | median)" "$(printf '%s\n' "${tests[@]}" | median)"
done

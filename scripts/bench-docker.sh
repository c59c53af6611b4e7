#!/usr/bin/env bash
# `ecomctl up` in Docker beside `docker compose up --wait` with the same files, images, limits and machine, in turn. Prints
# seconds a round and the medians. ecomctl also makes the topics and sends a record through Kafka; compose does not.
#
#   scripts/bench-docker.sh [ROUNDS]      needs the images (make images) and a docker-compose (scripts/compose.sh finds one)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
ecomctl=$PWD/target/release/ecomctl
compose=$(scripts/compose.sh)
work=$(mktemp -d)
project=ecomctl-bench-$$
export ECOMCTL_IMAGE_MYSQL=ecomctl-test/mysql:9.7 ECOMCTL_IMAGE_REDIS=ecomctl-test/redis:8.0 ECOMCTL_IMAGE_KAFKA=ecomctl-test/kafka:4
export ECOMCTL_STATE_DIR=$work/state ECOMCTL_PROVIDER=docker

with_compose() { "$compose" --project-name "$project" --env-file compose/example.env -f compose/base.yaml "$@"; }
compose_up() { with_compose up --detach --wait; }
compose_down() { with_compose down "$@"; }
ecomctl_up() { "$ecomctl" up; }
ecomctl_down() { "$ecomctl" down "$@"; }
clean() {
  compose_down --volumes >/dev/null 2>&1 || true
  ecomctl_down -v >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

# timed NAME COMMAND…: seconds of a command that has to succeed, printed and kept.
timed() {
  local name=$1 start end
  shift
  start=$(date +%s.%N)
  if ! "$@" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    return 1
  fi
  end=$(date +%s.%N)
  awk -v n="$name" -v a="$start" -v b="$end" 'BEGIN { printf "  %-24s %6.2f s\n", n, b - a }'
  awk -v a="$start" -v b="$end" 'BEGIN { printf "%.3f\n", b - a }' >>"$work/$name"
}

median() { sort -n "$work/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

echo "$("$ecomctl" --version), docker-compose $("$compose" version --short), $(nproc) cores"
for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  order=(compose ecomctl)
  if [ $((round % 2)) -eq 0 ]; then order=(ecomctl compose); fi
  for who in "${order[@]}"; do
    volumes=--volumes
    if [ "$who" = ecomctl ]; then volumes=-v; fi
    timed "$who-cold" "${who}_up"
    "${who}_down" >/dev/null 2>&1
    timed "$who-warm" "${who}_up"
    "${who}_down" "$volumes" >/dev/null 2>&1
  done
done
for state in cold warm; do
  awk -v s="$state" -v a="$(median "ecomctl-$state")" -v b="$(median "compose-$state")" \
    'BEGIN { printf "median %s: ecomctl %.2f s, docker compose %.2f s, ratio %.2f\n", s, a, b, a / b }'
done

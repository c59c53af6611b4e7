#!/usr/bin/env bash
# What the dashboard costs: paired runs with and without it, in turn, on one stack that stays up. Prints the requests per
# second of each pair, the mean difference with its 95 % confidence interval, and the share of one core that the dashboard's
# thread takes (drawing at most ten times a second) while 5,000 virtual users are at work.
#
#   scripts/bench-dashboard.sh [PAIRS]      needs tmux, the release build and the servers' programs
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-10}
ecomctl=$PWD/target/release/ecomctl
work=$(mktemp -d)
session=ecomctl-bench-$$
export ECOMCTL_STATE_DIR=$work/state ECOMCTL_PROVIDER=native

clean() {
  tmux -S "$work/tmux" kill-server 2>/dev/null || true
  "$ecomctl" down -v >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

# As fast as the generator goes: what the dashboard takes is missing from the rate.
cat >"$work/full.yaml" <<'Y'
about: sold-out answers, as fast as they come
system: ecommerce
seed: {users: 1000, products: 10, coupons: [{id: 1, quantity: 10}]}
scenarios:
  press:
    executor: constant-vus
    vus: 64
    duration: 8s
    requests: [{name: issue, method: POST, path: "/api/coupons/1/issue", body: {userId: "${user.id}"}, coupon: 1, outcomes: {200: QUEUED, 409: DUPLICATE, 410: SOLD_OUT}}]
Y
cat >"$work/many.yaml" <<'Y'
about: 5,000 people who think a second
system: ecommerce
seed: {users: 5000, products: 10, coupons: [{id: 1, quantity: 1000}]}
scenarios:
  event:
    executor: constant-vus
    vus: 5000
    duration: 25s
    think: 1s
    requests: [{name: issue, method: POST, path: "/api/coupons/1/issue", body: {userId: "${user.id}"}, coupon: 1, outcomes: {200: QUEUED, 409: DUPLICATE, 410: SOLD_OUT}}]
Y

# rate: requests per second of the newest run.
rate() {
  local newest
  newest=$(ls -d "$work"/state/runs/*/ | sort | tail -n 1)
  sed -n '/"http_reqs"/,/}/s/.*"rate": *\([0-9.]*\).*/\1/p' "$newest/summary.json" | head -n 1
}

# 4 says that the generator was the limit: it is meant to be.
without() {
  local code=0
  "$ecomctl" run "$work/full.yaml" >"$work/log" 2>&1 || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne 4 ]; then
    cat "$work/log" >&2
    return 1
  fi
}

# shown PROFILE SECONDS: in a terminal of its own, until the run has ended; then the dashboard is left. Nobody looks at that
# terminal during the SECONDS that the load takes: five looks a second cost as much as 7 % of the rate.
shown() {
  rm -f "$work/done"
  tmux -S "$work/tmux" new-session -d -s "$session" -x 200 -y 60 "'$ecomctl' run '$1' --tui; touch '$work/done'"
  sleep "$2"
  for _ in $(seq 600); do
    if tmux -S "$work/tmux" capture-pane -p -t "$session" 2>/dev/null | grep -q 'ended, exit'; then break; fi
    sleep 0.2
  done
  tmux -S "$work/tmux" send-keys -t "$session" q
  for _ in $(seq 100); do
    if [ -e "$work/done" ]; then return; fi
    sleep 0.1
  done
  echo "the dashboard did not end" >&2
  return 1
}

# share: CPU of the dashboard's thread over ten seconds, in percent of one core.
share() {
  local pid task before after
  pid=$(pgrep -f "$ecomctl run $work/many.yaml --tui" | head -n 1)
  task=$(grep -l '^dashboard$' /proc/"$pid"/task/*/comm | head -n 1)
  task=${task%/comm}
  before=$(sed 's/.*) //' "$task/stat" | awk '{ print $12 + $13 }')
  sleep 10
  after=$(sed 's/.*) //' "$task/stat" | awk '{ print $12 + $13 }')
  awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.1f", t / hz / 10 * 100 }'
}

echo "$("$ecomctl" --version), $(nproc) cores, $pairs pairs of 8 s"
"$ecomctl" up >/dev/null 2>&1
without
for pair in $(seq "$pairs"); do
  order=(without with)
  if [ $((pair % 2)) -eq 0 ]; then order=(with without); fi
  for who in "${order[@]}"; do
    if [ "$who" = with ]; then shown "$work/full.yaml" 11; else without; fi
    rate >>"$work/$who"
  done
  echo "pair $pair: without $(tail -n 1 "$work/without"), with $(tail -n 1 "$work/with") requests/s"
done
paste "$work/without" "$work/with" | awk '
  { d = ($2 - $1) / $1 * 100; n++; s += d; q += d * d }
  END {
    m = s / n; v = n > 1 ? (q - n * m * m) / (n - 1) : 0
    # Student t for 95 %, two-sided, n - 1 degrees of freedom.
    split("12.71 4.30 3.18 2.78 2.57 2.45 2.36 2.31 2.26 2.23 2.20 2.18 2.16 2.14 2.13", t, " ")
    f = n > 15 ? 2.1 : t[n - 1]
    e = n > 1 ? f * sqrt(v / n) : 0
    printf "difference with the dashboard: %.2f %% (95 %% confidence: %.2f to %.2f %%)\n", m, m - e, m + e
  }'
(sleep 12; share >"$work/share") &
shown "$work/many.yaml" 28
wait
echo "dashboard thread with 5,000 virtual users: $(cat "$work/share") % of one core"

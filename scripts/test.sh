#!/usr/bin/env bash
# Runs every test and prints one closing count. Real servers are started by the tests themselves, on free loopback ports.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
log=$work/log
trap 'rm -rf "$work"' EXIT
touch "$log"
failed_steps=()

step() { # step NAME COMMAND…
  local name=$1 start=$SECONDS
  shift
  echo "== $name: $*"
  # The tests' own words stay in order with cargo's.
  if "$@" 2>&1 | tee -a "$log"; then
    echo "== $name: $((SECONDS - start)) s"
  else
    echo "== $name FAILED after $((SECONDS - start)) s"
    failed_steps+=("$name")
  fi
}

# one_pass: has cargo compile the project's own crates with clippy's driver, which is a whole compiler and lints what it
# compiles. `cargo clippy` beside `cargo build` reads every crate and every dependency a second time, for minutes.
# Everything after it must see the same variables, or cargo compiles the crates anew without it.
one_pass() {
  local driver
  driver=$(rustc --print sysroot)/bin/clippy-driver
  [ -x "$driver" ] || driver=clippy-driver
  export RUSTC_WORKSPACE_WRAPPER=$driver
  # As `cargo clippy -- -D warnings` hands it down.
  export CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
  # Tables of lines are a third of the time that a large crate takes. A panic names its line without them, and whoever
  # wants a backtrace with lines runs the test by hand.
  export CARGO_PROFILE_DEV_DEBUG=none
  # What makes the next build quick makes the first one slow.
  [ -d "${CARGO_TARGET_DIR:-target}/debug/incremental" ] || export CARGO_INCREMENTAL=0
}

export CARGO_TERM_COLOR=never RUSTFLAGS="${RUSTFLAGS:-}"
# A snapshot that is missing or stale is a failure, never written.
export INSTA_UPDATE=no
# Servers, not settings of this shell, decide what the tests see.
unset ECOMCTL_PROVIDER ECOMCTL_IMAGE_MYSQL ECOMCTL_IMAGE_REDIS ECOMCTL_IMAGE_KAFKA ECOMCTL_IMAGE_BACKEND
unset ECOMCTL_STATE_DIR ECOMCTL_MYSQL_URL ECOMCTL_REDIS_URL ECOMCTL_KAFKA_BROKERS ECOMCTL_API_URL MYSQL_URL REDIS_URL KAFKA_BROKERS

# Tests press Ctrl-C. A shell that runs this in the background has its commands ignore that, and what they start would too.
signals=()
env --default-signal=INT,QUIT,HUP true 2>/dev/null && signals=(env --default-signal=INT,QUIT,HUP)

# Whether Docker tests can run here: an Engine, the images, and a docker-compose to compare with. Packages are fetched and
# images made while the compiler is busy; what is said of it is shown when it is asked for.
"${signals[@]}" bash -c 'scripts/engine.sh && scripts/images.sh && scripts/compose.sh >"$1"' _ "$work/compose" \
  >"$work/docker" 2>&1 </dev/null &
docker=$!

one_pass
step format cargo fmt --all --check
step "lints and build" cargo build --workspace --all-targets --quiet
# The pictures in the documents are drawn by this very dashboard.
step pictures cargo run --quiet --example pictures -- --check
step unit cargo test --workspace --lib --bins --quiet

can_docker=
wait "$docker"
can=$?
cat "$work/docker"
case $can in
  0)
    can_docker=yes
    ECOMCTL_TEST_COMPOSE=$(cat "$work/compose")
    export ECOMCTL_TEST_COMPOSE
    ;;
  3)
    if [ "${CI:-}" = true ]; then
      echo "== docker FAILED: in CI nothing may be skipped"
      failed_steps+=(docker)
    fi
    ;;
  *)
    echo "== docker FAILED: no images to test with"
    failed_steps+=(docker)
    ;;
esac

lanes=(docker native)
# lane_of MODULE: with which tests those of a module of tests/it take turns. Lanes run side by side, each with servers of
# its own; in a lane one test follows the other. There are as many as CI has cores: with more, tests measure each other.
# They are put together so that both take about as long, and most of that is waiting. What measures, or counts what this
# machine does, is alone on it; and so is what nobody has put into a lane.
lane_of() {
  case $1 in
    # Containers one by one, and whole stacks of them; infra only makes the lanes equal.
    docker_ends | docker_engine | docker_fcfs | docker_owned | docker_points | docker_replace | docker_stack | docker_status) echo docker ;;
    infra | scripts) echo docker ;;
    # Loads on a stack that is up, what is said and kept of them, and what asks servers.
    alarms | backend_* | commands | compose_config | evidence | fcfs | history | invariants | lag | lag_unknown) echo native ;;
    output | owned | places | point_entries | points | probe | product | promise | runs | schemas | seed | status) echo native ;;
    tui | verify | violations | watch) echo native ;;
    *) echo alone ;;
  esac
}

# stamp LANE: puts the lane before each line, and the time that it took before each test.
stamp() {
  local line now before=${EPOCHREALTIME/[.,]/}
  while IFS= read -r line; do
    now=${EPOCHREALTIME/[.,]/}
    case $line in
      "test "*" ... "*)
        printf '%-7s %4d.%d s  %s\n' "$1" $(((now - before) / 1000000)) $(((now - before) / 100000 % 10)) "$line" |
          tee -a "$work/times"
        ;;
      *) printf '%-7s %s\n' "$1" "$line" ;;
    esac
    before=$now
  done
}

# lane NAME OPTION…: runs the tests of a lane one after another. All binaries are run, whatever comes of the first.
lane() {
  local name=$1 tests
  shift
  mapfile -t tests <"$work/lane-$name"
  if [ "${#tests[@]}" -eq 0 ]; then return; fi
  "${signals[@]}" cargo test --package ecomctl --test '*' --no-fail-fast -- --test-threads=1 --exact "$@" "${tests[@]}" 2>&1 |
    stamp "$name" | tee -a "$work/ran"
}

# end_to_end OPTION…: runs every end-to-end test once (with --ignored: of those that are), and insists that it did.
end_to_end() {
  local name running=() ended=0 listed ran skipped=0
  rm -f "$work"/lane-*
  for name in "${lanes[@]}" alone; do : >"$work/lane-$name"; done
  : >"$work/ran"
  cargo test --package ecomctl --test '*' --quiet -- --list "$@" 2>/dev/null | sed -n 's/: test$//p' | sort >"$work/tests"
  listed=$(wc -l <"$work/tests")
  while read -r name; do
    # Tests that need an Engine stand in modules whose names begin with `docker`.
    if [ -z "$can_docker" ] && [[ $name == docker* ]]; then
      skipped=$((skipped + 1))
    else
      echo "$name" >>"$work/lane-$(lane_of "${name%%::*}")"
    fi
  done < <(uniq "$work/tests")
  if [ "$skipped" -gt 0 ]; then
    echo "== docker: $skipped tests are SKIPPED, for the reason above"
    echo "$skipped" >>"$work/skipped"
  fi
  for name in "${lanes[@]}"; do
    lane "$name" "$@" &
    running+=($!)
    # Where a command of the background cannot be given its Ctrl-C back, nothing is in the background.
    if [ "${#signals[@]}" -eq 0 ]; then wait "${running[-1]}" || ended=1; fi
  done
  for name in "${running[@]}"; do wait "$name" || ended=1; done
  lane alone "$@" || ended=1
  ran=$(awk "$count" "$work/ran" | awk '{ print $1 + $2 + $3 }')
  if [ "$ran" -ne $((listed - skipped)) ]; then
    echo "$((listed - skipped)) tests were to run, and $ran did"
    ended=1
  fi
  return $ended
}

# What the closing lines of all test binaries add up to: passed, failed, ignored.
# shellcheck disable=SC2016 # awk's own variables
count='
  /test result:/ { for (i = 1; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1); if ($i == "ignored;") s += $(i-1) } }
  END { print p + 0, f + 0, s + 0 }'

touch "$work/skipped" "$work/times"
step end-to-end end_to_end
echo "The slowest of them:"
sort -k2,2nr "$work/times" | head -n 10
if [ -n "${ECOMCTL_TEST_ALL:-}" ]; then
  step long end_to_end --ignored
fi

read -r passed failed skipped < <(awk "$count" "$log")
skipped=$(awk -v n="$skipped" '{ n += $1 } END { print n }' "$work/skipped")
counted=$failed
for name in "${failed_steps[@]}"; do
  case $name in
    # Their failed tests are counted; one that could not even begin counts as one.
    unit | end-to-end | long) [ "$counted" -gt 0 ] || failed=$((failed + 1)) ;;
    *) failed=$((failed + 1)) ;;
  esac
done
if [ "$passed" -eq 0 ]; then
  failed=$((failed + 1))
  echo "no test ran"
fi
if [ "${#failed_steps[@]}" -gt 0 ]; then
  echo "failed steps: ${failed_steps[*]}"
fi
echo "All of it took $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "${#failed_steps[@]}" -eq 0 ]

#!/usr/bin/env bash
# Runs every test and prints one closing count. Real servers are started by the tests themselves, on free loopback ports.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
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

# can_docker: whether Docker tests can run here: an Engine, the images, and a docker-compose to compare with. Says why not.
can_docker() {
  scripts/engine.sh && scripts/images.sh && ECOMCTL_TEST_COMPOSE=$(scripts/compose.sh)
}

export CARGO_TERM_COLOR=never RUSTFLAGS="${RUSTFLAGS:-}"
# A snapshot that is missing or stale is a failure, never written.
export INSTA_UPDATE=no
# Servers, not settings of this shell, decide what the tests see.
unset ECOMCTL_PROVIDER ECOMCTL_IMAGE_MYSQL ECOMCTL_IMAGE_REDIS ECOMCTL_IMAGE_KAFKA ECOMCTL_IMAGE_BACKEND
unset ECOMCTL_STATE_DIR ECOMCTL_MYSQL_URL ECOMCTL_REDIS_URL ECOMCTL_KAFKA_BROKERS ECOMCTL_API_URL MYSQL_URL REDIS_URL KAFKA_BROKERS

step format cargo fmt --all --check
step lints cargo clippy --workspace --all-targets --quiet -- -D warnings
step build cargo build --workspace --all-targets --quiet
# The pictures in the documents are drawn by this very dashboard.
step pictures cargo run --quiet --example pictures -- --check
step unit cargo test --workspace --lib --bins --quiet

# Tests that need an Engine stand in modules whose names begin with `docker`.
choice=()
without_docker=0
can_docker
case $? in
  0) export ECOMCTL_TEST_COMPOSE ;;
  3)
    choice=(--skip docker)
    without_docker=$(cargo test --package ecomctl --test '*' --quiet -- --list 2>/dev/null | grep -c 'docker.*: test$')
    echo "== docker: $without_docker tests are SKIPPED, for the reason above"
    if [ "${CI:-}" = true ]; then
      echo "== docker FAILED: in CI nothing may be skipped"
      failed_steps+=(docker)
    fi
    ;;
  *)
    echo "== docker FAILED: no images to test with"
    failed_steps+=(docker)
    choice=(--skip docker)
    ;;
esac

# Tests press Ctrl-C. A shell that runs this in the background has its commands ignore that, and what they start would too.
signals=()
env --default-signal=INT,QUIT,HUP true 2>/dev/null && signals=(env --default-signal=INT,QUIT,HUP)

# Two cores: stacks that come up side by side would measure each other.
step end-to-end "${signals[@]}" cargo test --package ecomctl --test '*' -- --test-threads=1 "${choice[@]}"
if [ -n "${ECOMCTL_TEST_ALL:-}" ]; then
  step long "${signals[@]}" cargo test --package ecomctl --test '*' -- --test-threads=1 --ignored "${choice[@]}"
fi

read -r passed failed skipped < <(awk '
  /^test result:/ { for (i = 1; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1); if ($i == "ignored;") s += $(i-1) } }
  END { print p + 0, f + 0, s + 0 }' "$log")
skipped=$((skipped + without_docker))
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
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "${#failed_steps[@]}" -eq 0 ]

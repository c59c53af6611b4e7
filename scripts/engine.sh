#!/usr/bin/env bash
# Gives the Docker tests an Engine: does nothing where one answers, else starts one where this machine can.
#
#   scripts/engine.sh        0: an Engine answers; 3: none can run here, and why
#   scripts/engine.sh stop   ends the Engine that this script started; never another
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

folder=$cache/engine
# Its pid and start time: a pid alone may have been given to another program since.
pid_file=$folder/started
log=$folder/dockerd.log
# Of its own, so that no container that somebody keeps elsewhere is started along.
data=/var/lib/ecomctl-engine
socket=/var/run/docker.sock
# There while an Engine that was asked to end still ends its containers.
stopping=$folder/stopping
# Seconds that it may take: longer than any container's own time to end.
patience=180

answers() {
  if command -v docker >/dev/null; then
    timeout 5 docker version --format '{{.Server.Version}}' 2>/dev/null
  else
    curl --silent --fail --max-time 5 --unix-socket "$socket" http://engine/version >/dev/null && echo "of an unknown version"
  fi
}

# start_time PID: field 22 of its stat, counted from the bracket that ends the name.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# The pid of the Engine that this script started, if it still runs.
started() {
  local pid time
  [ -f "$pid_file" ] || return 1
  read -r pid time <"$pid_file"
  [ -n "$time" ] && [ "$(start_time "$pid")" = "$time" ] && echo "$pid"
}

# Waits until the Engine with this pid is gone, and says every ten seconds what is waited for.
wait_for_its_end() {
  local pid=$1 second
  for second in $(seq "$patience"); do
    for _ in 1 2 3 4 5; do
      if [ "$(started || true)" != "$pid" ]; then
        rm -f "$pid_file" "$stopping"
        return
      fi
      sleep 0.2
    done
    if [ $((second % 10)) -eq 0 ]; then
      echo "The Engine (pid $pid) waits for its containers to end: $(cat "$stopping" 2>/dev/null || echo unknown), $second s so far"
    fi
  done
  die 1 "the Docker Engine (pid $pid) does not end within $patience s; see $log"
}

# Names of the containers that run, in one line.
containers() {
  local names=
  if command -v docker >/dev/null; then
    names=$(timeout 5 docker --host "unix://$socket" ps --format '{{.Names}}' 2>/dev/null | tr '\n' ' ') || true
  fi
  echo "${names:-none that is known}"
}

install_engine() {
  command -v apt-get >/dev/null || die $cannot "no Docker Engine is installed, and this is no Debian: install one"
  echo "Installing docker.io and iptables with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  apt_install() { apt-get install --yes --no-install-recommends docker.io iptables; }
  if ! apt_install >/dev/null 2>&1; then
    apt-get update --quiet
    apt_install --quiet
  fi
  # Its service may have started by itself.
  for _ in 1 2 3; do
    if answers >/dev/null; then return; fi
    sleep 1
  done
}

start() {
  local version pid
  # One that was asked to end still answers for a while, and keeps the next one from its files.
  if [ -f "$stopping" ] && pid=$(started) && [ -n "$pid" ]; then wait_for_its_end "$pid"; fi
  rm -f "$stopping"
  if version=$(answers); then
    echo "A Docker Engine runs ($version)"
    return
  fi
  if [ -n "${DOCKER_HOST:-}" ]; then die $cannot "DOCKER_HOST is $DOCKER_HOST, and no Engine answers there"; fi
  [ "$(id -u)" -eq 0 ] || die $cannot "no Docker Engine answers, and only root can start one: start it, or join the docker group"
  if ! PATH=$PATH:/usr/sbin:/sbin command -v dockerd >/dev/null; then install_engine; fi
  if version=$(answers); then
    echo "A Docker Engine runs ($version)"
    return
  fi
  mkdir -p "$folder"
  echo "Starting a Docker Engine (log: $log)"
  # By hand: where there is no systemd the package's service cannot be started. Away from this terminal and its pipes.
  PATH=$PATH:/usr/sbin:/sbin setsid dockerd --data-root "$data" --host "unix://$socket" --pidfile "$folder/dockerd.pid" \
    </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(start_time "$pid")" >"$pid_file"
  for _ in $(seq 150); do
    if version=$(answers); then
      echo "It runs ($version, pid $pid) and stays; end it with: scripts/engine.sh stop"
      return
    fi
    [ -n "$(started)" ] || break
    sleep 0.2
  done
  if [ -n "$(started)" ]; then stop >&2; fi
  rm -f "$pid_file"
  die $cannot "No Docker Engine can run here. It said last:
$(tail -n 5 "$log")"
}

stop() {
  local pid
  if ! pid=$(started) || [ -z "$pid" ]; then
    rm -f "$pid_file"
    echo "No Docker Engine runs that this script started"
    return
  fi
  containers >"$stopping"
  kill -TERM "$pid"
  wait_for_its_end "$pid"
  echo "Ended the Docker Engine (pid $pid); its images stay in $data"
}

mkdir -p "$cache"
exec 9>"$cache/engine.lock"
flock 9
case ${1:-start} in
  start) start ;;
  stop) stop ;;
  *) die 2 "usage: scripts/engine.sh [start|stop]" ;;
esac

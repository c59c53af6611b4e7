#!/usr/bin/env bash
# Brings what ecomctl needs on Debian: build tools, server programs that start nothing of their own, a Java runtime and
# Maven; with the word `test` also what only the tests need. Says what it installs; does nothing when all is there.
set -euo pipefail

if ! command -v cargo >/dev/null && [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
  echo "cargo is missing. Install Rust with rustup, open a new shell, and try again." >&2
  exit 1
fi

missing=()
# need PROGRAM PACKAGE: server programs often live in sbin, which a user's PATH may lack.
need() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2")
}
# need_one PACKAGE PROGRAM…: any of the programs will do.
need_one() {
  local package=$1 program
  shift
  for program in "$@"; do
    if PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$program" >/dev/null; then return; fi
  done
  missing+=("$package")
}
need gcc gcc
need g++ g++
need make make
need pkg-config pkg-config
# has HEADER: the compiler finds it. (A file of that name somewhere may belong to another program.)
has() { echo "#include <$1>" | cc -E -x c - >/dev/null 2>&1; }
has openssl/ssl.h || missing+=(libssl-dev)
has zlib.h || missing+=(zlib1g-dev)
need_one mariadb-server-core mysqld mariadbd
# MariaDB's data folder is made by a script that needs a tool of the client package; MySQL's server makes its own.
server=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v mysqld || true)
if [ -z "$server" ] || "$server" --no-defaults --version 2>/dev/null | grep -q MariaDB; then
  need my_print_defaults mariadb-client-core
fi
need_one redis-tools redis-server valkey-server redis-check-rdb valkey-check-rdb
if [ -z "${JAVA_HOME:-}" ] || [ ! -x "$JAVA_HOME/bin/java" ]; then need java openjdk-17-jre-headless; fi
# Maven fetches Kafka's jars; with KAFKA_HOME nobody needs it.
if [ ! -d "${KAFKA_HOME:-/nonexistent}/libs" ]; then need mvn maven; fi
# The tests drive the dashboard on a real terminal.
if [ "${1:-}" = test ]; then need tmux tmux; fi

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
echo "Missing: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "This is no Debian: install what these packages hold with the system's own tool, and try again." >&2
  exit 1
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run this as root, or install sudo." >&2; exit 1; }
  run=(sudo)
fi
echo "Installing them with apt-get; none of them starts a service."
export DEBIAN_FRONTEND=noninteractive
install() { "${run[@]}" apt-get install --yes --no-install-recommends "${missing[@]}"; }
# The package lists may be old or absent: they are fetched only when needed.
if ! install >/dev/null 2>&1; then
  "${run[@]}" apt-get update --quiet
  install --quiet
fi

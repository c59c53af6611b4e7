# Shared by the scripts beside it; sourced, never run.
# shellcheck shell=bash

# Where fetched things are kept from run to run.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ecomctl
# Exit code of "this machine cannot": the tests that need it are then skipped, and said to be.
cannot=3

# die CODE TEXT…
die() {
  local code=$1
  shift
  echo "$*" >&2
  exit "$code"
}

# The machine's own Debian mirror, as its package sources name it; nothing on another system.
debian_mirror() {
  local file mirror
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources /etc/apt/sources.list; do
    [ -f "$file" ] || continue
    mirror=$(awk '
      /^URIs:/ { print $2 }
      /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; next } }' "$file" | grep '/debian/*$' | head -n 1)
    if [ -n "$mirror" ]; then
      echo "$mirror"
      return
    fi
  done
}

# Points apt-get at a state of its own for Debian's unstable suite: it downloads and resolves there, and neither installs
# anything on this machine nor touches its package lists. Packages are kept in the cache.
use_unstable() {
  local mirror state=$cache/debian-unstable
  if ! command -v apt-get dpkg-deb >/dev/null; then
    die $cannot "apt-get and dpkg-deb are needed to fetch Debian packages, and are not here"
  fi
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || die $cannot "no Debian mirror stands in /etc/apt: packages can be fetched on Debian only"
  mkdir -p "$cache"
  exec 8>"$state.lock"
  flock 8
  mkdir -p "$state"/etc/{apt.conf.d,preferences.d,sources.list.d} "$state"/lib/lists/partial "$state"/cache/archives/partial
  : >"$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$state/etc/sources.list"
  # The suite's Release file is often past its date; that is no reason to refuse it.
  cat >"$state/apt.conf" <<EOF
Dir "$state";
Dir::Etc "$state/etc";
Dir::State "$state/lib";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
APT::Architecture "$(dpkg --print-architecture)";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Debug::NoLocking "true";
EOF
  export APT_CONFIG=$state/apt.conf
  packages=$state/cache/archives
}

# fetch PACKAGE…: downloads them with what they depend on, and prints the names of the files. Lists of an earlier day may
# name packages that are gone; they are renewed only then.
fetch() {
  if ! download "$@" 2>/dev/null; then
    apt-get --quiet=2 update >&2
    download "$@"
  fi
  apt-get --yes --simulate install "$@" | awk '$1 == "Inst" { sub(/^\(/, "", $3); print $2, $3 }' |
    while read -r name version; do
      printf '%s\n' "$packages/${name%%:*}_${version//:/%3a}"_*.deb
    done
}

download() {
  apt-get --quiet=2 --yes --download-only install "$@" >/dev/null
}

#!/usr/bin/env bash
# Prints the path of a docker-compose (version 2 or later) for the tests that compare our reading of compose files with
# its own: the one that is installed, else the one of Debian's package, unpacked into the cache and not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

is_compose() { [ -x "$1" ] && "$1" version --short 2>/dev/null | grep -Eq '^v?([2-9]|[1-9][0-9])\.'; }

unpacked=$cache/compose/usr/libexec/docker/cli-plugins/docker-compose
for program in "$(command -v docker-compose || true)" "$HOME/.docker/cli-plugins/docker-compose" \
  /usr/{local/,}{libexec,lib}/docker/cli-plugins/docker-compose "$unpacked"; do
  if is_compose "$program"; then
    echo "$program"
    exit 0
  fi
done
use_unstable
package=$(fetch docker-compose | grep '/docker-compose_')
rm -rf "$cache/compose"
dpkg -x "$package" "$cache/compose"
is_compose "$unpacked" || die $cannot "docker-compose of $package does not run here"
echo "$unpacked"

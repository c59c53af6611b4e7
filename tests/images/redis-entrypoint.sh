#!/bin/sh
# docker-entrypoint.sh of the test image of Redis: behaves as the official one does.
set -e

# `-x …` and `some.conf …` mean redis-server.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi

if [ "$1" = redis-server ]; then
  # The official program is built without protected mode, Debian's is not. Settings may say otherwise.
  case " $* " in
    *protected-mode* | *.conf\ *) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
  if [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' + 2>/dev/null || true
    exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
  fi
fi
exec "$@"

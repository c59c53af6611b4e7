#!/bin/bash
# docker-entrypoint.sh of the test image of MySQL: the part of the official one that is used.
#
# MYSQL_ROOT_PASSWORD[_FILE] or MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE, MYSQL_USER,
# MYSQL_PASSWORD[_FILE], and /docker-entrypoint-initdb.d/*.sql. All of it happens before the port opens, so there is no
# temporary server that could be mistaken for the real one.
set -eo pipefail

data=/var/lib/mysql
# Data of a server that was never used, made with the image: the first start copies them.
prepared=/opt/mysql-prepared
# Beside the data while they are being made. mysqld ignores names that begin with a dot.
unfinished=$data/.unfinished
statements=/run/mysqld/first.sql

if [ $# -eq 0 ] || [ "${1:0:1}" = - ]; then set -- mysqld "$@"; fi
if [ "$1" != mysqld ]; then exec "$@"; fi
shift

say() { echo "$(date -u +%FT%TZ) [Note] [Entrypoint]: $*" >&2; }

# value NAME: of the variable, or of the file that NAME_FILE names.
value() {
  local file=${1}_FILE
  if [ -n "${!1}" ]; then
    printf %s "${!1}"
  elif [ -n "${!file}" ]; then
    cat "${!file}"
  fi
}
text() {
  local escaped=${1//\\/\\\\}
  printf "'%s'" "${escaped//\'/\\\'}"
}
# shellcheck disable=SC2016 # these are MySQL's own quotes
name() { printf '`%s`' "${1//\`/\`\`}"; }

root_password=$(value MYSQL_ROOT_PASSWORD)
user_password=$(value MYSQL_PASSWORD)
mkdir -p /run/mysqld "$data"
chown mysql:mysql /run/mysqld "$data"

first=
if [ ! -d "$data/mysql" ] || [ -e "$unfinished" ]; then
  if [ -z "$root_password" ] && [ -z "$MYSQL_ALLOW_EMPTY_PASSWORD" ]; then
    say "Database is uninitialized and password option is not specified"
    say "Specify MYSQL_ROOT_PASSWORD, MYSQL_ROOT_PASSWORD_FILE or MYSQL_ALLOW_EMPTY_PASSWORD"
    exit 1
  fi
  first=1
  find "$data" -mindepth 1 -delete
  : >"$unfinished"
  say "Copying the prepared data folder"
  cp -a --reflink=auto "$prepared/." "$data/"
  # Each server has an id of its own.
  rm -f "$data/auto.cnf" "$unfinished"
fi

# Run by mysqld itself before it takes connections; harmless when a start was cut short and all is run again.
(
  umask 077
  {
    host=${MYSQL_ROOT_HOST-%}
    if [ -n "$root_password$MYSQL_ALLOW_EMPTY_PASSWORD" ]; then
      if [ -n "$host" ]; then
        echo "CREATE USER IF NOT EXISTS 'root'@$(text "$host") IDENTIFIED BY $(text "$root_password");"
        echo "GRANT ALL ON *.* TO 'root'@$(text "$host") WITH GRANT OPTION;"
      fi
      if [ -n "$first" ]; then echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(text "$root_password");"; fi
    fi
    if [ -n "$MYSQL_DATABASE" ]; then echo "CREATE DATABASE IF NOT EXISTS $(name "$MYSQL_DATABASE");"; fi
    if [ -n "$MYSQL_USER" ] && [ -n "$user_password" ]; then
      echo "CREATE USER IF NOT EXISTS $(text "$MYSQL_USER")@'%' IDENTIFIED BY $(text "$user_password");"
      if [ -n "$MYSQL_DATABASE" ]; then
        echo "GRANT ALL ON $(name "$MYSQL_DATABASE").* TO $(text "$MYSQL_USER")@'%';"
      fi
    fi
    if [ -n "$first" ]; then
      for file in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$file" ] || continue
        if [ -n "$MYSQL_DATABASE" ]; then echo "USE $(name "$MYSQL_DATABASE");"; fi
        cat "$file"
        echo
      done
    fi
  } >"$statements"
)
chown mysql:mysql "$statements"
if [ -s "$statements" ]; then set -- --init-file="$statements" "$@"; fi
exec mysqld --user=mysql --datadir="$data" --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid "$@"

#!/usr/bin/env bash
# Puts Kafka's jars into the cache, from which `ecomctl up` starts a private broker. Does nothing when they are there.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n '/kafka_2.13/{n;s/.*<version>\(.*\)<\/version>.*/\1/p}' "$here/compose/kafka/pom.xml")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ecomctl
home=$cache/kafka-$version
if [ -f "$home/complete" ]; then
  echo "Kafka $version is in $home"
  exit 0
fi
echo "Fetching Kafka $version with mvn into $home"
mkdir -p "$cache"
work=$(mktemp -d "$cache/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mvn --batch-mode --quiet -f "$here/compose/kafka/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/libs"
ls "$work"/libs/kafka_2.13-"$version".jar "$work"/libs/slf4j-simple-*.jar >/dev/null
touch "$work/complete"
rm -rf "$home"
mv "$work" "$home"
trap - EXIT
echo "Kafka $version is in $home ($(find "$home/libs" -name '*.jar' | wc -l) jars)"

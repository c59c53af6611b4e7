#!/bin/sh
# Starts one Kafka broker in KRaft mode from the jars in /opt/kafka/libs: in the official image, and in any other that
# has a JVM and those jars.
#   BROKER_SETTINGS  lines put behind server.properties; the last one of a key counts
#   CLUSTER_ID       id with which an empty data folder is made ready
#   KAFKA_JVM        options of the JVM
set -eu

settings=/tmp/server.properties
data=/var/lib/kafka/data
{
  cat /etc/ecomctl/server.properties
  printf '\n%s\nlog.dirs=%s\n' "$BROKER_SETTINGS" "$data"
} >"$settings"

# The official image logs through log4j, which is silent without its configuration.
log=/etc/kafka/docker/log4j2.yaml
if [ -f "$log" ]; then
  KAFKA_JVM="$KAFKA_JVM -Dlog4j2.configurationFile=$log -Dkafka.logs.dir=/tmp"
fi

if [ -f "$data/meta.properties" ]; then
  if ! grep -q "^cluster.id=$CLUSTER_ID\$" "$data/meta.properties"; then
    echo "the data in $data are not of cluster $CLUSTER_ID: set ECOMCTL_KAFKA_CLUSTER_ID to theirs," \
      "or remove the volume (down -v): $(grep '^cluster.id=' "$data/meta.properties" || true)" >&2
    exit 1
  fi
else
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' \
    kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$settings"
fi

# Words of KAFKA_JVM are options of their own.
# shellcheck disable=SC2086
exec java $KAFKA_JVM -cp '/opt/kafka/libs/*' kafka.Kafka "$settings"

#!/usr/bin/env bash
# Builds the images that the Docker tests use, from Debian packages and Kafka's own jars; no registry is asked.
#
#   ecomctl-test/mysql:9.7   ecomctl-test/redis:8.0   ecomctl-test/jre:21   ecomctl-test/kafka:4
#
# One root file system is unpacked from packages and imported; the images are that one with an entrypoint, MySQL also with
# the data of a server that was never used, Kafka with its jars. Does nothing when all are there and up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

files=tests/images
base=ecomctl-test/base:latest
images=(ecomctl-test/mysql:9.7 ecomctl-test/redis:8.0 ecomctl-test/jre:21 ecomctl-test/kafka:4)
label=dev.ecomctl.test-image
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
started=$SECONDS

digest=$(cat scripts/images.sh scripts/lib.sh compose/kafka/pom.xml "$files"/* | sha256sum | cut -c1-16)

say() { printf '%3d s  %s\n' $((SECONDS - started)) "$*"; }

# Whether every image is there and was built from these very files.
current() {
  local image
  for image in "${images[@]}"; do
    [ "$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$image" 2>/dev/null)" = "$digest" ] || return 1
  done
}

# lines FILE: without comments.
lines() { grep -v '^#' "$files/$1"; }

# Packages → $root, in parallel: no script of a package runs, so the order does not matter.
unpack() {
  local unwanted
  unwanted="/($(lines unwanted-packages | paste -sd '|'))_[^/]*$"
  # shellcheck disable=SC2046 # one word a package
  fetch $(lines packages) | grep -Ev "$unwanted" | xargs ls -S >"$work/packages"
  say "$(wc -l <"$work/packages") packages are here"
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  export root files
  # shellcheck disable=SC2016 # expanded by the inner shell
  xargs -a "$work/packages" -P "$(nproc)" -I{} bash -o pipefail -c \
    'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$root" --keep-directory-symlink --no-overwrite-dir -X "$files/unwanted-files"' _ {}
  # A tar makes a folder private until its end; another one that meets it there leaves it so.
  find "$root" -mindepth 1 -type d -perm 700 -exec chmod 755 {} +
}

# What the packages' own scripts would have done.
configure() {
  cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  sed -i 's/:\*:/:x:/' "$root/etc/passwd" "$root/etc/group"
  account mysql 999 /var/lib/mysql
  account redis 998 /data
  printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
  mkdir -p "$root"/{dev,proc,sys,run,tmp,root,opt} "$root"/var/tmp "$root"/usr/local/{bin,sbin} \
    "$root"/etc/mysql/conf.d "$root"/docker-entrypoint-initdb.d
  chmod 1777 "$root/tmp" "$root/var/tmp"
  rm -rf "$root/var/run"
  ln -s /run "$root/var/run"
  install -d -o 998 -g 998 "$root/data"
  install -d -o 999 -g 999 "$root/var/lib/mysql"
  install -d -o 999 -g 999 -m 750 "$root/var/lib/mysql-files" "$root/var/lib/mysql-keyring"
  [ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
  [ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
  install -m 644 "$files/my.cnf" "$root/etc/mysql/my.cnf"
  local java
  java=$(basename "$root"/usr/lib/jvm/java-*-openjdk-*)
  ln -sfn "$java" "$root/usr/lib/jvm/default-java"
  ln -sf "../lib/jvm/$java/bin/java" "$root/usr/bin/java"
  chroot "$root" ldconfig
  # A library that was left out by mistake is told here, not by a test.
  local program libraries
  for program in /usr/sbin/mysqld /usr/bin/mysql /usr/bin/mysqladmin /usr/bin/redis-server /usr/bin/redis-cli /usr/bin/setpriv; do
    libraries=$(chroot "$root" ldd "$program")
    if grep 'not found' <<<"$libraries"; then die 1 "$program lacks libraries: see $files/unwanted-packages"; fi
  done
}

# account NAME ID HOME
account() {
  echo "$1:x:$2:$2::$3:/usr/sbin/nologin" >>"$root/etc/passwd"
  echo "$1:x:$2:" >>"$root/etc/group"
}

# container COMMAND…: a container of the base image, made and not started; prints its id. The files of a test image are
# copied into it, and it is kept as that image.
container() {
  docker create --label "$label=$digest" --security-opt seccomp=unconfined --network none "$base" "$@" | tee -a "$work/containers"
}

# keep CONTAINER IMAGE CHANGE…: makes IMAGE of it.
keep() {
  local from=$1 image=$2 changes=() change
  shift 2
  for change in "LABEL $label=$digest" "$@"; do changes+=(--change "$change"); done
  docker commit "${changes[@]}" "$from" "$image" >/dev/null
}

mysql_image() {
  local id
  # Small logs, because the first start of each container copies them.
  id=$(container bash -euc 'mkdir -p /run/mysqld /opt/mysql-prepared
    chown mysql:mysql /run/mysqld /opt/mysql-prepared
    mysqld --no-defaults --initialize-insecure --user=mysql --datadir=/opt/mysql-prepared \
      --skip-log-bin --innodb-redo-log-capacity=8M
    rm /opt/mysql-prepared/auto.cnf')
  docker cp "$files/mysql-entrypoint.sh" "$id:/usr/local/bin/docker-entrypoint.sh"
  docker start --attach "$id" >"$work/mysql.log" 2>&1 || die 1 "MySQL's data could not be made:
$(tail -n 20 "$work/mysql.log")"
  keep "$id" ecomctl-test/mysql:9.7 'ENV MYSQL_VERSION=9.7' 'VOLUME /var/lib/mysql' 'EXPOSE 3306 33060' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["mysqld"]'
}

redis_image() {
  local id
  id=$(container true)
  docker cp "$files/redis-entrypoint.sh" "$id:/usr/local/bin/docker-entrypoint.sh"
  keep "$id" ecomctl-test/redis:8.0 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["redis-server"]'
  # As the user that it drops to, who sees less than root.
  docker run --rm --network none --label "$label=$digest" ecomctl-test/redis:8.0 redis-server --version >/dev/null
}

java_images() {
  local id
  id=$(container true)
  keep "$id" ecomctl-test/jre:21 'ENV JAVA_HOME=/usr/lib/jvm/default-java' 'CMD ["java","-version"]'
  # Where the official image has them.
  tar -C "$1" --transform 's,^libs,opt/kafka/libs,' --owner 0 --group 0 -c libs | docker cp - "$id:/"
  keep "$id" ecomctl-test/kafka:4 'ENV JAVA_HOME=/usr/lib/jvm/default-java' 'EXPOSE 9092' 'CMD ["java","-version"]'
}

if ! command -v docker >/dev/null; then die "$cannot" "the docker program is needed to build the test images, and is not here"; fi
if current; then
  echo "The test images are there: ${images[*]}"
  exit 0
fi
mkdir -p "$cache"
# One at a time; the second finds what the first has made.
exec 9>"$cache/images.lock"
flock 9
if current; then exit 0; fi
[ "$(id -u)" -eq 0 ] || die "$cannot" "the test images are not there, and only root can unpack packages: run scripts/images.sh as root once"

work=$(mktemp -d "${TMPDIR:-/tmp}/ecomctl-images.XXXXXX")
root=$work/root
touch "$work/containers"
clean() {
  local id
  while read -r id; do docker rm --force --volumes "$id" >/dev/null; done <"$work/containers"
  rm -rf "$work"
}
trap clean EXIT
echo "Building the test images: ${images[*]}"
scripts/kafka.sh
kafka=$cache/kafka-$(sed -n '/kafka_2.13/{n;s/.*<version>\(.*\)<\/version>.*/\1/p}' compose/kafka/pom.xml)
use_unstable
mkdir "$root"
unpack
say "unpacked: $(du -sm "$root" | cut -f1) MB"
configure
tar -C "$root" --numeric-owner -c . |
  docker import --change "ENV PATH=$path" --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' \
    --change "LABEL $label=$digest" - "$base" >/dev/null
say "imported"
mysql_image &
mysql=$!
redis_image
java_images "$kafka"
wait "$mysql"
# Those of earlier scripts have lost their names.
docker image prune --force --filter "label=$label" >/dev/null
say "done"

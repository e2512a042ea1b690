#!/bin/sh
# What `make test` needs beside .venv: a browser that shows Chinese, and Maven to fetch Kafka's jars once.
# Installed through apt where that may be done; else the one line to run is said.
set -eu

need=
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    need="$need chromium"
# Without such a font a screenshot of the Chinese pages shows boxes and still passes every test.
{ fc-list :lang=zh 2>/dev/null; ls /usr/share/fonts/*/noto/*CJK* 2>/dev/null; } | grep -q . || need="$need fonts-noto-cjk"
[ -n "$(ls .cache/kafka/kafka_2.13-*.jar 2>/dev/null)" ] || command -v mvn >/dev/null || need="$need maven"

[ -z "$need" ] && exit 0
line="apt-get update && apt-get install -y --no-install-recommends$need"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$need"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # Another apt may be at work, as on a machine that has just started: waited for, five minutes at most.
    export APT_CONFIG="$log.conf" && echo 'DPkg::Lock::Timeout "300";' >"$APT_CONFIG"
    if sh -c "$line" >"$log" 2>&1; then
        rm -f "$log" "$log.conf"
        exit 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log" "$log.conf"
fi
echo "the tests need$need; run as root: $line" >&2
exit 1

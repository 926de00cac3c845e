#!/bin/sh
# Puts promtool into DIR, for the tests of deploy/prometheus: the one on the PATH, or the one of the distribution's package, taken
# out of it without installing it, so that no Prometheus is started. Does nothing when it is there and works.
# usage: get-promtool.sh DIR
set -eu

mkdir -p "$1"
dir=$(cd "$1" && pwd)

works() { [ -x "$dir/promtool" ] && "$dir/promtool" --version >/dev/null 2>&1; }

from_path() {
    found=$(command -v promtool) || return 1
    ln -sf "$found" "$dir/promtool"
    works
}

# apt with lists of its own, below $dir, so that it needs no rights and sees what is new
private_apt() {
    apt-get -q -o Dir::State::lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none "$@"
}

from_package() {
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/deb"
    private_apt update || return 1
    cd "$dir/deb"
    private_apt download prometheus || return 1
    dpkg --fsys-tarfile prometheus_*.deb | tar -x -C "$dir" --strip-components=3 ./usr/bin/promtool || return 1
    cd "$dir"
    rm -rf "$dir/apt" "$dir/deb"
    works
}

works && exit 0
log=$dir/get-promtool.log
for way in from_path from_package; do
    # in a shell of its own, so that a failure ends this way and not the script
    if ("$way") >>"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    rm -rf "$dir/apt" "$dir/deb" "$dir/promtool"
done
echo "get-promtool.sh: no promtool could be had; see $log, or put one on the PATH (it is part of Prometheus)" >&2
exit 1

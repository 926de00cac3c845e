#!/bin/sh
# Puts redis-server and redis-cli into DIR, for the tests: Redis 8 from Debian's signed archive, without touching the system,
# or else the distribution's own package. Does nothing when they are there and work.
# usage: get-redis.sh DIR
set -eu

suite=trixie
packages="redis-server redis-tools libc6 libjemalloc2 liblzf1 libssl3t64 libstdc++6 libgcc-s1 libatomic1 libsystemd0
libcap2 zlib1g libzstd1"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

mkdir -p "$1"
dir=$(cd "$1" && pwd)

works() { [ -x "$dir/redis-server" ] && "$dir/redis-server" --version >/dev/null 2>&1; }

# apt with state of its own, below $dir, and no source but the one in it
private_apt() {
    apt-get -q -o Dir::Etc::sourcelist="$dir/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# starts a program of $dir/root with the loader and the libraries it was built for: wrap NAME BINARY
wrap() {
    lib=$(dirname "$(find "$dir/root" -name libjemalloc.so.2 | head -n 1)")
    loader=$(find "$dir/root" -name 'ld-linux-*.so.*' | head -n 1)
    cat >"$dir/$1" <<EOF
#!/bin/sh
exec "$loader" --library-path "$lib:/lib/$(basename "$lib")" --argv0 "$1" "$dir/root/usr/bin/$2" "\$@"
EOF
    chmod +x "$dir/$1"
}

from_archive() {
    [ -r "$keyring" ] || return 1
    # the mirror that this machine already uses
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/$' | head -n 1)
    [ -n "$mirror" ] || return 1
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/deb" "$dir/root"
    cp /var/lib/dpkg/status "$dir/apt/status"
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$dir/apt/sources.list"
    private_apt update || return 1
    cd "$dir/deb"
    private_apt download $(printf "%s/$suite " $packages) || return 1
    for file in *.deb; do dpkg -x "$file" "$dir/root" || return 1; done
    cd "$dir"
    wrap redis-server redis-check-rdb
    wrap redis-cli redis-cli
    rm -rf "$dir/apt" "$dir/deb"
    works
}

from_distribution() {
    if ! command -v redis-server >/dev/null; then
        become=""
        [ "$(id -u)" = 0 ] || become="sudo -n"
        $become apt-get -q update && $become apt-get -q install -y --no-install-recommends redis-server || return 1
    fi
    for name in redis-server redis-cli; do ln -sf "$(command -v $name)" "$dir/$name"; done
    works
}

works && exit 0
log=$dir/get-redis.log
for way in from_archive from_distribution; do
    # in a shell of its own, so that a failure ends this way and not the script
    if ("$way") >>"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    rm -rf "$dir/apt" "$dir/deb" "$dir/root" "$dir/redis-server" "$dir/redis-cli"
done
echo "get-redis.sh: no redis-server could be installed; see $log, or put one on the PATH" >&2
exit 1

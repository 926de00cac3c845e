#!/bin/sh
# Installs the clients of tests/compatibility into DIR: those in Python into an environment of their own, and with npm those in
# Node and the provider they are tried with. Without Node and npm those tests are passed over, and say so.
# usage: get-clients.sh DIR
set -eu
cd "$(dirname "$0")/.."

echo "installing the clients of tests/compatibility into $1 …"
scripts/get-venv.sh "$1"
"$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-clients.txt
if ! command -v npm >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nodejs npm >/dev/null || true
fi
if command -v npm >/dev/null; then
    cp tests/compatibility/package.json tests/compatibility/package-lock.json tests/compatibility/.npmrc "$1/"
    npm ci --prefix "$1" --silent
else
    echo "get-clients.sh: without npm on the PATH the compatibility tests are passed over" >&2
fi
touch "$1/.installed"

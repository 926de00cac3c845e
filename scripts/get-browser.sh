#!/bin/sh
# Has Chromium and a font installed, for the console's tests: Debian's packages, where they are missing and root asks.
# usage: get-browser.sh
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    if apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; then
        exit 0
    fi
fi
# Not the end: every other test runs, and those of the console say what is missing.
echo "get-browser.sh: the console's tests need Chromium on the PATH. On Debian: sudo apt-get install chromium fonts-dejavu-core" >&2

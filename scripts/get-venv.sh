#!/bin/sh
# Makes the virtual environment DIR anew, with the first good Python of this machine ($PYTHON goes before all others).
# Debian and its children split venv from Python; then pip does what is missing, or else apt, if root asks.
# usage: get-venv.sh DIR
set -eu

give_up() {
    echo "get-venv.sh: $*" >&2
    exit 1
}

for name in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3.14 python3 none; do
    if [ "$name" = none ]; then give_up "llmgw needs Python 3.11 or newer, and there is none on the PATH"; fi
    # asked to run, since a name on the PATH may be a stand-in for a Python that is not installed
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then break; fi
done

rm -rf "$1"
if "$name" -m venv "$1" >/dev/null 2>&1; then exit 0; fi
rm -rf "$1"
if "$name" -m venv --without-pip "$1" && "$name" -m pip --python "$1/bin/python" install pip; then exit 0; fi >/dev/null 2>&1
rm -rf "$1"
package=$("$name" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    give_up "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install $package"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
"$name" -m venv "$1"

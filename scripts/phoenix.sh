#!/bin/sh
# Shows our traces in a backend that nobody here wrote: installs Arize Phoenix into an environment of its own, starts it, makes calls of
# many kinds through a gateway that exports to it by HTTP and by gRPC, and compares what it shows with the call records.
# usage: phoenix.sh DIR [SCREENSHOT.png]      DIR holds Phoenix and its data; the picture needs /usr/bin/chromium
set -eu

mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
port=${PHOENIX_PORT:-6006} grpc_port=${PHOENIX_GRPC_PORT:-4317}

if [ ! -x "$dir/venv/bin/phoenix" ]; then
    scripts/get-venv.sh "$dir/venv"
    "$dir/venv/bin/python" -m pip install -q arize-phoenix
fi

PHOENIX_WORKING_DIR=$dir PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port PHOENIX_GRPC_PORT=$grpc_port PHOENIX_TELEMETRY_ENABLED=false \
    "$dir/venv/bin/phoenix" serve >"$dir/log.txt" 2>&1 &
phoenix=$!
trap 'kill $phoenix 2>/dev/null && wait $phoenix || true' EXIT

for _ in $(seq 120); do
    if .venv/bin/python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/healthz')" 2>/dev/null; then break; fi
    kill -0 $phoenix 2>/dev/null || { tail "$dir/log.txt" >&2; exit 1; }
    sleep 1
done

.venv/bin/python -m tests.trace.phoenix --url "http://127.0.0.1:$port" --grpc "http://127.0.0.1:$grpc_port" ${2:+--screenshot "$2"}
if [ -t 0 ]; then
    printf 'Phoenix is at http://127.0.0.1:%s; press Enter to stop it. ' "$port"
    read -r _
fi

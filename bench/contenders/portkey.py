"""Portkey's open-source gateway from npm, on node; the provider's address comes with each call, in headers."""

import json
import shutil
import subprocess
from pathlib import Path

from bench.contender import Contender, NotAvailable, Pace, Site, free_port

PACKAGE, VERSION = "@portkey-ai/gateway", "1.15.2"
# Portkey's issue 1389: with node-server from 1.14 on every stream is a 500 ("TypeError: immutable").
OVERRIDES = {"@hono/node-server": "1.13.8"}


def prepare(site: Site) -> Contender:
    node = shutil.which("node")
    if not node:
        raise NotAvailable("node is not installed")
    start, port = _install(site.build / f"portkey-{VERSION}"), free_port()
    return Contender(
        name="portkey",
        version=f"{VERSION} (node {_node_version(node)})",
        port=port,
        command=(node, str(start), "--headless", f"--port={port}"),
        environment={"NODE_ENV": "production"},
        headers=(
            ("Authorization", "Bearer sk-mock"),
            ("x-portkey-provider", "openai"),
            ("x-portkey-custom-host", site.mock_url),
        ),
        pace=Pace(streams_per_second=60),
    )


def _install(folder: Path) -> Path:
    start = folder / "node_modules" / PACKAGE / "build" / "start-server.js"
    if start.exists():
        return start
    if not shutil.which("npm"):
        raise NotAvailable("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"private": True, "dependencies": {PACKAGE: VERSION}, "overrides": OVERRIDES}
    (folder / "package.json").write_text(json.dumps(manifest))
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode or not start.exists():
        raise NotAvailable(f"npm install {PACKAGE}@{VERSION}: {done.stderr.strip()[-300:]}")
    return start


def _node_version(node: str) -> str:
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()

"""nginx from Debian, as a plain relay. A missing one is unpacked under the build folder; no service is installed."""

import os
import shutil
import subprocess
from pathlib import Path

from bench.contender import Contender, NotAvailable, Site, free_port

CONFIGURATION = """\
{user}
worker_processes 1;
daemon off;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_buffer_size 256k;
    client_max_body_size 16m;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    upstream mock {{
        server 127.0.0.1:{mock_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
        }}
    }}
}}
"""


def prepare(site: Site) -> Contender:
    program, port = _find(site.build), free_port()
    configuration = site.scratch / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(CONFIGURATION.format(user=user, scratch=site.scratch, mock_port=site.mock_port, port=port))
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
    return Contender(
        name="nginx",
        version=told.stderr.strip().rpartition("/")[2],
        port=port,
        command=(program, "-p", str(site.scratch), "-e", str(site.scratch / "error.log"), "-c", str(configuration)),
    )


def _find(build: Path) -> str:
    unpacked = build / "nginx" / "usr" / "sbin" / "nginx"
    if found := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return found
    if not unpacked.exists():
        _unpack(build / "nginx")
    return str(unpacked)


def _unpack(folder: Path) -> None:
    if not shutil.which("apt-get"):
        raise NotAvailable("nginx is not installed, and this is no Debian to take it from")
    folder.mkdir(parents=True, exist_ok=True)
    steps = [["apt-get", "download", "nginx"]]
    if os.geteuid() == 0:
        steps.insert(0, ["apt-get", "-qq", "update"])
    for step in steps:
        done = subprocess.run(step, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotAvailable(f"`{' '.join(step)}`: {done.stderr.strip()[-300:]}")
    package = next(folder.glob("nginx_*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)

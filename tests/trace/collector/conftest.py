"""Certificates."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files: `cert` of localhost with its `key`, that key `locked` by a password, and an `empty` one."""
    folder = tmp_path_factory.mktemp("certificates")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
    command += "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    command = f"openssl ec -aes256 -passout pass:word -in {folder}/key.pem -out {folder}/locked.pem"
    subprocess.run(command.split(), check=True, capture_output=True)
    (folder / "empty.pem").touch()
    return {path.stem: str(path) for path in folder.iterdir()}

"""The guard that watches the demo tells other machines from this one, in children too."""

import subprocess
import sys
from pathlib import Path

import pytest

from galileu_pipeline_tests.e2e.network import NetworkGuard
from galileu_pipeline_tests.e2e.sandbox import INHERITED

IN_A_CHILD = "subprocess.run([sys.executable, '-c', 'import socket; socket.gethostbyname(\"a.test\")'], check=True)"


def run(guard: NetworkGuard, code: str) -> None:
    environment = {**INHERITED, **guard.environment}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("attempt", "host"),
    [
        ("socket.create_connection(('192.0.2.1', 80), timeout=5)", "192.0.2.1"),
        ("socket.create_connection(('2001:db8::1', 80), timeout=5)", "2001:db8::1"),
        ("socket.getaddrinfo('huggingface.co', 443)", "huggingface.co"),
        ("socket.gethostbyname('telemetry.dagster.io')", "telemetry.dagster.io"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'.', ('192.0.2.1', 53))", "192.0.2.1"),
        ("urllib.request.urlopen('https://api.gradio.app/', timeout=5)", "api.gradio.app"),
        (
            "subprocess.run([sys.executable, '-c', 'import socket; socket.gethostbyname(\"a.test\")'], check=True)",
            "a.test",
        ),
    ],
)
def test_other_machines_are_refused_and_written_down(tmp_path: Path, attempt: str, host: str) -> None:
    guard = NetworkGuard(tmp_path / "network.jsonl")
    with pytest.raises(subprocess.CalledProcessError):
        run(guard, f"import socket, subprocess, sys, urllib.request; {attempt}")
    (found,) = guard.attempts()
    assert host in found.partition(" by ")[0]


def test_this_machine_is_not_another_one(tmp_path: Path) -> None:
    guard = NetworkGuard(tmp_path / "network.jsonl")
    code = """
import socket, tempfile
socket.getaddrinfo(None, 0)
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "localhost")):
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen()
        client.connect(server.getsockname())
with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
    server.bind(f"{folder}/here")
    server.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/here")
"""
    run(guard, code)
    assert guard.attempts() == []
    assert len(guard.watched()) == 1

"""No command sends or fetches anything: each runs in a process in which whatever would leave this machine is noted and
refused. Seen are the sockets of Python code, there and in child processes; not those of native libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from watched.calls import calls_in, watched_environment

TRIES = {
    "a connection": "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)",
    "the module below": "import _socket; _socket.socket(_socket.AF_INET).connect(('192.0.2.1', 9))",
    "a datagram": "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    "a name": "import socket; socket.getaddrinfo('tracking.example', 443)",
    "an old look-up": "import socket; socket.gethostbyname('tracking.example')",
    "a page": "import urllib.request; urllib.request.urlopen('http://tracking.example/')",
    "a child": (
        "import subprocess, sys; code = 'import socket; socket.getaddrinfo(\"tracking.example\", 80)';"
        "subprocess.run([sys.executable, '-c', code], check=True)"
    ),
}
LOCAL_PROGRAMS = frozenset({"ldconfig", "gcc", "cc", "ld", "objdump", "fc-list", "uname", "lscpu"})
"""What Python and Matplotlib ask for libraries, fonts and the machine."""


def python(code: str, log) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env=watched_environment(log)
    )


def foreign_programs(log) -> set[str]:
    """Programs that were started and are neither Python, which is watched, nor known to stay on the machine."""
    started = {line["what"] for line in calls_in(log, "program")} - {sys.executable}
    return {name for name in started if Path(name).name not in LOCAL_PROGRAMS}


@pytest.mark.parametrize("code", TRIES.values(), ids=TRIES)
def test_the_watch_sees_and_refuses(code, tmp_path):
    done = python(code, tmp_path / "calls")
    assert done.returncode != 0 and "refuses whatever leaves this machine" in done.stderr
    assert len(calls_in(tmp_path / "calls", "outside")) == 1


def test_the_watch_lets_this_machine_talk_to_itself(tmp_path):
    code = (
        "import socket; a = socket.create_server(('127.0.0.1', 0)); socket.create_connection(a.getsockname());"
        "socket.getaddrinfo('localhost', 80)"
    )
    done = python(code, tmp_path / "calls")
    assert done.returncode == 0, done.stderr
    assert calls_in(tmp_path / "calls", "watched") and not calls_in(tmp_path / "calls", "outside")


def test_a_training_sends_nothing(trained, calls_of_training):
    done, _ = trained
    assert done.returncode == 0, done.stderr
    assert calls_in(calls_of_training, "watched"), "the training was watched"
    assert not calls_in(calls_of_training, "outside")
    assert foreign_programs(calls_of_training) == set()


def test_judging_and_looking_send_nothing(own_run, small_world, tmp_path):
    run = str(own_run.path)
    commands = [
        ["audit", run],
        ["report", run],
        ["evaluate", run],
        ["predict", run, "--samples", "1"],
        ["probe", run, "fresh_process_evaluation"],
        ["watch", run, "--once"],
        ["data", "check", str(small_world), "--sample", "2"],
        ["list", "models"],
        ["fetch", "remoteclip-rn50"],
    ]
    code = f"from veritrain import cli\nfor words in {commands!r}:\n    assert cli.main(words) in (0, 1), words"
    done = python(code, tmp_path / "calls")
    assert done.returncode == 0, done.stderr
    processes = {line["process"] for line in calls_in(tmp_path / "calls", "watched")}
    assert len(processes) >= 2, "the fresh process of the probe was watched too"
    assert not calls_in(tmp_path / "calls", "outside")
    assert foreign_programs(tmp_path / "calls") == set()

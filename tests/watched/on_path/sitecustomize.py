"""Put on PYTHONPATH by ``watched.calls``: notes and refuses what would leave this machine, in this process and its
children.

Python imports this file before anything else. The interpreter's audit hooks then see every socket of Python code,
whoever imported it and from where; not what a native library might open by itself.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from typing import Any

LOG = os.environ.get("VERITRAIN_TEST_CALLS", "")
BY_ADDRESS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
BY_NAME = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"})


def _stays_here(host: Any) -> bool:
    """Whether a host is this machine's own loopback; a path (AF_UNIX) and no host at all are."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _goes_out(event: str, arguments: tuple[Any, ...]) -> bool:
    if event in BY_ADDRESS:
        address = arguments[1]
        return isinstance(address, tuple) and not _stays_here(address[0])
    if event in BY_NAME:
        return not _stays_here(arguments[0])
    return event == "webbrowser.open"


def _note(kind: str, event: str, what: object) -> None:
    line = json.dumps({"kind": kind, "event": event, "what": str(what), "process": os.getpid(), "of": sys.orig_argv})
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in PROGRAMS:
        _note("program", event, os.fspath(arguments[0] or arguments[1][0]))
    elif _goes_out(event, arguments):
        _note("outside", event, arguments[1:] if event in BY_ADDRESS else arguments)
        raise PermissionError(f"{event} {arguments[-1]!r}: a test refuses whatever leaves this machine")


if LOG:
    _note("watched", "start", sys.executable)
    sys.addaudithook(_hook)

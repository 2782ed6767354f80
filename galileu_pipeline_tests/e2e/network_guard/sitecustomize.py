"""With this folder on PYTHONPATH, a Python process and its children reach no machine but this one.

Every attempt is written to the file that NETWORK_GUARD_LOG names, and refused; the start of every process is written
too, to show who was watched. Python tells of its sockets by audit hooks, which no module can go around; of what a
compiled library does by itself it knows nothing.
"""

import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

LOG = Path(os.environ["NETWORK_GUARD_LOG"])
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
SENDINGS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def is_here(host: Any) -> bool:
    """A name or an address of this machine; None and the empty string stand for one too."""
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if name in ("localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def host_of(event: str, arguments: tuple[Any, ...]) -> Any:
    """Who is looked up or connected to; None where it is no other machine, as with sockets in the file system."""
    if event in LOOKUPS:
        return arguments[0]
    if event in SENDINGS:
        connection, address = arguments
        if connection.family in (socket.AF_INET, socket.AF_INET6) and address is not None:
            return address[0]
    return None


def write(kind: str, value: Any) -> None:
    """One line, in one piece: many processes write here."""
    line = json.dumps({"kind": kind, "value": value, "process": sys.orig_argv}) + "\n"
    descriptor = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in LOOKUPS or event in SENDINGS:
        host = host_of(event, arguments)
        if not is_here(host):
            write("attempt", f"{event} {host!r}")
            raise ConnectionRefusedError(f"the tests reach no other machine, so not {host!r}")


write("start", None)
sys.addaudithook(watch)

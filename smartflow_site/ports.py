# SPDX-License-Identifier: Apache-2.0
"""The listening socket: bound once by the parent, inherited by every server process."""

import contextlib
import errno
import os
import socket
import stat

from smartflow_site.process import Fault


class PortError(Fault):
    """The address cannot be listened on; the text is one sentence for a person."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet; children may inherit it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as fault:
        raise PortError(f"SMARTFLOW_HOST {host} is not an address of this machine.") from fault
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        _refuse_taken(family, address)
    except OSError as fault:
        bound.close()
        raise PortError(_sentence(host, port, fault)) from fault
    bound.set_inheritable(True)
    return bound


def listen(bound: socket.socket) -> None:
    """Begin to listen; from here on connections wait for a server process instead of being refused."""
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(2048)
    except OSError as fault:
        raise PortError(_sentence(host, port, fault)) from fault


def inherited(number: int) -> socket.socket:
    """The listening socket behind a file descriptor that a parent passed on."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            raise PortError(f"--fd {number} is not a socket.")
    except OSError as fault:
        raise PortError(f"--fd {number} is not open.") from fault
    return socket.socket(fileno=number)


def _refuse_taken(family: int, address: tuple[object, ...]) -> None:
    """Address reuse lets two bind while only one may listen: ask whether somebody already does."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(address[0]), address[0])  # noqa: S104 - compared
        with contextlib.suppress(TimeoutError, ConnectionError):
            probe.connect((host, *address[1:]))
            if probe.getsockname() != probe.getpeername():
                raise OSError(errno.EADDRINUSE, "somebody answers")


def _sentence(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use; choose another one, for example SMARTFLOW_PORT={min(port + 1, 65535)}."
    if fault.errno == errno.EACCES:
        return f"Port {port} needs privileges; choose one above 1023 with SMARTFLOW_PORT."
    if fault.errno == errno.EADDRNOTAVAIL:
        return f"SMARTFLOW_HOST {host} is not an address of this machine."
    return f"Port {port} on {host} cannot be listened on: {fault.strerror or fault}."

"""A listening socket, or a clear reason why there is none."""

import errno
import socket

from mesh_fl.errors import NetworkError


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket.

    Parameters
    ----------
    host
        Address or name of a local interface, IPv4 or IPv6.
    port
        TCP port, or 0 for any free one.

    Raises
    ------
    NetworkError
        If the address is not ours, or the port is taken or reserved.
    """
    if not 0 <= port <= 65535:
        raise NetworkError(f"Cannot listen on {host}:{port}; choose a port from 1 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise NetworkError(_bind_message(host, port, error)) from error


def _bind_message(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is already in use, probably by another server. "
            "Stop that one, or choose another port."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} needs administrator rights. Choose a port above 1023."
    return f"Cannot listen on {host}:{port} ({error}). Choose an address of this machine."

"""What went wrong between a member and the server, in words the member can act on."""

import datetime
import email.utils
import re
import socket
import ssl
from pathlib import Path

import httpx

from mesh_fl.errors import NetworkError

# OpenSSL's verification codes (X509_V_ERR_*).
_NOT_YET_VALID, _EXPIRED = 9, 10
_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")

_AHEAD_TOLERANCE_S = 5
_BEHIND_TOLERANCE_S = 300


def trust(ca: Path) -> ssl.SSLContext:
    """Trust servers of one authority only.

    Raises
    ------
    NetworkError
        If the authority's certificate (PEM) cannot be read.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=ca.read_text("ascii"))
    except (OSError, ValueError) as error:
        found = "it holds no PEM certificate"
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            found = error.strerror or str(error)
        raise NetworkError(
            f"The authority's certificate {ca} cannot be used: {found}. "
            "Ask the operator for the file ca.crt again."
        ) from error
    return context


def check_address(server: str) -> None:
    """Check that a server's address has the form ``host:port``.

    Raises
    ------
    NetworkError
        If it has not.
    """
    form = _ADDRESS.fullmatch(server)
    if form and 0 < int(form["port"]) <= 65535:
        return
    raise NetworkError(
        f"Expected a server address such as mesh.example.org:9443, found {server!r}. "
        "Use the address that the operator gave you."
    )


def reason(error: httpx.HTTPError) -> str:
    """Say in a few words why a request got no answer."""
    causes = _causes(error)
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "no TLS connection"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "unknown host name"
    # httpx keeps the system's error as text only, such as "[Errno 111] Connection refused".
    return str(error).rpartition("] ")[2].lower().rstrip(".") or "connection lost"


def certificate_problem(error: httpx.HTTPError, server: str, ca: Path) -> NetworkError | None:
    """Explain why the server's certificate was refused; None if it was not."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NetworkError(_certificate_message(cause, server, ca))
    return None


def _certificate_message(error: ssl.SSLCertVerificationError, server: str, ca: Path) -> str:
    if error.verify_code == _EXPIRED:
        return (
            f"The certificate of server {server} has expired. "
            "Ask the operator to renew it, and check this machine's clock."
        )
    if error.verify_code == _NOT_YET_VALID:
        return (
            f"The certificate of server {server} is not valid yet. "
            "Check this machine's clock, and ask the operator about theirs."
        )
    if error.verify_code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
        return (
            f"The certificate of server {server} names another host. "
            "Use the address that the operator gave you, or ask for a certificate for this one."
        )
    return (
        f"The certificate of server {server} is not signed by our authority {ca}. "
        "Check the address, and compare the fingerprint of ca.crt with the operator's."
    )


def clock_problem(response: httpx.Response, signed_at: str) -> NetworkError | None:
    """Explain a refusal by the time we signed, if that is far from the server's own time.

    Parameters
    ----------
    response
        The refusal.
    signed_at
        ISO 8601 time, with its offset, that we put into the request.
    """
    try:
        served_at = email.utils.parsedate_to_datetime(response.headers.get("date", ""))
        ahead_s = (datetime.datetime.fromisoformat(signed_at) - served_at).total_seconds()
    except (TypeError, ValueError):
        return None
    if -_BEHIND_TOLERANCE_S < ahead_s < _AHEAD_TOLERANCE_S:
        return None
    distance = datetime.timedelta(seconds=round(abs(ahead_s)))
    side = "ahead of" if ahead_s > 0 else "behind"
    return NetworkError(
        f"This machine's clock is {distance} (h:mm:ss) {side} the server's, "
        f"which allows {_AHEAD_TOLERANCE_S} s ahead and {_BEHIND_TOLERANCE_S} s behind. "
        "Set the clock, best by NTP."
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found

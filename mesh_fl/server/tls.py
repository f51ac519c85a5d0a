"""The certificate that the server listens with, checked before anybody connects."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mesh_fl.errors import NetworkError


def tls_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a server certificate that the members will accept.

    Parameters
    ----------
    ca
        Certificate of the mesh's own authority (PEM); members trust this one only.
    certificate, key
        Server certificate and its private key (PEM, not encrypted).

    Raises
    ------
    NetworkError
        If a file cannot be read, the key does not belong to the certificate, or the certificate
        is out of date or signed by another authority.
    """
    leaf = _read_certificate(certificate)
    _check_issued(leaf, _read_certificate(ca), certificate, ca)
    _check_dates(leaf, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        # OpenSSL would ask for a password on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        if isinstance(error, ssl.SSLError):
            reason = "it is not the private key of the certificate, is encrypted or is damaged"
        else:
            reason = error.strerror or str(error)
        raise NetworkError(
            f"The server key {key} cannot be used with {certificate}: {reason}. "
            "Restore the pair or issue a new one."
        ) from error
    return context


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise NetworkError(
            f"The certificate {path} cannot be read: {reason}. Check the path and its permissions."
        ) from error
    except ValueError as error:
        raise NetworkError(
            f"The file {path} holds no PEM certificate. Restore it or issue a new one."
        ) from error


def _check_issued(
    leaf: x509.Certificate, issuer: x509.Certificate, leaf_path: Path, issuer_path: Path
) -> None:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise NetworkError(
            f"The server certificate {leaf_path} is not signed by {issuer_path}, so no member "
            "would accept it. Issue a server certificate from this authority."
        ) from error


def _check_dates(leaf: x509.Certificate, path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not first <= now <= last:
        raise NetworkError(
            f"The server certificate {path} is valid from {first:%Y-%m-%d %H:%M} to "
            f"{last:%Y-%m-%d %H:%M} UTC, and now it is {now:%Y-%m-%d %H:%M}. "
            "Issue a new one, or correct the clock."
        )

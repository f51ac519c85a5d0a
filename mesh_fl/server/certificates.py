"""A network's own keys: its authority and server certificate (X.509, RFC 5280), its operator."""

import datetime
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh_fl.errors import ConfigError
from mesh_fl.store import write_durably

OPERATOR_KEY = "operator.key"
CA_DAYS = 3650
SERVER_DAYS = 397
BACKDATED = datetime.timedelta(minutes=5)
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


def make_certificates(home: Path, network: str, hosts: Sequence[str]) -> None:
    """Write ca.crt, ca.key, server.crt and server.key, keys with mode 0600.

    Parameters
    ----------
    home : Path
        Where to write.
    network : str
        Name in the authority's certificate.
    hosts : sequence of str
        Names and addresses that members connect to.

    Raises
    ------
    ConfigError
        If one of them is none.
    """
    ca_key, server_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    ca = _authority(network, ca_key)
    server = _server(ca, ca_key, server_key, hosts)
    write_durably(home / "ca.key", _private(ca_key))
    write_durably(home / "server.key", _private(server_key))
    write_durably(home / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    write_durably(home / "server.crt", server.public_bytes(serialization.Encoding.PEM))


def renew_server_certificate(home: Path, hosts: Sequence[str]) -> None:
    """Write a new server.crt and server.key, signed by the authority that the members know."""
    try:
        ca = x509.load_pem_x509_certificate((home / "ca.crt").read_bytes())
        ca_key = serialization.load_pem_private_key((home / "ca.key").read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the authority in {home}: {error}") from None
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{home / 'ca.key'}: expected an EC key")
    if ca_key.public_key() != ca.public_key():
        raise ConfigError(f"{home / 'ca.key'} is not the key of ca.crt: put the right one back")
    server_key = ec.generate_private_key(ec.SECP384R1())
    server = _server(ca, ca_key, server_key, hosts)
    write_durably(home / "server.key", _private(server_key))
    write_durably(home / "server.crt", server.public_bytes(serialization.Encoding.PEM))


def make_operator_key(home: Path) -> None:
    """Write the Ed25519 key by which the operator signs, with mode 0600."""
    write_durably(home / OPERATOR_KEY, _private(Ed25519PrivateKey.generate()))


def operator_key(home: Path) -> Ed25519PrivateKey:
    """Read the key by which the operator signs.

    Raises
    ------
    ConfigError
        If it is missing or of another kind.
    """
    path = home / OPERATOR_KEY
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cannot read {path}: {error}: put back the key that `mesh-server init` made"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected an Ed25519 key: put the right one back")
    return key


def _authority(network: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mesh_fl {network}"[:64])])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )


def _server(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
) -> x509.Certificate:
    names = [_host(host) for host in hosts]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(name, ca.subject, key.public_key(), SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA384())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not HOST_NAME.fullmatch(host):
            raise ConfigError(
                f"expected a host name or address such as mesh.example.org, found {host!r}"
            ) from None
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

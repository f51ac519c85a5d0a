import datetime
import ipaddress
import socket
import ssl
import stat
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh_fl.client.diagnosis import trust
from mesh_fl.errors import ConfigError, NetworkError
from mesh_fl.listen import bind
from mesh_fl.server.certificates import (
    CA_DAYS,
    SERVER_DAYS,
    make_certificates,
    renew_server_certificate,
)
from mesh_fl.server.tls import tls_context

HOSTS = ["mesh.example.org", "127.0.0.1", "::1", "localhost"]


@pytest.fixture
def home(tmp_path):
    make_certificates(tmp_path, "acme co-op", HOSTS)
    return tmp_path


def read(home, name):
    return x509.load_pem_x509_certificate((home / name).read_bytes())


def context(home):
    return tls_context(home / "ca.crt", home / "server.crt", home / "server.key")


def test_everything_is_its_owners_alone(home):
    assert sorted(path.name for path in home.iterdir()) == [
        "ca.crt",
        "ca.key",
        "server.crt",
        "server.key",
    ]
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_the_authority_signs_and_nothing_else(home):
    ca = read(home, "ca.crt")
    assert "acme co-op" in ca.subject.rfc4514_string()
    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    ca.verify_directly_issued_by(ca)


def test_the_servers_certificate_names_its_hosts(home):
    server = read(home, "server.crt")
    server.verify_directly_issued_by(read(home, "ca.crt"))
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mesh.example.org", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]
    usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(("name", "days"), [("ca.crt", CA_DAYS), ("server.crt", SERVER_DAYS)])
def test_certificates_last_as_long_as_they_should(home, name, days):
    found, now = read(home, name), datetime.datetime.now(datetime.UTC)
    assert found.not_valid_before_utc < now
    left = found.not_valid_after_utc - now
    assert datetime.timedelta(days=days - 1) < left <= datetime.timedelta(days=days)


def test_two_networks_share_nothing(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    make_certificates(other, "acme co-op", HOSTS)
    for name in ("ca.crt", "ca.key", "server.crt", "server.key"):
        assert (home / name).read_bytes() != (other / name).read_bytes()
    with pytest.raises(NetworkError, match="is not signed by"):
        tls_context(other / "ca.crt", home / "server.crt", home / "server.key")


def shake_hands(home, ca, host):
    """Connect once, and give the TLS version."""
    server, listener = context(home), bind("127.0.0.1", 0)

    def accept():
        connection, _ = listener.accept()
        try:
            server.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        plain = socket.create_connection(listener.getsockname(), timeout=10)
        with plain, trust(ca).wrap_socket(plain, server_hostname=host) as secure:
            return secure.version()
    finally:
        thread.join(10)
        listener.close()


@pytest.mark.parametrize("host", HOSTS)
def test_a_member_trusts_the_server_under_each_name(home, host):
    assert shake_hands(home, home / "ca.crt", host) == "TLSv1.3"


def test_a_member_trusts_no_other_name(home):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(home, home / "ca.crt", "evil.example")


def test_a_member_trusts_no_other_authority(home, foreign_authority):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(home, foreign_authority.ca, "localhost")


def test_a_renewed_certificate_is_trusted_without_the_members_doing(home):
    authority, before = (home / "ca.crt").read_bytes(), (home / "server.key").read_bytes()
    renew_server_certificate(home, ["new.example.org"])
    assert (home / "ca.crt").read_bytes() == authority
    assert (home / "server.key").read_bytes() != before
    assert stat.S_IMODE((home / "server.key").stat().st_mode) == 0o600
    assert shake_hands(home, home / "ca.crt", "new.example.org") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(home, home / "ca.crt", "mesh.example.org")


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
@pytest.mark.parametrize("content", [None, b"", b"rubbish"])
def test_without_its_authority_nothing_is_renewed(home, name, content):
    before = (home / "server.crt").read_bytes()
    (home / name).unlink() if content is None else (home / name).write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read the authority"):
        renew_server_certificate(home, HOSTS)
    assert (home / "server.crt").read_bytes() == before


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_an_authority_with_another_kind_of_key_is_refused(home):
    (home / "ca.key").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(ConfigError, match="expected an EC key"):
        renew_server_certificate(home, HOSTS)


def test_an_authority_with_somebody_elses_key_is_refused(home):
    before = (home / "server.crt").read_bytes()
    (home / "ca.key").write_bytes(pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(ConfigError, match="is not the key of"):
        renew_server_certificate(home, HOSTS)
    assert (home / "server.crt").read_bytes() == before


@pytest.mark.parametrize("host", ["", "mesh example", "mésh.example", "https://mesh.example:9443"])
def test_a_host_that_is_none_is_refused(tmp_path, host):
    with pytest.raises(ConfigError, match="expected a host name or address"):
        make_certificates(tmp_path, "acme", [host])
    assert not list(tmp_path.iterdir())


def test_a_long_host_name_is_no_harm(tmp_path):
    host = ".".join(["a" * 60] * 3)
    make_certificates(tmp_path, "n" * 100, [host])
    assert shake_hands(tmp_path, tmp_path / "ca.crt", host) == "TLSv1.3"


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)])
def test_a_certificate_out_of_date_is_not_served(authority, days):
    now = datetime.datetime.now(datetime.UTC)
    first, last = (now + datetime.timedelta(days=day) for day in days)
    certificate, key = authority.issue("dated", first=first, last=last)
    with pytest.raises(NetworkError, match=r"is valid from .* and now it is"):
        tls_context(authority.ca, certificate, key)


def test_a_key_of_another_certificate_is_refused(home, authority):
    _, key = authority.issue("other")
    with pytest.raises(NetworkError, match="it is not the private key of the certificate"):
        tls_context(home / "ca.crt", home / "server.crt", key)

import contextlib
import dataclasses
import datetime
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.clientapp import ClientApp

    from mesh_fl.server.superlink import SuperLink

# Vectors of test texts stay out of the user's own cache; processes that tests start use the same.
os.environ.setdefault("MESH_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "mesh_fl"))

# How long an example takes says something about the machine.
settings.register_profile("mesh_fl", deadline=None)
settings.load_profile("mesh_fl")

_NOW = datetime.datetime.now(datetime.UTC)
_YEAR = datetime.timedelta(days=365)
_DAY = datetime.timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def openssh(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )


@dataclasses.dataclass(frozen=True)
class Authority:
    """A certificate authority with its files, and the server certificates it issues."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def issue(
        self,
        label: str = "server",
        *,
        host: str = "127.0.0.1",
        first: datetime.datetime = _NOW - _DAY,
        last: datetime.datetime = _NOW + _YEAR,
    ) -> tuple[Path, Path]:
        key = new_key()
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))]
        certificate = (
            _builder(self.name, "server", key, first, last)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        paths = self.folder / f"{label}.crt", self.folder / f"{label}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(_pem(key))
        return paths


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _builder(
    issuer: x509.Name,
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    first: datetime.datetime = _NOW - _DAY,
    last: datetime.datetime = _NOW + _YEAR,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )


def _authority(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca {folder.name}")])
    certificate = (
        _builder(name, f"ca {folder.name}", key)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(folder, key, name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return _authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="session")
def foreign_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return _authority(tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return int(listener.getsockname()[1])

    return find


@pytest.fixture
def start_server(authority: Authority) -> Iterator[Callable[..., "SuperLink"]]:
    from mesh_fl.server.superlink import SuperLink

    certificate, key = authority.issue()
    with contextlib.ExitStack() as running:

        def start(
            port: int = 0,
            members: Iterable[ec.EllipticCurvePrivateKey] = (),
            host: str = "127.0.0.1",
            files: tuple[Path, Path] = (certificate, key),
            **options: int,
        ) -> SuperLink:
            link = SuperLink(
                host, port, ca=authority.ca, certificate=files[0], key=files[1], **options
            )
            for member in members:
                link.register(openssh(member))
            return running.enter_context(link)

        yield start


class Member:
    """A client in a thread: what it said, what it raised, and how to stop it."""

    def __init__(self, app: "ClientApp", server: str, **options: object) -> None:
        self.said: list[str] = []
        self.error: Exception | None = None
        self._stopped = threading.Event()
        self._options = {"stopped": self._stopped, "on_state": self.said.append, **options}
        self._thread = threading.Thread(target=self._serve, args=(app, server), daemon=True)
        self._thread.start()

    def _serve(self, app: "ClientApp", server: str) -> None:
        from mesh_fl.client.supernode import serve_node

        try:
            serve_node(app, server, **self._options)
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(20)

    def ended(self, timeout_s: float) -> Exception:
        self._thread.join(timeout_s)
        assert self.error is not None, f"still running, said {self.said}"
        return self.error


@pytest.fixture
def start_member(authority: Authority) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(
        app: "ClientApp",
        port: int,
        key: ec.EllipticCurvePrivateKey,
        host: str = "127.0.0.1",
        **options: object,
    ) -> Member:
        options = {"ca": authority.ca, "key": key, **options}
        members.append(Member(app, f"{host}:{port}", **options))
        return members[-1]

    yield start
    for member in members:
        member.stop()


@pytest.fixture
def short_heartbeats(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let the server in this process accept heartbeats every half second."""
    from flwr.superlink.servicer.fleet import fleet_handlers

    monkeypatch.setattr(fleet_handlers, "HEARTBEAT_MIN_INTERVAL", 0.1)
    return 0.5


def until(condition: Callable[[], object], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def reverser() -> "ClientApp":
    """A ClientApp that reverses the bytes it gets."""
    import numpy as np
    from flwr.app import ArrayRecord, Message, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train()
    def train(message: Message, _context: object) -> Message:
        array = message.content["bytes"].to_numpy_ndarrays()[0]
        record = ArrayRecord([np.ascontiguousarray(array[::-1])])
        return Message(RecordDict({"bytes": record}), reply_to=message)

    return app


def order(data: bytes, node_id: int) -> "Message":
    """Give a message whose reply carries the same bytes in reverse."""
    import numpy as np
    from flwr.app import ArrayRecord, Message, RecordDict

    record = ArrayRecord([np.frombuffer(data, dtype=np.uint8)])
    return Message(RecordDict({"bytes": record}), node_id, "train")


def carried(message: "Message") -> bytes:
    return message.content["bytes"].to_numpy_ndarrays()[0].tobytes()

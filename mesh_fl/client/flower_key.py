"""The member's identity key in the form that Flower's own `flower-supernode` reads."""

import shlex
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from mesh_fl.client.home import Home
from mesh_fl.store import write_durably

FLOWER_KEY = "flower.key"


def write_flower_key(home: Home) -> Path:
    """Write our identity key once more, as OpenSSH has it, readable by us alone.

    Raises
    ------
    ConfigError
        If the home has no identity key, or not the one that its card was made for.
    """
    path = home.path / FLOWER_KEY
    key = home.identity.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    write_durably(path, key)
    return path


def supernode_command(home: Home, key: Path) -> str:
    """Return the command that starts a stock SuperNode for this member."""
    words = ["flower-supernode", "--superlink", home.settings.operator]
    words += ["--root-certificates", str(home.settings.ca)]
    words += ["--auth-supernode-private-key", str(key.resolve())]
    words += ["--node-config", f"home='{home.path.resolve()}'"]
    return shlex.join(words)

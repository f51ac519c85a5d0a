"""The folder that `flwr run` takes: a Flower app of no code, and the members' keys to register."""

import json
from pathlib import Path

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.server.members import Members
from mesh_fl.server.settings import load_settings
from mesh_fl.store import make_home, write_durably

MANIFEST = "pyproject.toml"
KEYS = "members"

TEMPLATE = """\
[project]
name = "mesh"
version = "1.0.0"
description = {description}
license = "Apache-2.0"

[tool.flwr.app]
publisher = "mesh-fl"

# Both are part of the installed package, so the app has no code of its own to send to members.
[tool.flwr.app.components]
serverapp = "mesh_fl.server.stock:app"
clientapp = "mesh_fl.client.stock:app"

[tool.flwr.app.config]
home = {home}
new = false              # true begins a new training although one is stored
"""


def write_flower_app(home: Path, folder: Path) -> list[Path]:
    """Write the Flower app of a network.

    Parameters
    ----------
    home : Path
        The server's home; the app names it by its absolute path.
    folder : Path
        Made if it is missing. What an earlier call wrote is replaced.

    Returns
    -------
    list of Path
        A public key file (OpenSSH) for each member, for `flwr supernode register`.

    Raises
    ------
    ConfigError
        If the home has no settings or no roster, or the folder holds another project.
    """
    network, cards = load_settings(home).name, Members(home).cards()
    _refuse_foreign(folder / MANIFEST)
    make_home(folder / KEYS)
    described = json.dumps(f"Trains the network {network}.", ensure_ascii=False)
    text = TEMPLATE.format(
        description=described, home=json.dumps(str(home.resolve()), ensure_ascii=False)
    )
    write_durably(folder / MANIFEST, text.encode())
    return [_write_key(folder / KEYS, card) for card in cards.values()]


def _write_key(folder: Path, card: Card) -> Path:
    path = folder / f"{card.name}.pub"
    write_durably(path, card.identity.encode() + b"\n")
    return path


def _refuse_foreign(manifest: Path) -> None:
    if manifest.exists() and "mesh_fl.server.stock:app" not in manifest.read_text(
        "utf-8", "replace"
    ):
        raise ConfigError(f"{manifest} belongs to another project: name another folder")

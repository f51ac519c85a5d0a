"""The profiles of others, read and turned into vectors once."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from mesh_fl.agents.collaboration.records import Reader
from mesh_fl.agents.collaboration.skills import words_of
from mesh_fl.config import nearest
from mesh_fl.errors import ConfigError
from mesh_fl.profile import Offering, Profile, own_handles, read_directory, read_profile
from mesh_fl.site import Files
from mesh_fl.text.encoder import Vectors, load_encoder

NAMES = ("directory", "profile")
"""Reference files: the members' cards, and one's own profile.toml."""


@dataclass(frozen=True)
class Offer:
    """What somebody can do.

    Parameters
    ----------
    skills : tuple of str
        Declared skills, by name; those that its lists name first.
    words : str
        All words of it, with a space on either side, to look for what nobody declared.
    """

    skills: tuple[str, ...]
    words: str

    def has(self, skill: str) -> bool:
        """Tell whether it covers a declared skill, or names what nobody declared."""
        return skill in self.skills or self.names(skill)

    def names(self, phrase: str) -> bool:
        """Tell whether it holds these words one after the other."""
        words = _spaced(phrase)
        return bool(words) and words in self.words


@dataclass(frozen=True)
class Directory:
    """Other members, and ourselves.

    Parameters
    ----------
    path : Path or None
        The file that cards were read from.
    profiles : tuple of Profile
        Without our own, and without expired ones.
    offers : tuple of Offer
        Of the profiles.
    vectors : ndarray, shape (n, dimension)
        Of the profiles.
    own : Offer or None
    """

    path: Path | None = None
    profiles: tuple[Profile, ...] = ()
    offers: tuple[Offer, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    own: Offer | None = None

    @classmethod
    def read(cls, files: Files, reader: Reader) -> "Directory":
        """Read what a member points to.

        Raises
        ------
        ConfigError
            If a file has an unknown name, or cannot be used.
        """
        _expect_known(files)
        profile, directory = files.get("profile"), files.get("directory")
        own = None if profile is None else _offers([read_profile(profile)], reader)[0]
        if directory is None:
            return cls(own=own)
        mine = frozenset() if profile is None else own_handles(profile)
        others = tuple(one for one in read_directory(directory) if one.handle not in mine)
        vectors = load_encoder(reader.encoder).encode([one.offered for one in others])
        return cls(directory, others, _offers(others, reader), vectors, own)


@lru_cache(maxsize=4096)
def _spaced(phrase: str) -> str:
    """Return words with a space on either side; one phrase is looked for in every profile."""
    words = words_of(phrase)
    return f" {' '.join(words)} " if words else ""


def _offers(profiles: "tuple[Profile, ...] | list[Offering]", reader: Reader) -> tuple[Offer, ...]:
    entries = [(*one.skills, *one.services) for one in profiles]
    meant = reader.meant([entry for listed in entries for entry in listed])
    names = reader.vocabulary.names
    found = []
    for one, listed in zip(profiles, entries, strict=True):
        places = [place for entry in listed for place in meant[entry]]
        places += reader.vocabulary.named(one.about)
        known = dict.fromkeys(names[place] for place in places if place != reader.vocabulary.other)
        found.append(Offer(tuple(known), f" {' '.join(words_of(one.offered))} "))
    return tuple(found)


def _expect_known(files: Files) -> None:
    unknown = [name for name in files if name not in NAMES]
    if unknown:
        guess = nearest(unknown[0], NAMES)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise ConfigError(
            f"collaboration: expected reference files named {', '.join(NAMES)}, found "
            f"{unknown[0]!r}{hint}"
        )

"""The profiles of others, read and turned into vectors; again when a file changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np

from mesh_fl.agents._reading import Stamp, stamped
from mesh_fl.agents.collaboration.certificates import Certificates
from mesh_fl.agents.collaboration.denials import offered
from mesh_fl.agents.collaboration.phrases import Phrases
from mesh_fl.agents.collaboration.records import Reader
from mesh_fl.config import nearest
from mesh_fl.errors import ConfigError
from mesh_fl.introductions.ours import CARDS, own_handles, own_name
from mesh_fl.profile import Offering, Profile, read_directory, read_profile
from mesh_fl.site import Files
from mesh_fl.text.encoder import Vectors, load_encoder

NAMES = ("directory", "profile")
"""Reference files: the members' cards, and one's own profile.toml."""

MOST_JUDGED, MOST_JUDGED_OF_ALL = 20, 2000
"""Entries that name no skill and are read for likeness all the same, of a card and of all: each
takes some 25 ms, and a card of nonsense holds 200 of them."""


@dataclass(frozen=True)
class Offer:
    """What somebody can do.

    Parameters
    ----------
    skills : tuple of str
        Declared skills, by name; those that its lists name first.
    listed : Phrases
        Its skills, services and certifications, to look for what nobody declared.
    certificates : Certificates
    """

    skills: tuple[str, ...]
    listed: Phrases
    certificates: Certificates

    def has(self, skill: str) -> bool:
        """Tell whether it covers a declared skill, or lists what nobody declared."""
        return skill in self.skills or skill in self.listed


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
    problems : tuple of str
        What was not read as well as it might have been.
    """

    path: Path | None = None
    profiles: tuple[Profile, ...] = ()
    offers: tuple[Offer, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    own: Offer | None = None
    problems: tuple[str, ...] = ()

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
        own = None if profile is None else _offers([_told(read_profile(profile))], reader)[0]
        if directory is None:
            return cls(own=own)
        others = _others(directory, profile)
        told = [_told(one) for one in others]
        vectors = load_encoder(reader.encoder).encode([one.offered for one in told])
        problems = _left_out(told, reader)
        return cls(directory, others, _offers(told, reader), vectors, own, problems)


class Shelf:
    """A directory that is read again when one of its files changed.

    Parameters
    ----------
    files : Files
        By `NAMES`.
    reader : Reader

    Raises
    ------
    ConfigError
        If a file has an unknown name, or cannot be used.
    """

    def __init__(self, files: Files, reader: Reader) -> None:
        self._files, self._reader = files, reader
        self._read = (self._stamps(), Directory.read(files, reader))

    @property
    def directory(self) -> Directory:
        """What the files say; where they cannot be read any more, what they said before."""
        stamps = self._stamps()
        if stamps != self._read[0]:
            self._read = (stamps, self._read_again())
        return self._read[1]

    def _read_again(self) -> Directory:
        try:
            return Directory.read(self._files, self._reader)
        except ConfigError as error:
            old = self._read[1]
            problem = f"the directory is answered from as it was before: {error}"
            return replace(old, problems=(problem,))

    def _stamps(self) -> tuple[Stamp, ...]:
        profile = self._files.get("profile")
        cards = {} if profile is None else {"cards": profile.parent / CARDS}
        return stamped({**self._files, **cards})


def _others(directory: Path, profile: Path | None) -> tuple[Profile, ...]:
    """Return the profiles that are not ours by handle or, as far as it is known, by name."""
    mine = frozenset() if profile is None else own_handles(profile)
    name = None if profile is None else own_name(profile)
    return tuple(
        one
        for one in read_directory(directory)
        if one.handle not in mine and (name is None or one.name != name)
    )


def _told(profile: Offering) -> Offering:
    """Leave out what a profile says it does not offer."""
    lists = {
        "services": profile.services,
        "skills": profile.skills,
        "certifications": profile.certifications,
    }
    left = {name: tuple(filter(None, map(offered, one))) for name, one in lists.items()}
    return profile.model_copy(update={**left, "about": offered(profile.about)})


def _offers(profiles: Sequence[Offering], reader: Reader) -> tuple[Offer, ...]:
    entries = [(*one.skills, *one.services) for one in profiles]
    meant = reader.meant(list(chain(*entries)), _judged(_silent(profiles, reader)))
    names = reader.vocabulary.names
    found = []
    for one, listed in zip(profiles, entries, strict=True):
        places = [place for entry in listed for place in meant[entry]]
        places += reader.vocabulary.named(one.about)
        known = dict.fromkeys(names[place] for place in places if place != reader.vocabulary.other)
        words = Phrases.of((*listed, *one.certifications))
        found.append(Offer(tuple(known), words, Certificates.of(one.certifications)))
    return tuple(found)


def _silent(profiles: Sequence[Offering], reader: Reader) -> list[list[str]]:
    """Return the entries of each profile that name no skill, each once."""
    listed = (dict.fromkeys((*one.skills, *one.services)) for one in profiles)
    return [[entry for entry in one if not reader.vocabulary.named(entry)] for one in listed]


def _judged(silent: Sequence[Sequence[str]]) -> frozenset[str]:
    """Choose the first of every profile before the second of any: none can crowd others out."""
    rounds = chain(*zip_longest(*(one[:MOST_JUDGED] for one in silent)))
    once = dict.fromkeys(entry for entry in rounds if entry is not None)
    return frozenset(islice(once, MOST_JUDGED_OF_ALL))


def _left_out(profiles: Sequence[Offering], reader: Reader) -> tuple[str, ...]:
    silent = _silent(profiles, reader)
    left = len(set(chain(*silent)) - _judged(silent)) if reader.least_similarity < 1 else 0
    if not left:
        return ()
    return (
        f"{left} entries of profiles name no declared skill and were read by their words alone: "
        f"at most {MOST_JUDGED} of a profile and {MOST_JUDGED_OF_ALL} in all are read for likeness",
    )


def _expect_known(files: Files) -> None:
    unknown = [name for name in files if name not in NAMES]
    if unknown:
        guess = nearest(unknown[0], NAMES)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise ConfigError(
            f"collaboration: expected reference files named {', '.join(NAMES)}, found "
            f"{unknown[0]!r}{hint}"
        )

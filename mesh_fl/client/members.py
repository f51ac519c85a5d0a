"""A member's say in who takes part: trust a roster, approve what is proposed, propose a removal."""

import sys
from pathlib import Path

import typer

from mesh_fl.client.home import ROSTER, Home
from mesh_fl.entry import Entry
from mesh_fl.errors import ConfigError
from mesh_fl.roster import Roster
from mesh_fl.store import write_durably
from mesh_fl.terminal import show_table


def trust(home: Home, path: Path, fingerprint: str | None) -> None:
    """Keep a roster whose fingerprint is the one that the founders tell each other.

    Parameters
    ----------
    path : Path
        The roster's file, from the operator.
    fingerprint : str, optional
        From the founders, not from the operator; asked for on a terminal when left out.

    Raises
    ------
    MeshError
        If the roster was tampered with, has another fingerprint, does not list us, or withstands
        fewer colluders than we insist on.
    """
    roster = Roster.read(path)
    _check_ours(home, roster)
    if fingerprint is not None or not home.has_roster:
        _check_fingerprint(roster, fingerprint)
    if home.has_roster:
        home.keep_roster(roster)
    else:
        home.trust_roster(roster)
    typer.echo(f"trusted: {len(roster.cards)} members of {roster.network}, kept in {ROSTER}")


def approve(home: Home, path: Path, roster_path: Path | None, output: Path, yes: bool) -> None:
    """Sign an entry that follows our roster.

    Parameters
    ----------
    path : Path
        The entry.
    roster_path : Path, optional
        A roster that follows ours, if ours is not the newest.
    output : Path
        Where to write the signed entry.
    yes : bool
        Do not ask.

    Raises
    ------
    MeshError
        If the entry does not follow our roster, breaks a rule, or nobody agrees.
    """
    roster = home.roster() if roster_path is None else _newer(home, roster_path)
    entry = Entry.read(path)
    signed = roster.sign(entry, home.settings.name, home.signing)
    lacking = roster.lacks(signed)
    show_entry(entry, roster)
    _agree(yes, "Compare the fingerprints with those members. Approve?", "--yes")
    write_durably(output, signed.dumps())
    rest = f"{lacking} more must approve" if lacking else "no more approvals are needed"
    typer.echo(f"signed {output} as {home.settings.name}; {rest}")


def propose_removal(home: Home, name: str, output: Path) -> None:
    """Write an entry that takes a member out, with our approval."""
    roster = home.roster()
    entry = roster.propose_removal([name])
    if name != home.settings.name:
        entry = roster.sign(entry, home.settings.name, home.signing)
    write_durably(output, entry.dumps())
    typer.echo(
        f"wrote {output}: {roster.lacks(entry)} more members must approve it, then the operator "
        "adds it by `mesh-server members add`"
    )


def show_roster(title: str, roster: Roster) -> None:
    """Print the members for people."""
    rows = [[card.name, card.fingerprint, card.bounds] for card in roster.cards.values()]
    show_table(title, ["name", "card's fingerprint", "records, at most"], rows)
    typer.echo(f"fingerprint of the founding: {roster.fingerprint}")


def show_entry(entry: Entry, roster: Roster) -> None:
    """Print what an entry would change."""
    cards = entry.cards or tuple(roster.cards[name] for name in entry.names)
    rows = [[entry.kind, card.name, card.fingerprint, card.bounds] for card in cards]
    columns = ["change", "name", "card's fingerprint", "records, at most"]
    show_table(f"proposed in {roster.network}", columns, rows)
    typer.echo(f"approved so far by: {', '.join(entry.signatures) or 'nobody'}")


def _check_ours(home: Home, roster: Roster) -> None:
    card, policy = home.card, home.settings.privacy.policy()
    listed = roster.cards.get(card.name)
    if listed is None:
        raise ConfigError(
            f"{card.name} is not on this roster of {roster.network}: send {home.path / 'card.json'}"
            " to the operator, and ask for the roster after we joined"
        )
    if (listed.signing, listed.identity) != (card.signing, card.identity):
        raise ConfigError(
            f"this roster lists other keys for {card.name} than our card.json: somebody joined "
            "under our name, so warn the other members"
        )
    if roster.colluders < policy.colluders:
        raise ConfigError(
            f"this roster lets {roster.colluders + 1} members decide who joins, our [privacy] "
            f"colluders = {policy.colluders} needs {policy.colluders + 1}: lower ours, or ask for "
            "a network that is founded with more"
        )


def _check_fingerprint(roster: Roster, fingerprint: str | None) -> None:
    if fingerprint is None:
        show_roster(f"members of {roster.network}", roster)
        _agree(False, "Do other founders read out this very fingerprint?", "--fingerprint F")
        return
    found = "".join(fingerprint.replace(":", " ").split()).lower()
    if found != roster.fingerprint:
        raise ConfigError(
            f"expected a roster with fingerprint {found}, found {roster.fingerprint}: it is "
            "another network, or the operator shows its members different ones; ask the others"
        )


def _newer(home: Home, path: Path) -> Roster:
    roster = Roster.read(path)
    if not roster.follows(home.roster()):
        raise ConfigError(f"{path} does not follow from the roster that we trust: warn the others")
    return roster


def _agree(yes: bool, question: str, option: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"nobody is here to answer {question!r}: answer it by {option}")
    if not typer.confirm(question):
        raise ConfigError("nothing was changed")

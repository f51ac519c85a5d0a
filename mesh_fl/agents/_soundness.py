"""Configurations that cannot train are refused as they are made."""

from collections.abc import Iterable

from mesh_fl.errors import ConfigError

MOST_SHOWN = 80


def refuse_unsound(agent: object, called: str, rules: Iterable[tuple[str, bool, str]]) -> None:
    """Refuse an agent that breaks a rule.

    Parameters
    ----------
    agent : object
    called : str
        What people call it.
    rules : iterable of (str, bool, str)
        A field, whether it is sound, and what is expected of it.

    Raises
    ------
    ConfigError
        Of the first rule that is broken.
    """
    for name, sound, expected in rules:
        if not sound:
            found = repr(getattr(agent, name))[:MOST_SHOWN]
            raise ConfigError(f"{called}, {name}: expected {expected}, found {found}")

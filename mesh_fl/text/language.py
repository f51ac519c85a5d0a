"""Whether a text can be read at all: the encoder and the words know English."""

import re
import unicodedata

_ENGLISH = (
    "the and is are was were be been to of in for on with from by at it this that not no has have "
    "had our your we you they he she will can all"
)
# None that is a command, a domain, a time zone or a name in logs: no "del", "com", "est", "das".
_FOREIGN = (
    "der und nicht ein eine wurde werden für auf sich bitte wir unser unsere les une dans avec "
    "nous vous votre sur los las por para una está que che è della sono het een van niet voor "
    "zijn wij não uma"
)
ENGLISH, FOREIGN = frozenset(_ENGLISH.split()), frozenset(_FOREIGN.split())
_WORDS = re.compile(r"[^\W\d_]+")


def unreadable(text: str) -> str | None:
    """Say why a text cannot be judged; None if it seems to be English, a log line or a name.

    Most letters must be Latin, and words that only other languages use often ("und", "les",
    "para") must not outnumber their English kin.
    """
    words = _WORDS.findall(text.lower())
    if not words:
        return "there are no words in the text"
    letters = [letter for word in words for letter in word]
    if 2 * sum(map(_latin, letters)) < len(letters):
        return "the text is not in Latin letters, and only English can be judged"
    foreign = sum(word in FOREIGN for word in words)
    if foreign >= 2 and foreign > sum(word in ENGLISH for word in words):
        return "the text seems not to be English, and only English can be judged"
    return None


def _latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")

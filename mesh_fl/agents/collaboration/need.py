"""What a request needs, in skills and words."""

from dataclasses import dataclass

from mesh_fl.agents.collaboration.records import Reader
from mesh_fl.agents.collaboration.request import Request
from mesh_fl.text.encoder import Vectors
from mesh_fl.text.language import unreadable

NOTHING = "nothing was asked for: give requirements or skills"
UNWANTED = "they tell only what is not needed"


@dataclass(frozen=True)
class Need:
    """What is needed.

    Parameters
    ----------
    request : Request
    skills : tuple of str
        Declared skills by name, and entries that are none of them as they were written.
    vector : ndarray or None
        Of the requirements; None where they cannot be judged.
    refusal : str or None
        Why they cannot.
    """

    request: Request
    skills: tuple[str, ...]
    vector: Vectors | None
    refusal: str | None

    @classmethod
    def of(cls, request: Request, vector: Vectors, reader: Reader) -> "Need":
        """Read a request: its skills as listed, else as its text names them, else by likeness."""
        refusal = _refusal(request)
        judged = None if refusal else vector
        return cls(request, _skills(request, judged, reader), judged, refusal)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not self.request.text


def _refusal(request: Request) -> str | None:
    if not request.text:
        return NOTHING
    return unreadable(request.text) if request.judged else UNWANTED


def _skills(request: Request, vector: Vectors | None, reader: Reader) -> tuple[str, ...]:
    names = reader.vocabulary.names
    listed = [
        name
        for entry in request.skills
        for name in ([names[place] for place in reader.vocabulary.named(entry)] or [entry])
    ]
    if not listed:
        listed = [names[place] for place in reader.vocabulary.named(request.wanted)]
    if not listed and vector is not None and reader.least_similarity < 1:
        listed = [names[place] for place in reader.likeness().meant(vector)]
    return tuple(dict.fromkeys(listed))

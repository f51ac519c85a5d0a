"""How rarely lines are of a template that came so seldom: by how often there are how many.

The chance that the next line is of a new template is the share of lines whose template came once
(Good 1953, after Turing); of one that came k times at most, that of templates that came k + 1 times
at most.
"""

from collections import Counter
from collections.abc import Iterable

MOST_COUNTED = 64
"""Times up to which a template may be rare."""


class Rarity:
    """How many templates came how often.

    Parameters
    ----------
    counts : iterable of int
        Of each template.
    """

    def __init__(self, counts: Iterable[int] = ()) -> None:
        self._of_count: Counter[int] = Counter()
        self._lines = 0
        for one in counts:
            self._lines += one
            if one <= MOST_COUNTED:
                self._of_count[one] += 1

    def p_value(self, count: int) -> float | None:
        """Return how probable a line of a template that came so often before is, at most.

        None where it came more than `MOST_COUNTED` times.
        """
        if count >= MOST_COUNTED:
            return None
        seldom = sum(times * self._of_count[times] for times in range(1, count + 2))
        return min(1.0, (seldom + 1) / (self._lines + 1))

    def add(self, count: int) -> None:
        """Count a line of a template that came so often before."""
        self._lines += 1
        if 0 < count <= MOST_COUNTED:
            self._of_count[count] -= 1
        if count < MOST_COUNTED:
            self._of_count[count + 1] += 1

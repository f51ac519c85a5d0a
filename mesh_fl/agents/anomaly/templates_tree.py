"""Templates of log lines by a tree of fixed depth (Drain: He, Zhu, Zheng and Lyu, ICWS 2017).

Unlike Drain, a place takes any word only after several were seen there: "state up" and "state down"
stay apart, users' names do not.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from mesh_fl.agents.anomaly.templates_pace import Pace

LEADING_WORDS = 2
"""Words that lead to a leaf, after the number of words."""

LEAST_ALIKE = 0.5
"""Part of the words that a line shares with a template that it belongs to."""

MOST_WORDS_APART = 5
"""Words at one place, all else alike, that are different templates; more become any word."""

MOST_IN_A_LEAF = 32
MOST_REMEMBERED = 64
"""Lines of a leaf whose template need not be searched."""

ANY = "<*>"

Key = tuple[int, tuple[str, ...]]


class Template:
    """What lines have in common.

    Parameters
    ----------
    number : int
        Counted from 0 in the order of appearance.
    words : list of str
    key : tuple
        Its leaf.
    """

    __slots__ = ("count", "key", "number", "pace", "words")

    def __init__(self, number: int, words: list[str], key: Key) -> None:
        self.number = number
        self.words = words
        self.key = key
        self.count = 0
        self.pace = Pace()

    @property
    def text(self) -> str:
        """The template as a line."""
        return " ".join(self.words)


class _Leaf:
    """Templates of as many words that begin alike."""

    __slots__ = ("remembered", "templates")

    def __init__(self) -> None:
        self.templates: list[Template] = []
        # Emptied with every change, so that it never tells anything but what a search would.
        self.remembered: dict[str, Template] = {}


class TemplateTree:
    """Templates, a bounded number of them; the one seen least recently makes room.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._leaves: dict[Key, _Leaf] = {}
        self._recent: OrderedDict[int, Template] = OrderedDict()
        self.made_room = 0
        """How many templates made room for others."""
        self.has_changed = False
        """Whether counts of templates are others than were counted, until this is set back."""

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def templates(self) -> list[Template]:
        """Those that are kept, the one seen least recently first."""
        return list(self._recent.values())

    @property
    def made(self) -> int:
        """How many there have ever been."""
        return self._made

    def find(self, masked: str) -> Template:
        """Return a masked line's template; a new one, with a count of 0, if it is like none."""
        words = masked.split()
        key = _key(words)
        leaf = self._leaves.get(key)
        if leaf is None:
            leaf = self._leaves[key] = _Leaf()
        template = leaf.remembered.get(masked)
        if template is None:
            template = self._found(leaf, words) or self._make(leaf, words, key)
            if len(leaf.remembered) >= MOST_REMEMBERED:
                leaf.remembered.clear()
            leaf.remembered[masked] = template
        self._recent.move_to_end(template.number)
        return template

    def restore(self, templates: Sequence[Template], made: int) -> None:
        """Take templates over, the one seen least recently first."""
        self._made = made
        for one in templates:
            self._recent[one.number] = one
        for one in sorted(templates, key=lambda each: each.number):
            self._leaves.setdefault(one.key, _Leaf()).templates.append(one)

    def _found(self, leaf: _Leaf, words: list[str]) -> Template | None:
        """Return the template that a line belongs to, made wider where the time has come."""
        apart = [(one, _places_apart(one.words, words)) for one in leaf.templates]
        fitting = [one for one, places in apart if not places]
        if fitting:
            return min(fitting, key=lambda one: one.words.count(ANY))
        most = (1 - LEAST_ALIKE) * len(words)
        alike = [(one, places) for one, places in apart if len(places) <= most]
        at_one_place = Counter(places[0] for _, places in alike if len(places) == 1)
        place, times = max(at_one_place.items(), key=lambda one: one[1], default=(0, 0))
        if times >= MOST_WORDS_APART:
            return self._widen(leaf, _first(alike, [place]), [place])
        if alike and len(leaf.templates) >= MOST_IN_A_LEAF:
            return self._widen(leaf, *min(alike, key=lambda one: len(one[1])))
        return None

    def _widen(self, leaf: _Leaf, template: Template, places: Sequence[int]) -> Template:
        """Let a template have any word at some places, and take over those that it then covers."""
        for place in places:
            template.words[place] = ANY
        covered = [
            one
            for one in leaf.templates
            if one is not template and not _places_apart(template.words, one.words)
        ]
        for one in covered:
            template.count += one.count
            self._forget(one)
        template.pace = Pace()
        leaf.remembered.clear()
        return template

    def _make(self, leaf: _Leaf, words: list[str], key: Key) -> Template:
        template = Template(self._made, words, key)
        self._made += 1
        if len(leaf.templates) >= MOST_IN_A_LEAF:
            order = {number: place for place, number in enumerate(self._recent)}
            self._make_room(min(leaf.templates, key=lambda one: order[one.number]))
        elif len(self._recent) >= self._most:
            self._make_room(next(iter(self._recent.values())))
        # A leaf that was emptied just now is no longer in the tree.
        leaf = self._leaves.setdefault(key, leaf)
        leaf.templates.append(template)
        leaf.remembered.clear()
        self._recent[template.number] = template
        return template

    def _make_room(self, template: Template) -> None:
        self.made_room += 1
        self._forget(template)

    def _forget(self, template: Template) -> None:
        leaf = self._leaves[template.key]
        leaf.templates.remove(template)
        leaf.remembered.clear()
        if not leaf.templates:
            del self._leaves[template.key]
        del self._recent[template.number]
        self.has_changed = True


def _key(words: list[str]) -> Key:
    leading = tuple(ANY if "<" in one else one for one in words[:LEADING_WORDS])
    return len(words), leading


def _first(alike: Sequence[tuple[Template, list[int]]], places: list[int]) -> Template:
    return next(one for one, apart in alike if apart == places)


def _places_apart(template: list[str], words: list[str]) -> list[int]:
    """Return where a line's words are others than the template's."""
    return [
        place
        for place, (one, other) in enumerate(zip(template, words, strict=True))
        if one != other and one != ANY
    ]

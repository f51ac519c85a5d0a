"""Bugs that would break the claim, each with the checks that must find it."""

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mesh_fl import member, peers, verification
from mesh_fl import round as walk
from mesh_fl.keyring import Term
from mesh_fl.member import Member
from mesh_fl.privacy import pipeline, plan
from mesh_fl.privacy.ledger import Ledger
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.audit import broken_masks as masks
from mesh_fl.simulate.audit import broken_noise as noise
from mesh_fl.simulate.audit import broken_rows as rows
from mesh_fl.simulate.audit import broken_rules as rules
from mesh_fl.simulate.audit.swap import Swap, instead, swapped
from mesh_fl.statements import Statement


@dataclass(frozen=True)
class Bug:
    """One way to break the claim.

    Parameters
    ----------
    name : str
        In a few words.
    caught_by : tuple of str
        Names of the checks that must fail.
    swaps : tuple of Swap
        What makes the bug: functions of the real code, swapped where they are looked up.
    """

    name: str
    caught_by: tuple[str, ...]
    swaps: tuple[Swap, ...]

    def seeded(self) -> AbstractContextManager[Counter[str]]:
        """Put the bug in place; yields how often each swapped function was called."""
        return swapped(*self.swaps)


def _bug(name: str, caught_by: str, *swaps: Swap) -> Bug:
    return Bug(name, tuple(caught_by.split()), swaps)


ROWS = (
    _bug(
        "rows are not clipped",
        "sensitivity one-run",
        instead(pipeline, "sum_rows", rows.unclipped),
    ),
    _bug(
        "the sum is clipped, not its rows",
        "sensitivity",
        instead(pipeline, "sum_rows", rows.clipped_after),
    ),
    _bug(
        "the sensitivity forgets rounding",
        "sensitivity",
        instead(plan, "integer_bound", rows.without_rounding),
    ),
)

NOISE = (
    _bug(
        "no noise",
        "residuals one-run tracing",
        instead(pipeline, "discrete_gaussian", noise.no_noise),
    ),
    _bug(
        "noise of one round in every round",
        "residuals accountant pld",
        Swap(Plan, "_release", noise.with_share(noise.of_one_round)),
    ),
    _bug(
        "sigma / n for sigma / sqrt(n)",
        "residuals accountant pld",
        Swap(Plan, "_release", noise.with_share(noise.divided_without_root)),
    ),
    _bug(
        "shares that count on everybody",
        "residuals accountant pld",
        Swap(Plan, "_release", noise.with_share(noise.among_everybody)),
    ),
    _bug(
        "a budget of epsilon = .11",
        "residuals accountant pld",
        Swap(plan, "budget_of", noise.tenth_more),
    ),
    _bug(
        "one member adds no share",
        "residuals",
        Swap(pipeline, "discrete_gaussian", noise.one_share_dropped),
    ),
    _bug(
        "a second attempt reuses noise",
        "fresh-noise",
        Swap(pipeline, "discrete_gaussian", noise.drawn_once),
    ),
    _bug(
        "numpy's generator for the system's",
        "source",
        instead(SystemSource, "words", noise.numpy_words),
    ),
)

MASKS = (
    _bug("no masks", "subsets fresh-masks colluders", instead(Term, "hide", masks.no_masks)),
    _bug("a second attempt reuses masks", "fresh-masks", Swap(Term, "hide", masks.without_attempt)),
    _bug("masks with two peers only", "colluders", instead(Term, "hide", masks.with_two_only)),
    _bug("both of a pair add their mask", "residuals", instead(Term, "hide", masks.equal_signs)),
    _bug("no encryption", "replies", *masks.NOT_ENCRYPTED),
    _bug("the raw sum in place of a digest", "replies", *masks.raw_sum_told()),
)

LEDGER = (
    _bug("attempts are not charged", "charges", instead(Member, "charge", rules.yes)),
    _bug(
        "a second attempt is not charged",
        "charges",
        Swap(Ledger, "charge", rules.charged_once_a_step),
    ),
    _bug("overspending is not refused", "budget", instead(Ledger, "affords", rules.yes)),
    _bug(
        "a record's other sets are forgotten",
        "overlap",
        instead(Ledger, "spent", rules.spent_by_same_set),
    ),
    _bug("a replay passes for a repetition", "replay", instead(Ledger, "_again", rules.no)),
    _bug(
        "the same attempt is sealed anew",
        "same-attempt",
        instead(Member, "stored_reply", rules.nothing),
    ),
    _bug(
        "a restored ledger goes on",
        "restored",
        instead(Member, "_refuse_restored", rules.nothing),
    ),
    _bug(
        "peers forget each other's ledgers",
        "restored",
        instead(peers, "_extended", rules.last_link_only),
    ),
)

ASKS = (
    _bug(
        "a second sum of a step is opened",
        "second-opening",
        instead(member, "_refuse_step", rules.nothing),
        instead(walk, "catch_up", rules.opened_anew),
    ),
    _bug(
        "a short cohort is joined",
        "short-cohort",
        instead(verification, "check_cohort", rules.nothing),
    ),
    _bug("any signature counts", "forged-call", instead(Statement, "verifies", rules.yes)),
)

BUGS = (*ROWS, *NOISE, *MASKS, *LEDGER, *ASKS)

"""The audit as a whole: every check on the real code, then every bug against its checks.

A run on code that is right fails with a probability below 1e-4: the checks' own bounds are added up
(Bonferroni), shown in the table, and do not depend on the bugs, which are missed less often still.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.audit import (
    checks_accounting,
    checks_asks,
    checks_ledger,
    checks_masks,
    checks_model,
    checks_noise,
    checks_rows,
)
from mesh_fl.simulate.audit.bugs import BUGS, Bug
from mesh_fl.simulate.audit.finding import QUICK, THOROUGH, Check, Finding, Setting
from mesh_fl.terminal import ERROR, show_json, show_table

_MODULES = (
    checks_noise,
    checks_model,
    checks_rows,
    checks_masks,
    checks_ledger,
    checks_asks,
    checks_accounting,
)
CHECKS: dict[str, Check] = {
    check.name: check for check in chain.from_iterable(module.CHECKS for module in _MODULES)
}


@dataclass(frozen=True)
class Outcome:
    """One line of the audit.

    Parameters
    ----------
    bug : str
        What was seeded; empty for the real code.
    check : str
        The attack.
    expected, found : str
        With figures.
    verdict : str
        "holds", "caught", "not run", or what is wrong.
    false_alarm : float
        Upper bound on the probability that this line fails although the code is right.
    """

    bug: str
    check: str
    expected: str
    found: str
    verdict: str
    false_alarm: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether this line is as it must be."""
        return self.verdict in ("holds", "caught")


@dataclass(frozen=True)
class Audit:
    """All lines, and how long they took."""

    setting: Setting
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether everything holds and every bug was caught; a quick one may leave checks out."""
        spared = {"not run"} if self.setting.quick else set()
        return bool(self.outcomes) and all(o.sound or o.verdict in spared for o in self.outcomes)

    @property
    def false_alarm(self) -> float:
        """Upper bound on the probability that code that is right fails."""
        return sum(outcome.false_alarm for outcome in self.outcomes)


def _ignore(_: str) -> None:
    return None


def audit(setting: Setting, only: str = "", tell: Callable[[str], None] = _ignore) -> Audit:
    """Run checks, and seed bugs.

    Parameters
    ----------
    setting : Setting
        How large.
    only : str
        Name of one check, with its bugs, or of one bug; all if empty.
    tell : callable
        Told what begins.

    Raises
    ------
    ConfigError
        If there is no such check or bug.
    """
    began, outcomes = time.monotonic(), list[Outcome]()
    tasks = list(_tasks(only))
    for number, (bug, check) in enumerate(tasks, start=1):
        tell(f"{number}/{len(tasks)}  {check.name}{f': {bug.name}' if bug else ''}")
        outcomes.append(_seeded(bug, check, setting) if bug else _real(check, setting))
    return Audit(setting, tuple(outcomes), time.monotonic() - began)


def _tasks(only: str) -> Iterator[tuple[Bug | None, Check]]:
    names = {bug.name for bug in BUGS}
    if only and only not in CHECKS and only not in names:
        raise ConfigError(f"no check or bug is called {only!r}: choose of {', '.join(CHECKS)}")
    yield from ((None, check) for name, check in CHECKS.items() if only in ("", name))
    for bug in BUGS:
        for name in bug.caught_by:
            if only in ("", name, bug.name):
                yield bug, CHECKS[name]


def _real(check: Check, setting: Setting) -> Outcome:
    finding = _run(check, setting)
    if isinstance(finding, str):
        return Outcome("", check.name, check.law, finding, "error")
    verdict = {True: "holds", False: "FAILS", None: "not run"}[finding.passed]
    alarm = finding.false_alarm
    return Outcome("", check.name, finding.expected, finding.found, verdict, alarm)


def _seeded(bug: Bug, check: Check, setting: Setting) -> Outcome:
    with bug.seeded() as hits:
        finding = _run(check, setting)
    missed = [label for label, number in hits.items() if not number]
    if isinstance(finding, str):
        return Outcome(bug.name, check.name, check.law, finding, "error")
    verdict = {True: "UNNOTICED", False: "caught", None: "not run"}[finding.passed]
    if missed and verdict != "not run":
        verdict = f"never met {', '.join(missed)}"
    return Outcome(bug.name, check.name, finding.expected, finding.found, verdict)


def _run(check: Check, setting: Setting) -> Finding | str:
    """Run a check; whatever it raises counts as neither holding nor caught."""
    try:
        return check.run(setting)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def show(seed: int, only: str, quick: bool, as_json: bool) -> bool:
    """Audit, print a table or JSON, and tell whether it passed."""
    setting = replace(QUICK if quick else THOROUGH, seed=seed)
    with _without_warnings(), ERROR.status("") as status:
        done = audit(setting, only, status.update)
    if as_json:
        show_json(_facts(done))
    else:
        _show(done)
    return done.passed


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Members warn of what is done to them here on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _facts(done: Audit) -> dict[str, object]:
    return {
        "passed": done.passed,
        "seconds": round(done.seconds, 1),
        "false_alarm_below": done.false_alarm,
        "setting": asdict(done.setting),
        "outcomes": [asdict(outcome) for outcome in done.outcomes],
    }


def _show(done: Audit) -> None:
    real = [o for o in done.outcomes if not o.bug]
    seeded = [o for o in done.outcomes if o.bug]
    if real:
        rows = [(o.check, o.expected, o.found, o.verdict) for o in real]
        show_table("the real code", ("check", "expected", "found", ""), rows)
    if seeded:
        caught = [(o.bug, o.check, o.expected, o.found, o.verdict) for o in seeded]
        show_table(
            "seeded bugs", ("bug", "caught by", "expected of right code", "found", ""), caught
        )
    told = "passed" if done.passed else "FAILED"
    ERROR.print(
        f"{told} in {done.seconds:.0f} s; right code fails with probability below "
        f"{done.false_alarm:.1g}"
    )

"""Who of several skills works how long with each, by linear programming (HiGHS)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, linprog, milp

from mesh_fl.agents.resource.capacity_demand import Member

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

TIGHT = 1e-9
LEAST_SHARE = 1e-6
"""Of the most work of any skill: what is less is taken to be so much."""


class Sharing:
    """The hours of each member, shared out among the skills that they have.

    Parameters
    ----------
    members : sequence of Member
    skills : sequence of str
        "" is a skill that everybody has.
    """

    def __init__(self, members: Sequence[Member], skills: Sequence[str]) -> None:
        pairs = [
            (person, skill)
            for person, one in enumerate(members)
            for skill, name in enumerate(skills)
            if not name or name in one.skills
        ]
        self.person, self.skill = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self.hours = np.array([one.hours_week for one in members], dtype=float)
        self.skills = len(skills)

    def possible(self) -> Vector:
        """Return the hours that all who have a skill have together, shape (skills,)."""
        hours = np.bincount(self.skill, self.hours[self.person], self.skills)
        return hours.astype(float)

    def evened(self, work: Vector) -> Vector:
        """Share hours so that the busiest skill is as little busy as can be, then the next.

        Parameters
        ----------
        work : ndarray, shape (skills,)
            Hours of each skill.

        Returns
        -------
        ndarray, shape (skills,)
            Hours there are for each; 0 where there is no work or nobody.
        """
        given = np.zeros(self.skills)
        most = float(work.max(initial=0.0))
        open_skills = (work > 0) & (self.possible() > 0)
        # The solver's tolerances are absolute: a share of the largest that is less is lost in them.
        work = np.maximum(work, LEAST_SHARE * most) / most if most > 0 else work
        while open_skills.any():
            times, tight = self._most_times(work, given, open_skills)
            given[tight] = times * work[tight]
            open_skills &= ~tight
        return given

    def _most_times(
        self, work: Vector, given: Vector, open_skills: NDArray[np.bool_]
    ) -> tuple[float, NDArray[np.bool_]]:
        """Return by how much hours can exceed the work of all open skills, and which stop it."""
        pairs = len(self.person)
        grows = np.where(open_skills, work, 0.0)
        least = np.where(open_skills, 0.0, given)
        found = linprog(
            np.r_[np.zeros(pairs), -1.0],
            A_ub=self._rows(np.c_[-self._by_skill(), grows], self._by_person()),
            b_ub=np.r_[-least * (1 - TIGHT), self.hours],
            method="highs",
        )
        if found.x is None:  # no hours at all are always possible
            raise RuntimeError(found.message)
        tight = open_skills & (found.ineqlin.marginals[: self.skills] < -TIGHT)
        return float(found.x[-1]), tight if tight.any() else open_skills.copy()

    def _by_skill(self) -> Matrix:
        return np.equal.outer(np.arange(self.skills), self.skill).astype(float)

    def _by_person(self) -> Matrix:
        return np.equal.outer(np.arange(len(self.hours)), self.person).astype(float)

    @staticmethod
    def _rows(skills: Matrix, people: Matrix) -> Matrix:
        extra = skills.shape[1] - people.shape[1]
        rows: Matrix = np.r_[skills, np.c_[people, np.zeros((len(people), extra))]]
        return rows

    def fewest_more(self, needed: Vector, week_h: float) -> NDArray[np.int64]:
        """Return the smallest number of people more, of one skill each, shape (skills,).

        Parameters
        ----------
        needed : ndarray, shape (skills,)
            Hours a week that each skill has to have.
        week_h : float
            That each of them works.
        """
        if not self.skills:
            return np.zeros(0, dtype=np.int64)
        rows = self._rows(
            np.c_[-self._by_skill(), -week_h * np.eye(self.skills)], self._by_person()
        )
        pairs = len(self.person)
        found = milp(
            np.r_[np.zeros(pairs), np.ones(self.skills)],
            constraints=LinearConstraint(rows, ub=np.r_[-needed * (1 - TIGHT), self.hours]),
            integrality=np.r_[np.zeros(pairs), np.ones(self.skills)],
        )
        if found.x is None:  # more people are always enough
            raise RuntimeError(found.message)
        return np.rint(found.x[pairs:]).astype(np.int64)

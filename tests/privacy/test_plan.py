import functools
import json
import math
import warnings
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.errors import PlanError
from mesh_fl.privacy.accounting import compose, delta_of, epsilon_of
from mesh_fl.privacy.plan import DISCRETE_SLACK, TAIL, Plan, Policy, budget_of, largest_delta

CAPS = {"ash": 64, "birch": 256, "cedar": 512, "elm": 2048, "fir": 4096}
DELTA = 1e-5

TERMS: dict[str, object] = {
    "agent": "health",
    "config": '{"label":"churned"}',
    "dimension": 9,
    "measure_dimension": 40,
    "clip": 1.5,
    "measure_clip": 1.0,
    "rounds": 12,
    "measures": 3,
    "measure_share": 0.07,
    "spares": 2,
    "epsilon": 0.1,
    "delta": DELTA,
    "survivors": 4,
    "colluders": 1,
    "caps": CAPS,
}


def raw(**terms: object) -> Plan:
    return Plan(**{**TERMS, **terms})  # type: ignore[arg-type]


def plan(**terms: object) -> Plan:
    return raw(**terms).calibrate()


def changed(found: Plan, **terms: object) -> Plan:
    return Plan(**{**found.model_dump(), **terms})


class TestCalibration:
    @pytest.mark.parametrize("kind", ["train", "measure"])
    def test_an_uncalibrated_plan_refuses_to_be_used(self, kind: str) -> None:
        with pytest.raises(PlanError, match=r"not calibrated: call plan\.calibrate"):
            raw().cost(kind)  # type: ignore[arg-type]
        with pytest.raises(PlanError, match="not calibrated"):
            raw().release(kind)  # type: ignore[arg-type]

    def test_an_uncalibrated_plan_has_no_total_no_parameters_and_no_admission(self) -> None:
        for use in (
            lambda: raw().total_cost,
            lambda: raw().parameters,
            lambda: raw().affords(0.0, 0),
            lambda: Policy().admit(raw(), "ash", 10),
        ):
            with pytest.raises(PlanError, match="not calibrated"):
                use()

    def test_a_plan_that_lost_only_its_measures_noise_is_refused(self) -> None:
        with pytest.raises(PlanError, match="not calibrated"):
            Policy().admit(changed(plan(), measure_multiplier=None), "ash", 10)

    @settings(max_examples=60, deadline=None)
    @given(
        rounds=st.integers(1, 300),
        measures=st.integers(0, 5),
        spares=st.integers(0, 50),
        share=st.floats(0.001, 0.9),
        epsilon=st.floats(0.01, 8),
    )
    def test_everything_together_spends_the_calibrated_budget_exactly(
        self, rounds: int, measures: int, spares: int, share: float, epsilon: float
    ) -> None:
        measures = min(measures, rounds)
        found = plan(
            rounds=rounds,
            measures=measures,
            spares=spares,
            measure_share=share if measures else 0.0,
            epsilon=epsilon,
        )
        mus = [found.release("train").mu] * (rounds + spares)
        mus += [found.release("measure").mu] * measures if measures else []
        total = compose(mus)
        assert total**2 == pytest.approx(budget_of(epsilon, DELTA), rel=1e-12)
        assert total**2 == pytest.approx(found.total_cost, rel=1e-12)
        assert epsilon_of(total, DELTA) == pytest.approx(DISCRETE_SLACK * epsilon, rel=1e-9)
        assert delta_of(total, epsilon) < DELTA
        Policy(epsilon=epsilon).admit(found, "ash", 64)

    def test_measures_take_their_share(self) -> None:
        found = plan(measure_share=0.25)
        assert 3 * found.cost("measure") == pytest.approx(0.25 * found.total_cost, rel=1e-12)

    def test_rounds_cost_noise_and_not_privacy(self) -> None:
        few, many = (plan(rounds=n, spares=0, measures=0, measure_share=0.0) for n in (16, 64))
        assert many.multiplier == pytest.approx(2 * float(few.multiplier or 0), rel=1e-12)

    def test_calibrating_twice_changes_nothing(self) -> None:
        assert plan().calibrate() == plan()

    def test_calibrating_changes_a_digest_that_was_known_before(self) -> None:
        before = raw()
        assert before.digest != before.calibrate().digest == plan().digest


class TestOtherAccountants:
    """The actual multipliers of all releases, spare attempts and measures of one plan."""

    found = plan()
    releases = ((found.multiplier, 14), (found.measure_multiplier, 3))

    def test_privacy_loss_distribution_agrees(self) -> None:
        from dp_accounting import GaussianDpEvent, NeighboringRelation
        from dp_accounting.pld import PLDAccountant

        accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
        for multiplier, count in self.releases:
            accountant.compose(GaussianDpEvent(multiplier), count)
        assert accountant.get_epsilon(DELTA) == pytest.approx(0.0999, abs=1e-4)
        assert accountant.get_delta(0.1) <= DELTA

    @pytest.mark.parametrize(
        ("name", "precision", "most"),
        [("PRVAccountant", {"eps_error": 0.001}, 0.102), ("RDPAccountant", {}, 0.14)],
    )
    def test_opacus_is_never_below(
        self, name: str, precision: dict[str, float], most: float
    ) -> None:
        from opacus import accountants

        accountant = getattr(accountants, name)()
        for multiplier, count in self.releases:
            for _ in range(count):
                accountant.step(noise_multiplier=multiplier, sample_rate=1.0)
        with warnings.catch_warnings():
            # Sampling rate 1 makes Opacus take the logarithm of 0 in a branch that it discards.
            warnings.simplefilter("ignore")
            assert 0.0999 <= accountant.get_epsilon(DELTA, **precision) < most

    def test_less_noise_would_be_noticed(self) -> None:
        from dp_accounting import GaussianDpEvent, NeighboringRelation
        from dp_accounting.pld import PLDAccountant

        accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
        for multiplier, count in self.releases:
            accountant.compose(GaussianDpEvent(0.98 * float(multiplier or 0)), count)
        assert accountant.get_delta(0.1) > DELTA


class TestNoise:
    @pytest.mark.parametrize("kind", ["train", "measure"])
    @pytest.mark.parametrize(("survivors", "colluders"), [(4, 1), (5, 4), (2, 0), (5, 2)])
    def test_shares_of_the_honest_survivors_make_the_whole(
        self, kind: str, survivors: int, colluders: int
    ) -> None:
        release = plan(survivors=survivors, colluders=colluders).release(kind)  # type: ignore[arg-type]
        honest = survivors - colluders
        assert honest * release.share**2 == pytest.approx(release.sigma**2, rel=1e-12)

    def test_trusting_nobody_every_share_is_the_whole(self) -> None:
        release = plan(trust="local").release("train")
        assert release.share == release.sigma == plan().release("train").sigma

    @pytest.mark.parametrize("kind", ["train", "measure"])
    def test_noise_is_multiplier_times_proved_sensitivity(self, kind: str) -> None:
        found = plan()
        release = found.release(kind)  # type: ignore[arg-type]
        multiplier = found.multiplier if kind == "train" else found.measure_multiplier
        assert release.sigma == pytest.approx(float(multiplier or 0) * release.sensitivity)
        rounded = release.scale * release.clip + math.sqrt(release.dimension) / 2
        assert release.sensitivity >= rounded

    @settings(max_examples=50, deadline=None)
    @given(
        clip=st.floats(1e-3, 1e3),
        dimension=st.integers(1, 2000),
        cap=st.integers(1, 50_000),
        members=st.integers(2, 200),
        trust=st.sampled_from(["distributed", "local"]),
    )
    def test_the_worst_sum_and_its_noise_fit_the_encryption(
        self, clip: float, dimension: int, cap: int, members: int, trust: str
    ) -> None:
        caps = {f"m{k}": cap for k in range(members)}
        found = plan(
            clip=clip,
            dimension=dimension,
            caps=caps,
            delta=largest_delta(caps),
            survivors=2,
            trust=trust,
        )
        half = found.parameters.plain_modulus / 2
        assert found.parameters.most_additions >= members
        for kind in ("train", "measure"):
            release = found.release(kind)  # type: ignore[arg-type]
            noise = TAIL * release.share * math.sqrt(members)
            assert release.bound >= members * cap * release.sensitivity + noise
            assert release.bound < half

    def test_nine_sigma_are_exceeded_less_often_than_promised(self) -> None:
        assert math.erfc(9 / math.sqrt(2)) < 2**-61


class TestSchedule:
    @pytest.mark.parametrize(
        ("rounds", "measures", "expected"),
        [
            (3, 0, "ttt"),
            (3, 1, "tttm"),
            (4, 2, "ttmttm"),
            (2, 2, "tmtm"),
            (5, 2, "ttmtttm"),
            (1, 1, "tm"),
        ],
    )
    def test_measures_are_spread_and_the_last_comes_last(
        self, rounds: int, measures: int, expected: str
    ) -> None:
        found = plan(rounds=rounds, measures=measures, measure_share=0.1 if measures else 0.0)
        assert "".join(kind[0] for kind in found.schedule) == expected

    @given(rounds=st.integers(1, 200), data=st.data())
    def test_nothing_is_left_out(self, rounds: int, data: st.DataObject) -> None:
        measures = data.draw(st.integers(0, rounds))
        share = 0.1 if measures else 0.0
        schedule = plan(rounds=rounds, measures=measures, measure_share=share).schedule
        assert schedule.count("train") == rounds
        assert schedule.count("measure") == measures
        assert schedule[0] == "train"
        assert not measures or schedule[-1] == "measure"
        assert "measure measure" not in " ".join(schedule)

    def test_spares_are_affordable_and_one_more_is_not(self) -> None:
        found = plan(spares=2)
        train = found.cost("train")
        assert found.affords(0.0, 0)
        assert found.affords(2 * train, 0)
        assert not found.affords(3 * train, 0)
        assert found.affords(3 * train, 1)
        everything = sum(found.cost(kind) for kind in found.schedule)
        assert found.affords(everything + 2 * train, len(found.schedule))
        assert not found.affords(everything + 3 * train, len(found.schedule))

    @given(st.lists(st.booleans(), max_size=60))
    def test_whatever_fails_the_promise_is_never_overspent(self, alive: list[bool]) -> None:
        found = PLAN
        spent, done = 0.0, 0
        for success in alive:
            if done == len(found.schedule) or not found.affords(spent, done):
                break
            spent += found.cost(found.schedule[done])
            done += success
        assert spent <= found.total_cost * (1 + 1e-9)
        assert spent <= budget_of(0.1, DELTA) * (1 + 1e-9)


PLAN = plan()


class TestValidation:
    @pytest.mark.parametrize(
        ("terms", "message"),
        [
            ({"survivors": 6}, "colluders < survivors <= members, found 1, 6 and 5"),
            ({"colluders": 4}, "colluders < survivors <= members, found 4, 4 and 5"),
            ({"caps": {**CAPS, "ash": 0}}, "at least 1 record"),
            ({"caps": {**CAPS, "ash": -5}}, "at least 1 record"),
            ({"measures": 0}, "measures = 0 needs measure_share equal to 0, found 0.07"),
            ({"measure_share": 0.0}, "measures = 3 needs measure_share above 0"),
            ({"measure_dimension": 0}, "'health' measures nothing: plan measures = 0"),
            ({"rounds": 2}, "measures = 3 exceed rounds = 2"),
            ({"delta": 1.5e-5}, "delta must be at most 1e-05 for caps that add up to 6976"),
            ({"caps": {**CAPS, "fir": 20_000}}, r"delta must be at most 4\.3.e-06"),
            ({"dimension": 0}, "dimension"),
            ({"clip": 0.0}, "clip"),
            ({"clip": math.inf}, "clip"),
            ({"clip": math.nan}, "clip"),
            ({"rounds": 0}, "rounds"),
            ({"spares": -1}, "spares"),
            ({"measure_share": 1.0}, "measure_share"),
            ({"epsilon": 0.0}, "epsilon"),
            ({"epsilon": math.inf}, "epsilon"),
            ({"epsilon": math.nan}, "epsilon"),
            ({"delta": 0.0}, "delta"),
            ({"survivors": 1}, "survivors"),
            ({"colluders": -1}, "colluders"),
            ({"trust": "blind"}, "trust"),
            ({"unit": "table"}, "unit"),
            ({"multiplier": -1.0}, "multiplier"),
            ({"multiplier": math.inf}, "multiplier"),
            ({"multiplier": 1e-200}, "multiplier"),
            ({"rounds": 2**63}, "rounds"),
            ({"spares": 2**63}, "spares"),
            ({"measure_multiplier": 0.0}, "measure_multiplier"),
            ({"rounds": True}, "rounds"),
            ({"rounds": "12"}, "rounds"),
            ({"surplus": 1}, "surplus"),
        ],
        ids=str,
    )
    def test_an_impossible_plan_says_why(self, terms: dict[str, object], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            raw(**terms)

    def test_plans_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            PLAN.epsilon = 1.0  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("caps", "most"), [({"a": 10}, 1e-5), ({"a": 10_000}, 1e-5), ({"a": 10**6}, 1e-7)]
    )
    def test_delta_shrinks_with_the_number_of_records(
        self, caps: dict[str, int], most: float
    ) -> None:
        assert largest_delta(caps) == pytest.approx(most)
        assert Fraction(largest_delta(caps)) * 10 * sum(caps.values()) <= 1 + Fraction(1, 10**12)


OTHER: dict[str, object] = {
    "agent": "tickets",
    "config": "{}",
    "unit": "client",
    "dimension": 10,
    "measure_dimension": 41,
    "clip": 1.5000000000000002,
    "measure_clip": 1.1,
    "rounds": 13,
    "measures": 2,
    "measure_share": 0.08,
    "spares": 3,
    "epsilon": 0.09,
    "delta": 9e-6,
    "survivors": 5,
    "colluders": 2,
    "caps": {**CAPS, "fir": 4097},
    "epoch_steps": 9,
    "trust": "local",
    "multiplier": math.nextafter(PLAN.multiplier or 0, 1e9),
    "measure_multiplier": 1.0,
}


class TestDigest:
    def test_every_field_is_tried(self) -> None:
        assert OTHER.keys() == Plan.model_fields.keys()

    @pytest.mark.parametrize("field", Plan.model_fields)
    def test_every_single_field_changes_it(self, field: str) -> None:
        assert PLAN.digest
        assert changed(PLAN, **{field: OTHER[field]}).digest != PLAN.digest

    def test_the_order_of_members_does_not(self) -> None:
        assert changed(PLAN, caps=dict(reversed(CAPS.items()))).digest == PLAN.digest

    def test_it_survives_json(self) -> None:
        again = Plan.model_validate_json(json.dumps(PLAN.model_dump(mode="json")))
        assert again == PLAN
        assert again.digest == PLAN.digest

    def test_it_is_pinned(self) -> None:
        """Members of different versions must not agree to different plans under one digest."""
        pinned = changed(PLAN, multiplier=2.0, measure_multiplier=4.0)
        assert pinned.digest == PINNED


PINNED = "a162ea11790d84266902b73e70073e9f7a6895f2b7224b97593d02e87fa80f38"


class TestPolicy:
    def test_the_default_is_the_promise(self) -> None:
        assert Policy() == Policy(epsilon=0.1, delta=1e-5, survivors=4, colluders=1)
        assert Policy().budget == budget_of(0.1, 1e-5)
        Policy().admit(PLAN, "ash", 64)

    @pytest.mark.parametrize(
        ("terms", "own", "message"),
        [
            ({"epsilon": 0.100001}, {}, "epsilon = 0.100001, our policy insists on 0.1"),
            ({}, {"epsilon": 0.09}, "epsilon = 0.1, our policy insists on 0.09"),
            ({}, {"delta": 1e-6}, "delta = 1e-05, our policy insists on 1e-06"),
            ({"colluders": 0}, {}, "colluders = 0, our policy insists on 1"),
            ({"survivors": 3}, {}, "survivors = 3, our policy insists on 4"),
            ({}, {"survivors": 5}, "survivors = 4, our policy insists on 5"),
            ({}, {"colluders": 2}, "colluders = 1, our policy insists on 2"),
        ],
        ids=str,
    )
    def test_every_laxer_term_is_refused_and_named(
        self, terms: dict[str, object], own: dict[str, float], message: str
    ) -> None:
        with pytest.raises(PlanError, match=message):
            Policy(**own).admit(plan(**terms), "ash", 10)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "terms",
        [
            {"epsilon": 0.05},
            {"delta": 1e-7},
            {"survivors": 5},
            {"colluders": 2},
            {"trust": "local"},
        ],
        ids=str,
    )
    def test_every_stricter_term_is_accepted(self, terms: dict[str, object]) -> None:
        Policy().admit(plan(**terms), "ash", 10)

    @pytest.mark.parametrize(
        "tampered",
        [
            {"multiplier": 0.999 * (PLAN.multiplier or 0)},
            {"measure_multiplier": 0.99 * (PLAN.measure_multiplier or 0)},
            {"rounds": 13},
            {"spares": 3},
            {"measures": 4},
            {"epsilon": 0.0999},
            {"delta": 9.9e-6},
            {"multiplier": 1e-6},
        ],
        ids=str,
    )
    def test_noise_too_small_for_the_claim_is_refused(self, tampered: dict[str, object]) -> None:
        with pytest.raises(PlanError, match=r"noise is too small for the epsilon|not calibrated"):
            Policy().admit(changed(PLAN, **tampered), "ash", 10)

    def test_more_noise_than_needed_is_welcome(self) -> None:
        Policy().admit(changed(PLAN, multiplier=2 * (PLAN.multiplier or 0)), "ash", 10)

    def test_more_records_than_declared_are_refused(self) -> None:
        Policy().admit(PLAN, "ash", 64)
        with pytest.raises(PlanError, match=r"we have 65 records, but declared at most 64.*--cap"):
            Policy().admit(PLAN, "ash", 65)

    def test_a_plan_without_us_is_refused(self) -> None:
        with pytest.raises(PlanError, match="does not name member 'oak'"):
            Policy().admit(PLAN, "oak", 1)

    @pytest.mark.parametrize(
        "bad", [{"epsilon": 0.0}, {"delta": 1.0}, {"survivors": 1}, {"colluders": -1}, {"x": 1}]
    )
    def test_impossible_policies_are_refused(self, bad: dict[str, float]) -> None:
        with pytest.raises(ValidationError, match=next(iter(bad))):
            Policy(**bad)  # type: ignore[arg-type]


def test_unused_noise_of_measures_costs_nothing() -> None:
    found = functools.partial(plan, measures=0, measure_share=0.0)
    assert found().measure_multiplier is None
    assert found().total_cost == 14 * found().cost("train")
    with pytest.raises(KeyError):
        found().release("measure")

import numpy as np
import pytest
from small_network import AGENT, FOUNDERS, NAMES, RECORDS, Centre, plan_of

from mesh_fl.agent import Data, Rows, State
from mesh_fl.errors import AgentError
from mesh_fl.messages import Convene, Enrol
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.noise import SeededSource, SystemSource
from mesh_fl.privacy.plan import Policy
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.simulate.network import Clear, Founders, LocalExchange, member_of, rehearse

SHARDS: dict[str, Data] = {
    name: {"point": np.random.default_rng(number).normal(0.4, 0.3, (RECORDS, 3))}
    for number, name in enumerate(NAMES)
}
PLAN = plan_of()


class TestSimulation:
    def test_encrypted_and_clear_give_the_same_integers(self) -> None:
        clear = rehearse(AGENT, PLAN, SHARDS, seed=5)
        encrypted = rehearse(AGENT, PLAN, SHARDS, seed=5, encrypted=True)
        assert clear.checkpoint.digest == encrypted.checkpoint.digest
        assert clear.checkpoint.applied == len(PLAN.schedule)
        for name in clear.state:
            assert clear.state[name].tobytes() == encrypted.state[name].tobytes()

    def test_a_seed_makes_it_reproducible_and_another_seed_another(self) -> None:
        digests = [rehearse(AGENT, PLAN, SHARDS, seed=seed).checkpoint.digest for seed in (5, 5, 6)]
        assert digests[0] == digests[1] != digests[2]

    def test_without_a_seed_noise_is_fresh(self) -> None:
        runs = [rehearse(AGENT, PLAN, SHARDS) for _ in range(2)]
        assert runs[0].checkpoint.digest != runs[1].checkpoint.digest
        sources = [member.source for run in runs for member in run.members.values()]
        assert all(isinstance(source, SystemSource) for source in sources)

    def test_members_have_noise_of_their_own(self) -> None:
        """Equal streams would cancel or pile up instead of adding in variance."""
        run = rehearse(AGENT, PLAN, SHARDS, seed=5)
        words = [member.source.words(8).tobytes() for member in run.members.values()]
        assert len(set(words)) == len(NAMES)

    def test_every_member_pays_like_in_a_deployment(self) -> None:
        run = rehearse(AGENT, PLAN, SHARDS, seed=1)
        assert run.checkpoint.status == "finished"
        spent = run.checkpoint.spent
        assert spent == pytest.approx(sum(PLAN.cost(kind) for kind in PLAN.schedule))
        for member in run.members.values():
            assert [charge.position for charge in member.ledger.charges] == [
                (step, step) for step in range(1, 5)
            ]
            assert 0 < member.ledger.most_spent < PLAN.epsilon

    def test_all_members_end_with_the_servers_model(self) -> None:
        run = rehearse(AGENT, PLAN, SHARDS, seed=2)
        for member in run.members.values():
            seat = member.resume(run.checkpoint.training)
            assert seat.digest == run.checkpoint.digest
            for name in run.state:
                np.testing.assert_array_equal(seat.state[name], run.state[name])

    def test_a_member_with_more_records_than_declared_is_left_out(self) -> None:
        """It refuses for good; nobody waits for it."""
        shards = {**SHARDS, "ash": {"point": np.zeros((65, 3))}}
        run = rehearse(AGENT, PLAN, shards, seed=3)
        assert run.checkpoint.status == "finished"
        assert [record.members for record in run.checkpoint.history] == [4] * 4
        assert run.members["ash"].ledger.charges == ()

    def test_measures_do_not_change_the_model(self) -> None:
        measured = rehearse(AGENT, plan_of(rounds=2, measures=2), SHARDS, seed=4)
        assert measured.state["steps"] == 2
        assert [bool(record.scores) for record in measured.checkpoint.history] == [
            False,
            True,
            False,
            True,
        ]

    def test_unequal_shards_add_up_as_if_they_were_one(self) -> None:
        """At a huge epsilon noise is nothing: how records are dealt out must not matter."""
        points = np.random.default_rng(9).normal(0.4, 0.3, (120, 3))
        plan = plan_of(epsilon=10_000.0, rounds=2, measures=0)
        deals = ([1, 2, 10, 60], [24, 48, 72, 96])
        states = [
            rehearse(AGENT, plan, dict(zip(NAMES, split(points, deal), strict=True)), seed=1).state
            for deal in deals
        ]
        np.testing.assert_allclose(states[0]["centre"], states[1]["centre"], atol=2e-3)
        assert np.all(states[0]["centre"] > 0.1)

    def test_errors_in_an_agent_come_through(self) -> None:
        class Broken(Centre):
            def contribute(self, state: State, data: Data) -> Rows:
                raise ZeroDivisionError("a bug")

        with pytest.raises(AgentError, match="failed in contribute: ZeroDivisionError: a bug"):
            rehearse(Broken(), PLAN, SHARDS)


def split(points: np.ndarray, cuts: list[int]) -> list[Data]:
    return [{"point": part} for part in np.split(points, cuts)]


class TestClear:
    def test_it_is_bfv_without_the_secrecy(self) -> None:
        key = generate_key(PLAN.parameters)
        bfv, clear = Bfv(PLAN.parameters, key), Clear(PLAN.parameters)
        rng = np.random.default_rng(0)
        vectors = [rng.integers(-(10**5), 10**5, 3000) for _ in range(5)]
        sums = [
            cipher.decrypt(cipher.add([cipher.encrypt(v) for v in vectors], 3000), 3000)
            for cipher in (bfv, clear)
        ]
        np.testing.assert_array_equal(sums[0], sums[1])
        np.testing.assert_array_equal(sums[0], np.sum(vectors, axis=0))


class TestLocalExchange:
    def exchange(self) -> LocalExchange:
        people = {
            name: member_of(name, AGENT, SHARDS[name], Policy(), SeededSource(k), FOUNDERS, Clear)
            for k, name in enumerate(NAMES)
        }
        return LocalExchange(people, FOUNDERS.roster)

    def test_whoever_is_offline_does_not_answer(self) -> None:
        exchange = self.exchange()
        assert exchange.connected() == set(NAMES)
        exchange.online -= {"elm"}
        assert exchange.connected() == set(NAMES) - {"elm"}
        assert exchange.roster() is FOUNDERS.roster
        enrol = Enrol(training="a" * 32, plan=PLAN, roster=FOUNDERS.roster.dumps(), latest=None)
        answers = exchange.send({"elm": enrol, "fir": enrol}, 1.0)
        assert list(answers) == ["fir"]
        assert exchange.traffic == (0, 0)

    def test_what_a_member_refuses_comes_back_as_a_refusal(self) -> None:
        order = Convene(training="a" * 32, epoch=1)
        (answer,) = self.exchange().send({"ash": order}, 1.0).values()
        assert answer.type == "refusal"


def test_a_network_that_is_made_up_has_its_own_keys() -> None:
    one, other = (Founders.of(PLAN.caps, colluders=1) for _ in range(2))
    keys = [f.roster.key_of(name) for f in (one, other) for name in NAMES]
    assert len({*keys, one.roster.operator, other.roster.operator}) == 12
    for name in NAMES:
        assert one.roster.key_of(name) == public_bytes(one.signing[name])

"""Which trainings a server goes on with, and in which order."""

from types import SimpleNamespace

import pytest
from small_network import AGENT, FOUNDERS, Network, plan_of

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import ConfigError, PlanError
from mesh_fl.server import programme
from mesh_fl.server.programme import Programme, last_words, open_training, training_folder
from mesh_fl.server.settings import ServerSettings
from mesh_fl.terminal import Narrator

NAME = "small_network:Centre"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A server's home with one training that is over."""
    network = Network()
    network.run()
    monkeypatch.setattr(programme, "plan_for", lambda *_: (AGENT, plan_of(rounds=2)))
    folder = training_folder(tmp_path, NAME)
    for name in network.blobs:
        folder[name] = network.blobs[name]
    return tmp_path


def opened(home, new, name=NAME):
    members = SimpleNamespace(roster=lambda: FOUNDERS.roster)
    return open_training(None, name, members, home, new)[1]


class TestOpening:
    def test_a_new_training_remembers_what_members_signed_in_the_last(self, home) -> None:
        last = Checkpoint.load(training_folder(home, NAME))
        fresh = opened(home, new=True)
        assert fresh.training != last.training
        assert fresh.step == 0
        assert fresh.latest == last.latest
        assert set(fresh.latest) == set(FOUNDERS.roster.cards)

    def test_the_training_of_another_agent_remembers_it_too(self, home) -> None:
        last = Checkpoint.load(training_folder(home, NAME))
        assert opened(home, new=False, name="other").latest == last.latest

    def test_the_newest_word_of_all_trainings_counts(self, home) -> None:
        last = Checkpoint.load(training_folder(home, NAME))
        word = last.latest["ash"]
        last.latest = {"ash": word.model_copy(update={"lines": word.lines + 1})}
        last.save(training_folder(home, "other"))
        found = last_words(home)
        assert found["ash"].lines == word.lines + 1
        assert set(found) == set(FOUNDERS.roster.cards)

    def test_a_training_that_goes_on_knows_the_newest_words_of_the_others(
        self, home, monkeypatch
    ) -> None:
        monkeypatch.setattr(programme, "build", lambda *_: AGENT)
        last = Checkpoint.load(training_folder(home, NAME))
        word = last.latest["ash"]
        last.latest = {"ash": word.model_copy(update={"lines": word.lines + 7})}
        last.save(training_folder(home, "other"))
        assert opened(home, new=False).latest["ash"].lines == word.lines + 7

    def test_a_damaged_training_does_not_hinder_another(self, home) -> None:
        training_folder(home, "other")["training"] = b"rubbish"
        assert set(opened(home, new=True).latest) == set(FOUNDERS.roster.cards)

    def test_strange_names_stay_in_the_folder(self, tmp_path) -> None:
        training_folder(tmp_path, "../x/y:z")
        assert [one.name for one in tmp_path.iterdir()] == ["trainings"]
        for name in ("../x", ".", "", "a/b", "-a"):
            with pytest.raises(ValueError, match="pattern"):
                ServerSettings(name="coop", agents={name: {}})

    def test_the_last_training_is_kept_beside_the_new_one(self, home) -> None:
        stored = training_folder(home, NAME)
        before = stored["training"]
        opened(home, new=True)
        kept = [name for name in stored if name.startswith("training.")]
        assert [stored[name] for name in kept] == [before]


class Turn:
    """Stands in for a training: its members come in the given turn."""

    def __init__(self, name, comes, log):
        self.plan = SimpleNamespace(agent=name)
        self.checkpoint = SimpleNamespace(status="running", latest={})
        self.name, self.comes, self.log = name, comes, log

    def run(self):
        self.log.append(self.name)
        self.comes -= 1
        if self.comes <= 0:
            self.checkpoint.status = "finished"

    def close(self):
        self.log.append(f"close {self.name}")


class TestOrder:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(Programme, "keep_reports", lambda self: [])

        def run(agents, comes, only=()):
            log: list[str] = []

            def make(self, name):
                if comes[name] == 0:
                    raise PlanError("too few members")
                return Turn(name, comes[name], log)

            monkeypatch.setattr(Programme, "_make", make)
            settings = ServerSettings(name="coop", agents={name: {} for name in agents})
            ours = Programme(tmp_path, settings, None, Narrator(as_json=True), agents=only)
            ours.run()
            return log, ours.is_over, capsys.readouterr().out

        return run

    def test_agents_are_trained_in_order_and_closed_in_turn(self, run) -> None:
        log, over, _ = run(["a", "b"], {"a": 1, "b": 1})
        assert log == ["a", "close a", "b", "close b"]
        assert over

    def test_an_agent_whose_members_are_away_gives_way_and_is_taken_up_again(self, run) -> None:
        log, over, _ = run(["a", "b"], {"a": 2, "b": 1})
        assert log == ["a", "b", "close b", "a", "close a"]
        assert over

    def test_an_agent_that_cannot_be_planned_is_told_and_left_out(self, run) -> None:
        log, over, said = run(["a", "b"], {"a": 0, "b": 1})
        assert log == ["b", "close b"]
        assert over
        assert "a is not trained: too few members" in said

    def test_alone_it_is_an_error(self, run) -> None:
        with pytest.raises(PlanError, match="too few"):
            run(["a"], {"a": 0})

    def test_one_may_be_trained_alone(self, run) -> None:
        assert run(["a", "b"], {"a": 1, "b": 1}, only=["b"])[0] == ["b", "close b"]

    def test_strangers_are_refused(self, run) -> None:
        with pytest.raises(ConfigError, match="expected agents among a, found c"):
            run(["a"], {"a": 1}, only=["c"])

import json
import sys
from types import SimpleNamespace

import pytest
from small_network import AGENT, FOUNDERS

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.offer import Offer
from mesh_fl.planning import configure, make_plan
from mesh_fl.server import cli, programme
from mesh_fl.server.forecast import Forecast, announce, forecast
from mesh_fl.server.members import Members
from mesh_fl.server.settings import ServerSettings, load_settings
from mesh_fl.simulate.expectation import MOST_RECORDS, expect, sizes_of
from mesh_fl.simulate.larger_crowds import Enough
from mesh_fl.terminal import Narrator

FEATURES = [{"name": f"n{place}", "kind": "number", "low": 1, "high": 99} for place in range(9)]
CONFIG: dict[str, object] = {"features": FEATURES}


def plan(caps, **terms):
    agent = configure("health", CONFIG, caps)
    return make_plan(agent, "health", caps, **({"rounds": 4, "epsilon": 8.0} | terms))


def settings(agent="health", config=CONFIG, **wanted):
    return ServerSettings.model_validate(
        {"name": "coop", "agents": {agent: {"config": config}}, "expect": wanted}
    )


CAPS = {f"m{number}": 64 for number in range(8)}
PLAN = plan(CAPS)


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestExpectation:
    def test_a_generous_plan_is_worth_it_and_a_mean_one_is_not(self) -> None:
        good = expect(PLAN, CONFIG, CAPS, data="simulated")
        bad = expect(plan(CAPS, epsilon=0.05), CONFIG, CAPS, data="simulated", larger=True)
        assert good.comparison.verdict == "gain"
        assert good.sentence.startswith("8 MSPs x 32 records at epsilon = 8: expected auc 0.")
        assert good.sentence.endswith("(on simulated records): worth the budget")
        assert bad.comparison.verdict == "no gain at this crowd"
        assert good.larger is None
        assert bad.larger is not None
        assert bad.larger.members is not None
        assert f"not worth the budget; about {bad.larger.members} such MSPs" in bad.sentence
        assert bad.facts()["enough_members"] == bad.larger.members

    def test_the_crowd_that_would_gain_does_gain(self) -> None:
        """What the sentence promises is tried again, by the way that it does not go."""
        few = expect(plan(CAPS, epsilon=0.05), CONFIG, CAPS, data="simulated", larger=True)
        assert few.larger is not None
        assert few.larger.members is not None
        many = {f"m{number}": 64 for number in range(few.larger.members)}
        terms = {"epsilon": 0.05, "survivors": int(0.9 * len(many)), "colluders": len(many) // 10}
        found = expect(plan(many, **terms), CONFIG, many, data="simulated")
        assert found.comparison.verdict == "gain"

    def test_no_crowd_is_named_where_none_was_tried(self) -> None:
        assert Enough(None, 0).sentence == "no larger crowd could be tried"
        assert Enough(None, 64).sentence == "64 such MSPs would gain nothing, either"

    def test_it_is_the_same_each_time(self) -> None:
        runs = [expect(PLAN, CONFIG, CAPS, data="simulated", seeds=2) for _ in range(2)]
        assert runs[0] == runs[1]

    def test_the_terms_of_the_plan_are_tried(self) -> None:
        """More colluders to withstand, more noise; fewer attempts to pay for, less."""
        many = {f"m{number}": 64 for number in range(40)}
        found = [
            expect(plan(many, epsilon=0.3, **terms), CONFIG, many, data="simulated")
            for terms in ({"survivors": 36, "spares": 0}, {"survivors": 8, "colluders": 7})
        ]
        assert found[0].comparison.quality["alone"] == found[1].comparison.quality["alone"]
        spared, hunted = (one.comparison.quality["federated"].mean for one in found)
        assert spared > hunted + 0.02

    def test_a_slow_agent_is_not_waited_for(self) -> None:
        found = expect(PLAN, CONFIG, CAPS, data="simulated", patience_s=0.0)
        assert found.seeds == 1
        assert "no time to tell" in found.sentence
        assert "nan" not in found.sentence

    def test_members_have_half_their_caps_unless_told(self) -> None:
        assert sizes_of({"a": 64, "b": 4096, "c": 1}) == (32, 2048, 1)
        assert sizes_of({"a": 64, "b": 4096}, 60) == (60, 60)
        assert sizes_of({"a": 64, "b": 4096}, 500) == (64, 500)

    def test_huge_members_are_left_to_a_command_that_takes_its_time(self) -> None:
        sizes_of({"a": MOST_RECORDS, "b": MOST_RECORDS})
        with pytest.raises(DataError, match="2 members have some 200001 records, more than"):
            sizes_of({"a": MOST_RECORDS, "b": MOST_RECORDS + 2})

    def test_unequal_members_are_told(self) -> None:
        caps = {"a": 64, "b": 256, "c": 256, "d": 64}
        found = expect(plan(caps), CONFIG, caps, data="simulated", seeds=1)
        assert "4 MSPs x 32 to 128 records" in found.sentence
        assert found.facts()["records"] == 320


class TestForecast:
    def test_facts_are_json(self) -> None:
        found = forecast(settings(), PLAN)
        facts = json.loads(json.dumps(found.facts, allow_nan=False))
        assert (facts["members"], facts["verdict"], found.warns) == (8, "gain", False)
        assert 0.5 <= facts["alone"] < facts["pooled"] <= 1

    def test_typical_records_may_be_told(self) -> None:
        found = forecast(settings(records=50), PLAN)
        assert "8 MSPs x 50 records" in found.text

    def test_nobody_has_to_have_one(self) -> None:
        assert forecast(settings(data="none"), PLAN) is None

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            ({"data": "nowhere"}, "no data 'nowhere'"),
            ({"data": "none.csv"}, "expected --map"),
            ({"data": "none.csv", "map": "none.toml"}, "expected a settings file, found none"),
            ({"data": "none.npz"}, "expected an npz file"),
        ],
    )
    def test_what_is_wrong_is_told_in_its_place(self, wanted, reason) -> None:
        found = forecast(settings(**wanted), PLAN)
        assert found.text.startswith("no forecast: ")
        assert reason in found.text
        assert "[expect] in server.toml" in found.text
        assert "\n" not in found.text
        assert (found.facts, found.warns) == ({}, False)

    def test_an_agent_that_makes_up_nothing_says_how_to_get_one(self) -> None:
        caps = dict.fromkeys(FOUNDERS.roster.cards, 64)
        made = make_plan(AGENT, "small_network:Centre", caps, rounds=2, measures=0)
        found = forecast(settings("small_network:Centre", {}), made)
        assert "Centre makes up no records: name public data" in found.text

    def test_too_few_public_records_are_told(self, tmp_path) -> None:
        import numpy as np

        np.savez(tmp_path / "few.npz", x=np.zeros((99, 10)), y=np.arange(99) % 2)
        found = forecast(settings(data=str(tmp_path / "few.npz")), PLAN)
        assert "8 members would have 256 records, few.npz serves 80" in found.text

    def test_it_never_stops_a_server(self, monkeypatch) -> None:
        def broken(*words, **more):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr("mesh_fl.simulate.expectation.find", broken)
        found = forecast(settings(), PLAN)
        assert found.text.startswith("no forecast: ZeroDivisionError: a bug")

    def test_without_simulations_there_is_none(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "mesh_fl.simulate.expectation", None)
        assert forecast(settings(), PLAN).text.startswith("no forecast: ")


class TestAnnouncement:
    def test_programs_get_one_line(self, capsys) -> None:
        announce(Forecast("forecast: fine", {"alone": 0.8}), Narrator(as_json=True))
        (line,) = said(capsys)
        assert (line["kind"], line["warns"], line["forecast"]) == (
            "forecast",
            False,
            {"alone": 0.8},
        )

    def test_a_bad_one_is_loud(self, capsys) -> None:
        announce(Forecast("forecast: not worth it", {}, warns=True), Narrator(as_json=True))
        (line,) = said(capsys)
        assert line["text"].startswith("WARNING: forecast: not worth it")

    def test_none_is_silent(self, capsys) -> None:
        announce(None, Narrator(as_json=True))
        assert said(capsys) == []


class TestServer:
    @pytest.fixture
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Members, "roster", lambda self: FOUNDERS.roster)
        monkeypatch.setattr(programme, "operator_key", lambda home: FOUNDERS.operator)
        caps = {name: card.cap for name, card in FOUNDERS.roster.cards.items()}
        text = 'name = "coop"\n[plan]\nepsilon = 8.0\nrounds = 4\n[expect]\n[agents.health]\n'
        text += "".join(
            "[[agents.health.config.features]]\n"
            + "".join(f"{key} = {json.dumps(value)}\n" for key, value in feature.items())
            for feature in FEATURES
        )
        (tmp_path / "server.toml").write_text(text)
        assert min(caps.values()) > 0
        return tmp_path

    def test_a_new_training_is_forecast_and_a_resumed_one_is_not(self, home, capsys) -> None:
        def start(new: bool) -> list[str]:
            narrator = Narrator(as_json=True)
            exchange = SimpleNamespace(roster=lambda: FOUNDERS.roster)
            settings = load_settings(home)
            trainings = programme.Programme(home, settings, exchange, narrator, new=new)
            trainings.open_first()
            training = trainings.trainings["health"]
            training.checkpoint.save(training.blobs)
            return [line["kind"] for line in said(capsys)]

        assert start(new=False) == ["forecast"]
        assert start(new=False) == []
        assert start(new=True) == ["forecast"]

    def test_a_plan_is_shown_with_it(self, home, capsys) -> None:
        cli.plan(home)
        assert "forecast: 5 MSPs x " in capsys.readouterr().out

    def test_the_offer_is_read_all_the_same(self, home, capsys, tmp_path) -> None:
        cli.plan(home, as_json=True)
        out = capsys.readouterr().out
        assert json.loads(out)["expected"]["text"].startswith("forecast: ")
        (tmp_path / "offer.json").write_text(out)
        assert Offer.read(tmp_path / "offer.json").agent == "health"

    def test_files_are_looked_for_beside_the_settings(self, home, monkeypatch) -> None:
        text = (home / "server.toml").read_text()
        wanted = '[expect]\ndata = "public.csv"\nmap = "map.toml"\nrecords = 9\n'
        (home / "server.toml").write_text(text.replace("[expect]\n", wanted))
        found = load_settings(home).expect
        assert (found.data, found.map) == (str(home / "public.csv"), str(home / "map.toml"))

    @pytest.mark.parametrize("wrong", ["records = 0", "data = 3", "dta = 'telco'"])
    def test_wrong_settings_are_refused(self, home, wrong) -> None:
        text = (home / "server.toml").read_text()
        (home / "server.toml").write_text(text.replace("[expect]\n", f"[expect]\n{wrong}\n"))
        with pytest.raises(ConfigError, match="expect"):
            load_settings(home)

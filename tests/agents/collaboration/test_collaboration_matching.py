import json
from datetime import date

import numpy as np
import pytest
from collaboration_cards import EAST, NORTH, SOUTH, card, directory
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.collaboration import directory as directories
from mesh_fl.agents.collaboration.agent import CollaborationMatching
from mesh_fl.agents.collaboration.records import Reader
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.introductions.ours import CARDS
from mesh_fl.schema import table_of
from mesh_fl.site import Site

AGENT = CollaborationMatching()
CARDS_OF = {
    "north": card(1, "north", **NORTH),
    "south": card(2, None, **SOUTH),
    "east": card(3, "east", **EAST),
}
HANDLE = {name: one.profile.handle for name, one in CARDS_OF.items()}
OWN = 'about = "Help desk for offices"\nskills = ["service desk", "Azure"]\n'


def table(**told: object):
    return table_of(
        AGENT.schema, [{one.name: one.parse(told.get(one.name)) for one in AGENT.schema}]
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    directory(folder, *CARDS_OF.values())
    (folder / "profile.toml").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def ask(home):
    files = {"directory": home / "directory.json", "profile": home / "profile.toml"}
    answering = AGENT.answering(Site(files))
    return lambda **told: answering(AGENT.init(), table(**told))[0]


def alone(**told: object):
    return AGENT.answer(AGENT.init(), table(**told))[0]


class TestMatches:
    def test_who_has_the_skill_comes_first(self, ask) -> None:
        assert ask(skills="Terraform").matches[0].msp_id == HANDLE["north"]
        assert ask(skills="penetration testing").matches[0].msp_id == HANDLE["south"]
        assert ask(requirements="The printer jams").matches[0].msp_id == HANDLE["east"]

    def test_words_that_name_no_skill_are_matched_by_likeness(self, ask) -> None:
        answer = ask(requirements="Somebody should try to break into our systems, with our leave")
        assert answer.matches[0].msp_id == HANDLE["south"]

    def test_a_hidden_member_has_no_name(self, ask) -> None:
        match = ask(skills="penetration testing").matches[0]
        assert match.name is None
        assert "hidden" in match.unavailable["name"]
        assert match.ask.startswith(f"mesh-client introductions ask HOME {HANDLE['south']} ")

    def test_contributions_make_the_score(self, ask) -> None:
        answer = ask(
            requirements="Azure, please", region="Bavaria", hours=40, certifications="ISO 27001"
        )
        match = answer.matches[0]
        log_odds = sum(one.contribution for one in match.reasons) - 0.5
        assert match.match_score == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=0.01)
        told = {one.because: one.contribution for one in match.reasons}
        assert told["works in Bavaria"] == pytest.approx(0.6)
        assert told["has 80 hours a month, 40 are needed"] == pytest.approx(0.6)
        assert answer.top_match_score == match.match_score

    @pytest.mark.parametrize(
        ("better", "worse"),
        [
            ({"region": "Bavaria"}, {"region": "Portugal"}),
            ({"hours": 60}, {"hours": 600}),
            ({"certifications": "iso 27001"}, {"certifications": "PCI QSA"}),
            ({"skills": "Azure"}, {"skills": "Azure; beekeeping"}),
        ],
    )
    def test_each_wish_moves_the_score(self, ask, better, worse) -> None:
        both = {"requirements": "Move servers to Azure"}
        scores = [
            next(one for one in ask(**both, **wish).matches if one.name == "north").match_score
            for wish in (better, worse)
        ]
        assert scores[0] > scores[1] + 0.02

    def test_a_skill_that_nobody_declared_is_found_by_its_words(self, ask) -> None:
        (match,) = [one for one in ask(skills="Solutions Partner").matches if one.skills]
        assert match.name == "north"
        assert ask(skills="beekeeping").complementarity.uncovered == ("beekeeping",)

    def test_what_partners_add_is_what_we_lack(self, ask) -> None:
        north = next(one for one in ask(skills="Terraform").matches if one.name == "north")
        assert "Azure" not in north.adds
        assert "infrastructure as code" in north.adds

    @pytest.mark.parametrize(
        ("skill", "told"),
        [
            ("C++", {"skills": ("C#",)}),
            ("C++", {"about": "Head office: building C, first floor."}),
            (".NET", {"about": "Invoices are due net 30 days."}),
            ("beekeeping", {"about": "We do no beekeeping."}),
            ("beekeeping", {"regions": ("beekeeping",)}),
            ("honey bees", {"services": ("honey", "bees")}),
        ],
    )
    def test_a_skill_that_nobody_declared_needs_its_own_words(self, tmp_path, skill, told) -> None:
        files = {
            "directory": directory(tmp_path, card(1, "a", **told), card(2, "b", skills=(skill,)))
        }
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills=skill))
        assert {one.name: one.skills for one in answer.matches if one.skills} == {"b": (skill,)}

    def test_a_certification_without_words_is_not_met(self, ask) -> None:
        matches = ask(skills="Azure; printers", certifications="***; ISO 27001").matches
        assert {one.name: one.certifications_missing for one in matches} == {
            "north": ("***",),
            "east": ("***", "ISO 27001"),
        }

    def test_a_name_has_one_match(self, tmp_path) -> None:
        spam = {**NORTH, "about": "Azure, Azure, Azure", "regions": ("Bavaria",)}
        cards = [card(seed, "spam", **spam) for seed in range(10, 22)]
        hidden = [card(seed, None, **NORTH) for seed in (30, 31)]
        files = {"directory": directory(tmp_path, *cards, *hidden, CARDS_OF["north"])}
        asked = table(skills="Azure", region="Bavaria")
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), asked)
        assert sorted(one.name or "" for one in answer.matches) == ["", "", "north", "spam"]

    def test_a_name_is_a_claim(self, ask) -> None:
        found = {
            one.name: one.name_source for one in ask(skills="Azure; incident response").matches
        }
        assert found == {"north": "claimed by the card", None: "hidden"}

    def test_from_afar_is_neither_here_nor_there(self, tmp_path) -> None:
        files = {
            "directory": directory(tmp_path, card(1, "a", skills=("Azure",), regions=("remote",)))
        }
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills="Azure", region="York"))
        assert not any("York" in one.because for one in answer.matches[0].reasons)

    def test_nothing_like_it_is_no_match(self, ask) -> None:
        answer = ask(requirements="qqq www")
        assert answer.matches == ()
        assert answer.top_match_score is None
        assert "nobody in the directory" in answer.unavailable["matches"]

    @pytest.mark.parametrize(
        "text", ["Wir brauchen Hilfe und nicht mehr für die Azure", "漢字漢字"]
    )
    def test_other_languages_are_read_for_words_alone(self, ask, text) -> None:
        answer = ask(requirements=text)
        assert "words alone" in answer.problems[0]
        assert all(one.cosine is None for one in answer.matches)
        assert bool(answer.matches) is ("Azure" in text)

    def test_nothing_asked_is_said(self, ask) -> None:
        answer = ask()
        assert "nothing was asked for" in answer.unavailable["matches"]
        assert answer.matches == ()
        assert answer.problems == ()

    def test_requests_are_answered_one_by_one(self, home) -> None:
        answering = AGENT.answering(Site({"directory": home / "directory.json"}))
        rows = [{"skills": "printers"}, {"skills": "Azure"}, {}]
        parsed = [{f.name: f.parse(row.get(f.name)) for f in AGENT.schema} for row in rows]
        together = answering(AGENT.init(), table_of(AGENT.schema, parsed))
        single = [answering(AGENT.init(), table_of(AGENT.schema, [row]))[0] for row in parsed]
        assert together == single

    @settings(max_examples=25)
    @given(st.text(max_size=200), st.text(max_size=80), st.text(max_size=30))
    def test_any_text_is_answered(self, requirements: str, skills: str, region: str) -> None:
        answer = alone(requirements=requirements, skills=skills, region=region, propose=1)
        answer.model_dump_json()
        assert answer.proposal is not None

    @pytest.mark.parametrize("unit", ["a", "a; ", "\x00", "🔥", "azure ", "|"])
    def test_a_megabyte_is_answered(self, ask, unit: str) -> None:
        text = (unit * 1_000_000)[:1_000_000]
        ask(requirements=text, skills=text, certifications=text, region=text, propose=1)


class TestDirectory:
    def test_our_own_card_is_no_match(self, tmp_path) -> None:
        mine = card(1, "north", **NORTH)
        (tmp_path / "profile.toml").write_text(OWN)
        (tmp_path / CARDS).mkdir(parents=True)
        (tmp_path / CARDS / f"{mine.profile.handle}.json").write_text("{}")
        files = {"directory": directory(tmp_path, mine), "profile": tmp_path / "profile.toml"}
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills="Azure"))
        assert answer.matches == ()
        assert answer.directory_size == 0
        assert "no profile but ours" in answer.unavailable["matches"]

    def test_a_card_that_we_withdrew_is_no_match(self, tmp_path) -> None:
        mine = card(1, None, **NORTH)
        (tmp_path / "profile.toml").write_text(OWN)
        (tmp_path / CARDS).mkdir(parents=True)
        (tmp_path / CARDS / f"{mine.profile.handle}.gone").write_bytes(b"")
        files = {"directory": directory(tmp_path, mine), "profile": tmp_path / "profile.toml"}
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills="Azure"))
        assert answer.directory_size == 0

    def test_a_card_under_our_own_name_is_no_match(self, tmp_path) -> None:
        (tmp_path / "profile.toml").write_text(OWN)
        (tmp_path / "client.toml").write_text('name = "north"\n')
        cards = directory(tmp_path, CARDS_OF["north"], CARDS_OF["south"])
        files = {"directory": cards, "profile": tmp_path / "profile.toml"}
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills="Azure"))
        assert answer.directory_size == 1
        assert answer.matches == ()

    def test_it_is_read_again_when_it_changed(self, tmp_path) -> None:
        path = directory(tmp_path, CARDS_OF["east"])
        answering = AGENT.answering(Site({"directory": path}))
        sizes, problems = [], []
        for cards in ((CARDS_OF["east"],), tuple(CARDS_OF.values()), None, (CARDS_OF["north"],)):
            if cards is None:
                path.write_text("[")
            else:
                directory(tmp_path, *cards)
            (answer,) = answering(AGENT.init(), table(skills="printers"))
            sizes.append(answer.directory_size)
            problems.append(answer.problems)
        assert sizes == [1, 3, 3, 1]
        assert [bool(one) for one in problems] == [False, False, True, False]
        assert "as it was before" in problems[2][0]

    def test_nonsense_is_read_for_likeness_up_to_a_bound(self, tmp_path, monkeypatch) -> None:
        def nonsense(seed: int):
            skills = tuple(f"gearbox {seed} x {number}" for number in range(100))
            return card(seed, None, skills=skills, services=("Azure",))

        read: list[str] = []
        whole = Reader.meant

        def counted(reader, texts, judged=None):
            read.extend(judged or ())
            return whole(reader, texts, frozenset())

        monkeypatch.setattr(Reader, "meant", counted)
        monkeypatch.setattr(directories, "MOST_JUDGED_OF_ALL", 50)
        cards = [nonsense(seed) for seed in range(1, 4)]
        answering = AGENT.answering(Site({"directory": directory(tmp_path, *cards)}))
        # The fifty are dealt out evenly: none of the three crowds the others out.
        assert len(read) == 50
        assert {sum(f" {seed} x" in one for one in read) for seed in (1, 2, 3)} == {16, 17}
        (answer,) = answering(AGENT.init(), table(skills="Azure; gearbox 2 x 99"))
        assert "250 entries of profiles" in answer.problems[0]
        assert {skill for one in answer.matches for skill in one.skills} >= {"gearbox 2 x 99"}

    def test_of_one_card_twenty_entries_are_read_for_likeness(self) -> None:
        silent = [[str(number) for number in range(100)], ["a"]]
        assert directories._judged(silent) == {*map(str, range(20)), "a"}

    def test_expired_cards_are_left_out(self, tmp_path) -> None:
        old = card(1, "north", **{**NORTH, "expires": date(2026, 1, 2)})
        files = {"directory": directory(tmp_path, old)}
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), table(skills="Azure"))
        assert answer.matches == ()

    def test_without_files_it_is_said_which_are_missing(self) -> None:
        answer = alone(skills="Azure")
        assert "name directory under" in answer.unavailable["matches"]

    def test_a_changed_card_is_refused(self, tmp_path) -> None:
        path = directory(tmp_path, CARDS_OF["north"])
        path.write_text(path.read_text().replace("Terraform", "Terrafirm"))
        with pytest.raises(ConfigError, match="changed"):
            AGENT.answering(Site({"directory": path}))

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("directry", "[]", "did you mean 'directory'"),
            ("directory", "{", "directory.json"),
            ("directory", "[" * 100_000, "directory.json"),
            ("directory", '[{"profile": NaN}]', "directory.json"),
            ("profile", "skills = 3", "profile"),
        ],
    )
    def test_a_wrong_file_is_named(self, tmp_path, name, content, said) -> None:
        path = tmp_path / ("profile.toml" if name == "profile" else "directory.json")
        path.write_text(content)
        with pytest.raises(ConfigError, match=said):
            AGENT.answering(Site({name: path}))

    def test_a_missing_file_is_named(self, tmp_path) -> None:
        with pytest.raises(ConfigError, match=r"none\.json"):
            AGENT.answering(Site({"directory": tmp_path / "none.json"}))

    def test_one_member_is_enough(self, tmp_path) -> None:
        path = directory(tmp_path, CARDS_OF["east"])
        (answer,) = AGENT.answering(Site({"directory": path}))(
            AGENT.init(), table(skills="printers")
        )
        assert [one.name for one in answer.matches] == ["east"]


class TestTeam:
    def test_the_fewest_partners_cover_what_we_lack(self, ask) -> None:
        team = ask(skills="Azure; service desk; penetration testing; Terraform").complementarity
        assert team.own == ("Azure", "service desk")
        assert team.covered_alone == 0.5
        assert {one.msp_id: one.skills for one in team.partners} == {
            HANDLE["north"]: ("infrastructure as code",),
            HANDLE["south"]: ("penetration testing",),
        }
        assert (team.covered_together, team.uncovered) == (1.0, ())

    def test_without_a_skill_it_is_said(self, ask) -> None:
        answer = ask(requirements="Lunch at noon for everybody in the office, as usual")
        if answer.needed_skills == ():
            assert answer.complementarity is None
            assert "no skill was told" in answer.unavailable["complementarity"]


DEAL = {"currency": "EUR", "parties": [{"msp": "us", "hours": 10, "rate": 80}]}


class TestProposal:
    def test_it_holds_what_was_given_and_asks_for_the_rest(self, ask) -> None:
        told = ask(skills="Azure; Terraform; beekeeping", hours=40, propose=1, deal=DEAL).proposal
        assert "- Hours a month: 40" in told
        assert "| north | infrastructure as code |" in told
        assert "10 h x 80 EUR/h = 800.00 EUR" in told
        opened = told.split("## Open questions")[1]
        assert "beekeeping" in opened
        assert "No region was told" in opened
        assert "No dates were given" in opened
        assert "price" not in opened

    def test_it_is_made_on_request_only(self, ask) -> None:
        answer = ask(skills="Azure")
        assert answer.proposal is None
        assert "set propose" in answer.unavailable["proposal"]
        assert "no deal" in answer.unavailable["revenue_sharing"]

    def test_what_others_wrote_is_no_markup(self) -> None:
        told = alone(
            requirements="# Head\n| a | [x](http://y) <b>", skills="*b*", propose=1
        ).proposal
        assert "\n# Head" not in told
        assert "\\[x\\]\\(http://y\\) \\<b\\>" in told
        assert "\\*b\\*" in told

    def test_a_bad_deal_is_refused(self) -> None:
        with pytest.raises(DataError, match="deal: expected"):
            alone(deal="{")

    def test_a_deal_alone_is_answered(self) -> None:
        found = alone(deal=DEAL)
        assert json.loads(found.model_dump_json())["revenue_sharing"]["price"] == "800.00"


def test_every_none_has_its_reason(ask) -> None:
    for answer in (ask(), ask(skills="Azure"), alone(requirements="Azure", propose=1)):
        missing = [name for name, value in answer if value is None or value == ()]
        assert set(missing) - {"problems"} <= set(answer.unavailable)
        for match in answer.matches:
            assert {name for name, value in match if value is None} == set(match.unavailable)

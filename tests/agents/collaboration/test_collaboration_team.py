import pytest
from collaboration_cards import NORTH, SOUTH, card, directory
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.collaboration.agent import CollaborationMatching
from mesh_fl.agents.collaboration.certificates import Certificates
from mesh_fl.agents.collaboration.denials import needed, offered
from mesh_fl.agents.collaboration.matching import MOST_MATCHES
from mesh_fl.schema import table_of
from mesh_fl.site import Site

AGENT = CollaborationMatching()
OWN = 'about = "Help desk for offices"\nskills = ["service desk"]\ncertifications = ["CISSP"]\n'


def ask(folder, *cards, **told: object):
    (folder / "profile.toml").write_text(OWN)
    files = {"directory": directory(folder, *cards), "profile": folder / "profile.toml"}
    row = {one.name: one.parse(told.get(one.name)) for one in AGENT.schema}
    return AGENT.answering(Site(files))(AGENT.init(), table_of(AGENT.schema, [row]))[0]


class TestTeam:
    CROWD = tuple(card(seed, f"m{seed}", **NORTH) for seed in range(1, 13))
    RARE = card(20, "rare", about="Mainframes.", skills=("COBOL",), regions=("Saxony",))
    RARER = card(21, None, about="Attacks.", skills=("penetration testing",), regions=("Saxony",))

    def test_the_one_who_can_is_found_behind_ten_better_matches(self, tmp_path) -> None:
        answer = ask(
            tmp_path,
            *self.CROWD,
            self.RARE,
            self.RARER,
            skills="Azure; Terraform; Microsoft 365; penetration testing; COBOL",
            region="Bavaria",
            propose=True,
        )
        team = answer.complementarity
        assert team.uncovered == ()
        assert team.covered_together == 1
        assert "Nobody in the directory" not in answer.proposal
        shown = [one.msp_id for one in answer.matches]
        assert {one.msp_id for one in team.partners} <= set(shown)
        assert set(shown[MOST_MATCHES:]) == {self.RARE.profile.handle, self.RARER.profile.handle}
        scores = [one.match_score for one in answer.matches]
        assert scores == sorted(scores, reverse=True)

    def test_a_crowd_is_cut_to_the_best(self, tmp_path) -> None:
        answer = ask(tmp_path, *self.CROWD, self.RARE, skills="Azure; Terraform", region="Bavaria")
        assert len(answer.matches) == MOST_MATCHES
        assert self.RARE.profile.handle not in {one.msp_id for one in answer.matches}


class TestDenials:
    @pytest.mark.parametrize(
        ("text", "skills"),
        [
            ("We do not need Azure; back to our own VMware", {"virtualisation"}),
            ("We don’t need Azure, we need VMware", {"virtualisation"}),  # noqa: RUF001
            ("Azure is not needed. VMware is.", {"virtualisation"}),
            ("We want VMware instead of Azure", {"virtualisation"}),
            ("We need VMware, not Azure", {"virtualisation"}),
            ("We need not only Azure but also VMware", {"virtualisation", "Azure"}),
            ("We have no Azure", {"Azure"}),
            ("VMware does not talk to Azure", {"virtualisation", "Azure"}),
            ("We do not want to run VMware ourselves", {"virtualisation"}),
            ("We do not need Azure", set()),
        ],
    )
    def test_what_is_not_needed_is_no_need(self, tmp_path, text: str, skills: set[str]) -> None:
        assert set(ask(tmp_path, requirements=text).needed_skills) == skills

    def test_a_text_that_only_denies_says_so(self, tmp_path) -> None:
        answer = ask(tmp_path, card(1, "north", **NORTH), requirements="We do not need Azure.")
        assert answer.matches == ()
        assert "only what is not needed" in answer.problems[0]

    @pytest.mark.parametrize(
        ("told", "has"),
        [
            ({"about": "We do not offer penetration testing."}, False),
            ({"about": "We don't do Azure, penetration testing or printing."}, False),
            ({"about": "Azure and AWS, but no penetration testing."}, False),
            ({"about": "Penetration testing is not offered."}, False),
            ({"about": "We do not offer:\n- penetration testing\n- printing"}, False),
            ({"services": ("no penetration testing",)}, False),
            ({"about": "We do not offer Azure, we offer penetration testing."}, True),
            ({"about": "We not only run Azure but also do penetration testing."}, True),
            ({"about": "No job is too small: penetration testing, Azure."}, True),
            ({"about": "Azure with no lock-in and penetration testing"}, True),
        ],
    )
    def test_what_is_not_offered_covers_nothing(self, tmp_path, told, has: bool) -> None:
        answer = ask(tmp_path, card(1, "north", **told), skills="penetration testing")
        assert (answer.complementarity.uncovered == ()) is has

    @given(st.text(max_size=300))
    @settings(max_examples=50)
    def test_what_denies_nothing_stays_as_it_is(self, text: str) -> None:
        plain = text.replace("n", "m").replace("N", "M").replace("x", "y").replace("X", "Y")
        assert needed(plain) == plain
        assert offered(plain) == plain

    @pytest.mark.parametrize("unit", ["not ", "we do not need ", "no, ", "and not (", "is not "])
    def test_much_of_it_is_read(self, unit: str) -> None:
        text = (unit * 20_000)[:20_000]
        assert len(needed(text)) <= 2 * len(text)
        assert len(offered(text)) <= 2 * len(text)

    def test_records_are_read_like_requests(self) -> None:
        def covered(profile: str) -> float:
            told = {"requirements": "Azure, please", "offered": profile, "accepted": True}
            row = {one.name: one.parse(told.get(one.name)) for one in AGENT.schema}
            return float(AGENT.prepare(table_of(AGENT.schema, [row]))["x"][0, 1])

        assert covered("We do not offer Azure. Printers.") == covered("Printers.")
        assert covered("Azure. Printers.") > covered("Printers.")


class TestCertificates:
    @pytest.mark.parametrize(
        ("asked", "held", "counts"),
        [
            ("ISO 27001", "ISO/IEC 27001 Lead Auditor", True),
            ("ISO/IEC 27001", "iso 27001:2022", True),
            ("ISO27001", "ISO 27001", True),
            ("Lead Auditor ISO 27001", "ISO/IEC 27001 Lead Auditor", True),
            ("PCI DSS", "PCI DSS 4.0", True),
            ("ISO 27701", "ISO/IEC 27001 and 27701", True),
            ("ISO/IEC 27001 Lead Auditor", "ISO 27001", False),
            ("ISO 27001", "ISO 9001", False),
            ("ISO 27001:2022", "ISO 27001:2013", False),
            ("SOC 1", "SOC 2 type 1", False),
            ("IEC", "IEC 62443", False),
            ("***", "***", False),
        ],
    )
    def test_a_name_is_met_by_its_words(self, asked: str, held: str, counts: bool) -> None:
        assert (asked in Certificates.of(["CCNA", held])) is counts

    def test_words_of_two_certificates_are_none(self) -> None:
        assert "ISO 27001" not in Certificates.of(["ISO 9001", "NIST 27001"])

    def test_a_match_with_the_full_name_lacks_nothing(self, tmp_path) -> None:
        held = {**NORTH, "certifications": ("ISO/IEC 27001 Lead Auditor",)}
        asked = {"skills": "Azure", "certifications": "ISO 27001; PCI QSA"}
        (match,) = ask(tmp_path, card(1, "north", **held), **asked).matches
        assert match.certifications_missing == ("PCI QSA",)

    def test_what_nobody_in_the_team_holds_is_an_open_question(self, tmp_path) -> None:
        cards = (card(1, "north", **NORTH), card(2, "south", **SOUTH))
        asked = {"certifications": "ISO 27001; CISSP; PCI QSA", "propose": True}
        team = ask(tmp_path, *cards, skills="Azure", **asked).proposal
        assert "- Who holds PCI QSA? Nobody in the team names it." in team
        assert team.count("Who holds") == 1
        other = ask(tmp_path, *cards, skills="penetration testing", **asked).proposal
        assert "Who holds ISO 27001?" in other
        assert "Who holds CISSP?" not in other

    def test_no_team_holds_nothing(self, tmp_path) -> None:
        asked = {"requirements": "qqq www", "certifications": "ISO 27001", "propose": True}
        proposal = ask(tmp_path, card(1, "north", **NORTH), **asked).proposal
        assert "Who holds ISO 27001?" in proposal

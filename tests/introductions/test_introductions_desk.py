import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from village import OFFERING, TODAY, Village

from mesh_fl.client.columns import ColumnMap, TableSource
from mesh_fl.client.data import read_records
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.desk import FOLDER
from mesh_fl.introductions.ours import CARDS
from mesh_fl.introductions.outcomes import FILE, Outcome, Outcomes
from mesh_fl.introductions.records import Asked, Records
from mesh_fl.introductions.reply import Reply, SealedReply, seal_reply
from mesh_fl.introductions.request import SealedRequest
from mesh_fl.schema import Field


@pytest.fixture
def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


def outcomes(village: Village, name: str) -> list[dict[str, object]]:
    path = village.home(name) / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def accept(village: Village, sealed: SealedRequest, **changes: object) -> SealedReply:
    desk = village.desk("best", **changes)
    return desk.accept(sealed, "al@best.example", "gladly", unknown=False)


class TestTheWholeWay:
    def test_accepted(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        incoming = village.desk("best").read(sealed)
        assert (incoming.known, incoming.accepted) == (True, None)
        assert incoming.request.name == "acme"
        assert incoming.request.message == "Hello\nthere"
        asked, known = village.desk("acme").open(accept(village, sealed))
        assert known
        assert (asked.reply.name, asked.reply.contact) == ("best", "al@best.example")

    def test_declined(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        asked, known = village.desk("acme").open(village.desk("best").decline(sealed))
        assert not known
        assert not asked.accepted
        assert "best" not in asked.model_dump_json()

    @pytest.mark.parametrize("accepted", [True, False])
    def test_both_sides_remember_what_came_of_it(self, village: Village, accepted) -> None:
        sealed = village.ask("acme", village.card("best"))
        reply = accept(village, sealed) if accepted else village.desk("best").decline(sealed)
        village.desk("acme").open(reply)
        row = {
            "id": sealed.digest,
            "requirements": "azure at night",
            "offered": OFFERING.offered,
            "accepted": accepted,
        }
        assert outcomes(village, "acme") == outcomes(village, "best") == [row]

    def test_outcomes_are_a_table_of_a_member(self, village: Village) -> None:
        for name in ("best", "core"):
            sealed = village.ask("acme", village.card(name))
            desk = village.desk(name)
            reply = accept(village, sealed) if name == "best" else desk.decline(sealed)
            village.desk("acme").open(reply)
        source = TableSource(
            path=village.home("acme") / FILE,
            id="id",
            columns={name: ColumnMap(column=name) for name in ("requirements", "accepted")},
        )
        fields = (Field(name="requirements", kind="text"), Field(name="accepted", kind="flag"))
        records = read_records(source, fields)
        assert records.problems == ()
        assert records.table["accepted"].tolist() == [1, 0]

    def test_a_list_tells_both_sides(self, village: Village) -> None:
        first, second = (village.ask("acme", village.card("best")) for _ in range(2))
        village.desk("acme").open(accept(village, first))
        mine = {one.introduction: one for one in village.desk("acme").introductions()}
        assert mine[first.digest][1:3] == ("asked", "best")
        assert mine[first.digest].accepted is True
        assert (mine[second.digest].partner, mine[second.digest].accepted) == (None, None)
        (theirs,) = village.desk("best").introductions()
        assert theirs[:3] == (first.digest, "answered", "acme")

    def test_a_list_marks_whom_no_roster_knows(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        (waiting,) = village.desk("acme").introductions()
        assert waiting.signed_by_member is None
        village.desk("acme").open(accept(village, sealed))
        for strangers in ((), ("acme",), ("best",)):
            (mine,) = village.desk("acme", strangers=strangers).introductions()
            (theirs,) = village.desk("best", strangers=strangers).introductions()
            assert mine.signed_by_member is ("best" not in strangers)
            assert theirs.signed_by_member is ("acme" not in strangers)

    def test_whole_files_of_a_relay_name_neither_side(self, village: Village) -> None:
        card = village.card("best")
        sealed = village.ask("acme", card)
        seen = card.dumps() + sealed.dumps() + accept(village, sealed).dumps()
        for name in ("acme", "best"):
            secrets = (name, village.keys[name].hex(), f"{name}@example.org", "al@best.example")
            assert not [one for one in secrets if one.encode() in seen]


class TestAgain:
    def test_the_same_answer_is_given_byte_for_byte(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        assert accept(village, sealed).dumps() == accept(village, sealed).dumps()
        assert len(outcomes(village, "best")) == 1
        assert village.desk("best").read(sealed).accepted is True

    def test_it_is_given_after_the_request_expired_too(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        first = accept(village, sealed)
        assert accept(village, sealed, today=TODAY + timedelta(days=99)) == first

    def test_an_answer_stands(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        village.desk("best").decline(sealed)
        with pytest.raises(ProtocolError, match="we declined it"):
            accept(village, sealed)
        assert [row["accepted"] for row in outcomes(village, "best")] == [False]

    def test_a_reply_is_opened_twice_alike(self, village: Village) -> None:
        reply = accept(village, village.ask("acme", village.card("best")))
        first, second = (village.desk("acme").open(reply) for _ in range(2))
        assert first == second
        assert first[0].reply_private is None
        assert len(outcomes(village, "acme")) == 1

    def test_a_crash_before_the_outcome_was_kept_is_made_good(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        reply = accept(village, sealed)
        (village.home("best") / FILE).unlink()
        assert accept(village, sealed) == reply
        assert len(outcomes(village, "best")) == 1

    def test_two_requests_get_two_replies(self, village: Village) -> None:
        card = village.card("best")
        first, second = (village.ask("acme", card) for _ in range(2))
        assert first.digest != second.digest
        asked, _ = village.desk("acme").open(accept(village, second))
        assert asked.digest == second.digest


class TestRefusals:
    def test_a_request_for_another_member(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        with pytest.raises(ConfigError, match="for another member"):
            village.desk("core").read(sealed)

    def test_an_expired_request(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"), days=2)
        with pytest.raises(ProtocolError, match="expired"):
            accept(village, sealed, today=TODAY + timedelta(days=3))
        assert outcomes(village, "best") == []

    def test_a_stranger_is_told_and_answered_only_knowingly(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        desk = village.desk("best", strangers=("acme",))
        assert not desk.read(sealed).known
        with pytest.raises(ProtocolError, match="may be anybody"):
            desk.accept(sealed, "al@best.example", "", unknown=False)
        desk.accept(sealed, "al@best.example", "", unknown=True)

    def test_a_stolen_name_is_not_answered(self, village: Village) -> None:
        card = village.card("best")
        real = village.signing["acme"]
        village.signing["acme"] = village.signing["core"]
        sealed = village.ask("acme", card)
        village.signing["acme"] = real
        for answer in (village.desk("best").read, village.desk("best").decline):
            with pytest.raises(ProtocolError, match="somebody uses that name"):
                answer(sealed)

    def test_an_acceptance_by_a_stranger_is_told(self, village: Village) -> None:
        reply = accept(village, village.ask("acme", village.card("best")))
        _, known = village.desk("acme", strangers=("best",)).open(reply)
        assert not known

    def test_an_acceptance_under_a_stolen_name_is_not_kept(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        real = village.signing["best"]
        village.signing["best"] = village.signing["core"]
        reply = accept(village, sealed)
        village.signing["best"] = real
        with pytest.raises(ProtocolError, match="uses that name"):
            village.desk("acme").open(reply)
        assert outcomes(village, "acme") == []
        assert village.desk("acme").introductions()[0].accepted is None

    def test_a_reply_to_somebody_else(self, village: Village) -> None:
        reply = accept(village, village.ask("acme", village.card("best")))
        for name in ("core", "best"):
            with pytest.raises(ProtocolError, match="none of our keys"):
                village.desk(name).open(reply)

    def test_an_acceptance_of_another_request(self, village: Village) -> None:
        """An owner that signs for one request and seals it to the key of another."""
        card = village.card("best")
        first, second = (village.ask("acme", card) for _ in range(2))
        own = OwnCards(village.home("best")).find(card.profile.handle)
        refusal = Reply(request=first.digest, handle=first.handle, accepted=False)
        signed = refusal.signed(own.signing_key, village.signing["best"])
        reply_key = village.desk("best").read(second).request.reply_key
        with pytest.raises(ProtocolError, match="mixed them up"):
            village.desk("acme").open(seal_reply(signed, reply_key))

    def test_a_card_that_is_ours_expired_or_forged_is_not_asked(self, village: Village) -> None:
        with pytest.raises(ConfigError, match="our own"):
            village.ask("acme", village.card("acme"))
        with pytest.raises(ConfigError, match="expired"):
            village.desk("acme", TODAY + timedelta(days=91)).ask(
                village.card("best"), contact="x", requirements="", message=""
            )
        village.signing["core"], real = village.signing["best"], village.signing["core"]
        forged = village.card("core", hidden=False)
        village.signing["core"] = real
        with pytest.raises(ConfigError, match="claims to be core"):
            village.ask("acme", forged)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("message", "a" * 4001),
            ("requirements", "\x1b[2J"),
            ("message", "\udc80"),
            ("contact", "a" * 201),
            ("contact", "   "),
            ("days", 91),
            ("days", 0),
        ],
    )
    def test_texts_and_days_have_bounds(self, village: Village, field, value) -> None:
        with pytest.raises(ConfigError, match=field):
            village.ask("acme", village.card("best"), **{field: value})

    def test_a_withdrawn_card_answers_no_more(self, village: Village) -> None:
        card = village.card("best")
        sealed = village.ask("acme", card)
        (village.home("best") / CARDS / f"{card.profile.handle}.json").unlink()
        with pytest.raises(ConfigError, match="withdrew"):
            village.desk("best").read(sealed)

    def test_a_damaged_record_is_told(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        (record,) = (village.home("acme") / FOLDER).glob("asked-*.json")
        record.write_bytes(record.read_bytes()[:-9])
        with pytest.raises(ConfigError, match="asked-"):
            village.desk("acme").open(accept(village, sealed))


class TestFiles:
    def test_are_for_the_owner_alone(self, village: Village) -> None:
        sealed = village.ask("acme", village.card("best"))
        village.desk("acme").open(accept(village, sealed))
        for name in ("acme", "best"):
            home = village.home(name)
            files = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size]
            assert len(files) >= 2
            assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

    def test_private_keys_are_not_shown(self, village: Village) -> None:
        village.ask("acme", village.card("best"))
        (asked,) = Records(village.home("acme") / FOLDER).all(Asked)
        assert asked.reply_private
        assert asked.reply_private not in repr(asked)

    @pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"id": 1}', "[" * 5000, '{"id": []}'])
    def test_a_table_that_people_edited_is_gone_on_with(self, tmp_path, line) -> None:
        (tmp_path / FILE).write_text(line + "\n")
        outcome = Outcome(id="1" * 64, requirements="", offered="", accepted=True)
        for _ in range(2):
            Outcomes(tmp_path).append(outcome)
        assert (tmp_path / FILE).read_text().count("1" * 64) == 1

    def test_a_last_line_without_its_end_is_kept_if_it_is_whole(self, tmp_path) -> None:
        first, second, third = (
            Outcome(id=digit * 64, requirements="", offered="", accepted=True) for digit in "123"
        )
        Outcomes(tmp_path).append(first)
        Outcomes(tmp_path).append(second)
        path = tmp_path / FILE
        path.write_text(path.read_text().rstrip("\n"))
        Outcomes(tmp_path).append(third)
        Outcomes(tmp_path).append(second)
        ids = [json.loads(line)["id"][0] for line in path.read_text().splitlines()]
        assert ids == ["1", "2", "3"]

    def test_half_a_last_line_is_dropped(self, tmp_path) -> None:
        outcome = Outcome(id="1" * 64, requirements="", offered="", accepted=True)
        Outcomes(tmp_path).append(outcome)
        path = tmp_path / FILE
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:40])
        Outcomes(tmp_path).append(outcome)
        Outcomes(tmp_path).append(outcome.model_copy(update={"id": "2" * 64}))
        assert path.read_bytes().count(b"\n") == 2
        assert path.read_bytes().startswith(whole)


def test_a_relay_that_mixes_files_up_learns_and_changes_nothing(village: Village) -> None:
    """Whatever is handed to whichever command, it is refused and nothing is remembered."""
    sealed = village.ask("acme", village.card("best"))
    reply = accept(village, sealed)
    for name in ("acme", "core"):
        with pytest.raises(MeshError):
            village.desk(name).read(sealed)
    with pytest.raises(MeshError):
        village.desk("core").open(reply)
    assert not (village.home("core") / FILE).exists()

import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.agents.threat.kinds import (
    LEAST_NONE,
    MOST_WORDS,
    RUNNERS_UP,
    WORD_WEIGHT,
    KindAnswer,
    KindName,
    Kinds,
    read_kinds,
)
from mesh_fl.errors import DataError
from mesh_fl.text.encoder import load_encoder

MEASURED = tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))
TEXTS, HARMLESS = MEASURED["kinds"], MEASURED["denials"]["harmless"]
FRESH = MEASURED["fresh"]


@pytest.fixture(scope="module")
def kinds() -> Kinds:
    return Kinds(load_encoder())


def ask(kinds: Kinds, *texts: str) -> tuple[KindAnswer, ...]:
    return kinds.classify(load_encoder().encode(texts), texts)


class TestCatalogue:
    def test_every_kind_has_an_entry(self) -> None:
        assert {kind.name for kind in read_kinds()} == set(get_args(KindName)) - {"unknown"}

    def test_every_kind_is_shown_by_many_sentences(self) -> None:
        counts = {kind.name: len(kind.examples) for kind in read_kinds()}
        assert counts.pop("none") >= 120
        assert min(counts.values()) >= 10

    def test_no_sentence_shows_two_kinds(self) -> None:
        sentences = [text.lower() for kind in read_kinds() for text in kind.examples]
        assert len(set(sentences)) == len(sentences)

    def test_every_threat_has_steps_and_every_kind_a_meaning(self) -> None:
        for kind in read_kinds():
            assert kind.definition.endswith(".")
            assert (len(kind.steps) >= 3) == (kind.name != "none")

    def test_every_word_can_be_found_and_speaks_for_one_kind(self, kinds: Kinds) -> None:
        told = [(word, place) for place, kind in enumerate(kinds.kinds) for word in kind.words]
        texts = [f"({word.upper()})!" for word, _ in told]
        scores = kinds.scores(np.zeros((len(told), 384), dtype=np.float32), texts)
        assert all(row[place] > 0 for row, (_, place) in zip(scores, told, strict=True))
        assert len({word for word, _ in told}) == len(told)

    def test_what_is_measured_on_is_not_in_the_catalogue(self) -> None:
        known = {text.lower() for kind in read_kinds() for text in kind.examples}
        every = (*TEXTS.values(), *FRESH["threats"].values(), FRESH["harmless"], HARMLESS)
        assert not known & {text.lower() for texts in every for text in texts}


class TestAccuracy:
    """On the half of the sentences that chose no constant; 93 of 98 are right."""

    @pytest.fixture
    def pairs(self, kinds: Kinds) -> list[tuple[str, KindAnswer]]:
        held = [(kind, text) for kind, texts in TEXTS.items() for text in texts[1::2]]
        answers = ask(kinds, *[text for _, text in held])
        return [(kind, answer) for (kind, _), answer in zip(held, answers, strict=True)]

    def test_kind(self, pairs: list[tuple[str, KindAnswer]]) -> None:
        right = sum(kind == answer.kind for kind, answer in pairs)
        assert right / len(pairs) >= 0.9

    def test_few_everyday_texts_raise_an_alarm(self, pairs: list[tuple[str, KindAnswer]]) -> None:
        everyday = [answer for kind, answer in pairs if kind == "none"]
        assert len(everyday) >= 30
        assert sum(answer.kind != "none" for answer in everyday) <= 1

    def test_few_threats_are_missed(self, pairs: list[tuple[str, KindAnswer]]) -> None:
        threats = [answer for kind, answer in pairs if kind != "none"]
        assert sum(answer.kind == "none" for answer in threats) <= 1
        assert sum(not answer.is_threat for answer in threats) <= 3

    def test_most_denials_are_understood(self, kinds: Kinds) -> None:
        assert sum(not answer.is_threat for answer in ask(kinds, *HARMLESS)) >= 8

    def test_most_new_harmless_texts_about_threats_are_understood(self, kinds: Kinds) -> None:
        assert sum(not answer.is_threat for answer in ask(kinds, *FRESH["harmless"])) >= 15

    def test_no_new_threat_is_called_harmless(self, kinds: Kinds) -> None:
        answers = ask(kinds, *[text for texts in FRESH["threats"].values() for text in texts])
        assert "none" not in {answer.kind for answer in answers}
        assert sum(answer.is_threat for answer in answers) >= 18

    def test_below_the_bar_harmless_is_left_to_a_person(self, kinds: Kinds) -> None:
        texts = [text for texts in TEXTS.values() for text in texts]
        told = [answer for answer in ask(kinds, *texts) if answer.kind == "none"]
        assert min(answer.confidence for answer in told) >= LEAST_NONE
        (unsure,) = ask(kinds, "A technician looked up the medical file of his neighbour")
        assert (unsure.kind, unsure.is_threat) == ("unknown", False)
        assert "not surely harmless: No threat has 0." in unsure.reason

    def test_confidence_is_about_as_high_as_accuracy(
        self, pairs: list[tuple[str, KindAnswer]]
    ) -> None:
        said = np.mean([answer.confidence for _, answer in pairs])
        right = np.mean([kind == answer.kind for kind, answer in pairs])
        assert abs(said - right) < 0.1


class TestAnswer:
    def test_small_talk_is_no_threat(self, kinds: Kinds) -> None:
        (answer,) = ask(kinds, "Hello, lunch is at noon")
        assert answer.kind == "none"
        assert not answer.is_threat
        assert answer.confidence > 0.9

    def test_a_single_word_can_be_enough(self, kinds: Kinds) -> None:
        (answer,) = ask(kinds, "Ransomware!")
        assert answer.kind == "ransomware"
        assert answer.words == ("ransomware",)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " \t\n",
            "\x00\x01\x02",
            "1234 5678 9999",
            "!!! ??? ...",
            "🔥🔥🔥",
            "你好 明天开会",
            "Привет, встреча в полдень",
            "पासवर्ड बदलें",
            "Unser Server wurde verschlüsselt, die Täter fordern Lösegeld und drohen",
            "Nos fichiers sont chiffrés et les pirates demandent une rançon",
            "Los archivos están cifrados y piden un rescate para el servidor",
            "the the the the the",
            "xkcd " * 400,
            "\ud800 half a pair",
        ],
    )
    def test_what_cannot_be_judged_is_unknown_and_says_why(self, kinds: Kinds, text: str) -> None:
        (answer,) = ask(kinds, text)
        assert answer.kind == "unknown"
        assert answer.confidence == 0
        assert answer.reason.startswith(("the text", "there are no words"))

    @pytest.mark.parametrize(
        "text",
        [
            "Trojan beacon: evil.com, bad.com, OS EST del /f /q, MIT DAS con",
            "Ransom note à la carte for José Müller, Łukasz and Zoë",
        ],
    )
    def test_logs_and_names_are_not_taken_for_another_language(
        self, kinds: Kinds, text: str
    ) -> None:
        (answer,) = ask(kinds, text)
        assert answer.is_threat

    def test_it_is_explained_by_known_sentences_and_words(self, kinds: Kinds) -> None:
        (answer,) = ask(kinds, "WAF stopped a UNION SELECT, clearly SQL injection")
        similarities = [likeness.similarity for likeness in answer.nearest]
        assert similarities == sorted(similarities, reverse=True)
        examples = {text for kind in kinds.kinds for text in kind.examples}
        assert {likeness.text for likeness in answer.nearest} <= examples
        assert {likeness.kind for likeness in answer.nearest} == {"web_attack"}
        assert set(answer.words) == {"waf", "union select", "sql injection"}
        assert answer.nearest[0].text in answer.reason

    def test_runners_up_follow_in_order_and_leave_room_for_the_rest(self, kinds: Kinds) -> None:
        for answer in ask(kinds, *TEXTS["intrusion"]):
            shares = [other.share for other in answer.runners_up]
            assert len(shares) == RUNNERS_UP
            assert shares == sorted(shares, reverse=True)
            assert answer.kind not in [other.kind for other in answer.runners_up]
            assert answer.confidence >= shares[0]
            assert answer.confidence + sum(shares) <= 1 + 1e-9

    def test_an_answer_is_about_its_own_text_alone(self, kinds: Kinds) -> None:
        texts = ["Our files are encrypted", "Lunch?", "DDoS against the shop"]
        for text, answer in zip(texts, ask(kinds, *texts), strict=True):
            (alone,) = ask(kinds, text)
            assert alone.kind == answer.kind
            assert alone.words == answer.words
            assert alone.score == pytest.approx(answer.score, abs=1e-9)

    def test_words_are_whole_and_count_for_so_much_only(self, kinds: Kinds) -> None:
        place = [kind.name for kind in kinds.kinds].index("malware")
        words = kinds.kinds[place].words
        vector = np.zeros((3, 384), dtype=np.float32)
        texts = [" ".join(words), "wormhole viruses", f"{words[0]}, {words[1]}"]
        scores = kinds.scores(vector, texts)[:, place]
        assert scores.tolist() == pytest.approx([MOST_WORDS * WORD_WEIGHT, 0, 2 * WORD_WEIGHT])

    @pytest.mark.parametrize(
        ("text", "counts"),
        [
            ("no sign of ransomware", 0),
            ("ransomware, not a test", 1),
            ("we do not know which ransomware", 0),
            ("no, we do have it: all is lost to ransomware", 1),
            ("ransomware isn't here", 1),
            ("nobody has seen any ransomware", 0),
            ("we didn\u2019t find any ransomware", 0),
            ("they did not stop the ransomware", 1),
            ("no backups left, ransomware on all hosts", 1),
            ("nothing works and no one can log in. Ransomware", 1),
            ("without warning ransomware came", 1),
        ],
    )
    def test_a_word_that_is_denied_does_not_count(
        self, kinds: Kinds, text: str, counts: int
    ) -> None:
        place = [kind.name for kind in kinds.kinds].index("ransomware")
        scores = kinds.scores(np.zeros((1, 384), dtype=np.float32), [text])
        assert scores[0, place] == pytest.approx(counts * WORD_WEIGHT)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("No sign of ransomware", ("no ... ransomware",)),
            ("Is there ransomware?", ("?",)),
            ("Is there ransomware? The files are gone.", ()),
            ("Ransomware is there, is it?", ()),
            ("The antivirus did not stop the ransomware", ()),
        ],
    )
    def test_denials_and_questions_speak_for_no_threat(
        self, kinds: Kinds, text: str, words: tuple[str, ...]
    ) -> None:
        place = [kind.name for kind in kinds.kinds].index("none")
        scores = kinds.scores(np.zeros((1, 384), dtype=np.float32), [text])
        assert scores[0, place] == pytest.approx(len(words) * WORD_WEIGHT)
        (answer,) = ask(kinds, text)
        assert answer.kind != "none" or answer.words == words

    def test_nothing_asked_nothing_answered(self, kinds: Kinds) -> None:
        assert kinds.classify(np.zeros((0, 384), dtype=np.float32), []) == ()

    def test_vectors_of_another_shape_are_refused(self, kinds: Kinds) -> None:
        with pytest.raises(DataError, match=r"expected vectors of shape \(1, 384\)"):
            kinds.classify(np.zeros((2, 384), dtype=np.float32), ["one"])

    def test_it_cannot_be_changed(self, kinds: Kinds) -> None:
        (answer,) = ask(kinds, "Lunch is at noon")
        with pytest.raises(ValidationError):
            answer.kind = "malware"

    @pytest.mark.parametrize(
        "unit", [" ", "a", "ransomware ", "é", "( ", "a.b-c/d'", "\u202e", "T"]
    )
    def test_a_million_characters_are_no_burden(self, kinds: Kinds, unit: str) -> None:
        text = (unit * 1_000_000)[:1_000_000]
        (answer,) = kinds.classify(np.zeros((1, 384), dtype=np.float32), [text])
        assert 0 <= answer.confidence <= 1

    @settings(max_examples=60)
    @given(text=st.text(max_size=300), seed=st.integers(0, 2**32 - 1))
    def test_any_text_and_any_vector_have_an_answer(
        self, kinds: Kinds, text: str, seed: int
    ) -> None:
        vector = np.random.default_rng(seed).normal(size=(1, 384)).astype(np.float32)
        (answer,) = kinds.classify(vector / np.linalg.norm(vector), [text])
        assert 0 <= answer.confidence <= 1
        assert (answer.confidence == 0) == (answer.kind == "unknown")
        assert answer.reason

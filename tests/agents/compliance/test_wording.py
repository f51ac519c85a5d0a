import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.compliance.controls import base_control, public_controls
from mesh_fl.agents.compliance.identifiers import is_nist
from mesh_fl.agents.compliance.techniques import (
    described,
    family_of,
    technique_id,
    technique_names,
)
from mesh_fl.agents.compliance.topics import load_topics, topic_names
from mesh_fl.agents.compliance.wording import Wording, words_of
from mesh_fl.text.encoder import load_encoder

DOCUMENTS = ("Backups are encrypted at rest.", "Passwords are rotated.", "Logs are kept.")


def test_a_document_is_most_like_itself():
    found = Wording(DOCUMENTS).cosines(DOCUMENTS)
    assert np.allclose(np.diag(found), 1)
    assert (found.argmax(axis=1) == np.arange(3)).all()


def test_forms_of_a_word_meet_and_common_words_do_not_count():
    assert words_of("Encrypting the backups") == words_of("encrypted backup")
    assert Wording(DOCUMENTS).cosines(["of the and are"]).tolist() == [[0, 0, 0]]


@given(st.lists(st.text(max_size=200), max_size=4))
def test_cosines_lie_between_zero_and_one(texts):
    found = Wording(DOCUMENTS).cosines(texts)
    assert found.shape == (len(texts), 3)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()


def test_no_documents_and_no_texts():
    assert Wording([]).cosines(["a text"]).shape == (1, 0)
    assert Wording(DOCUMENTS).cosines([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("AC-2", "AC-2"),
        ("ac-02(01)", "AC-2"),
        ("ac_2_3_b", "AC-2"),
        ("SC-28(1)", "SC-28"),
        ("NIST SP 800-53 Rev. 5 AC-2", "AC-2"),
        ("AC-2, AC-3", ""),
        ("at 3 pm", ""),
        ("CC6.1", ""),
        ("A.5.1", ""),
        ("164.308(a)(1)", ""),
        ("", ""),
        ("AC", ""),
    ],
)
def test_base_controls(written, meant):
    assert base_control(written) == meant


def test_the_shipped_list_is_sound():
    controls = public_controls()
    assert len(controls) == 218
    for name, one in controls.items():
        assert is_nist(name)
        assert base_control(name) == name == one.id
        assert one.title
        assert one.text.endswith(".")
    assert len({one.wording for one in controls.values()}) == len(controls)


def test_techniques_are_named_by_id():
    names = technique_names()
    assert names["T1110.003"] == "Brute Force: Password Spraying"
    assert described("T1110.003") == names["T1110.003"]
    assert described("t1110.003 whatever stands here") == names["T1110.003"]
    assert described("guessing passwords") == "guessing passwords"
    assert described("T9999: Strange Magic") == "Strange Magic"
    assert described("T1110.999") == "Brute Force"
    assert described("T9999") == ""
    assert described("T9999", {"T9999": "Own"}) == "Own"


def test_families_and_ids():
    assert family_of("T1110.003") == family_of("T1110") == 1110
    assert family_of("XT1110") == family_of("T11101") == family_of("none") == 0
    assert technique_id("seen: t1566.001, T1110") == "T1566.001"


@given(st.text(max_size=600))
def test_any_technique_can_be_described(text):
    assert isinstance(described(text), str)
    assert family_of(text) >= 0


def test_techniques_stand_where_one_would_look():
    topics, encoder = load_topics("minilm-l6-int8"), load_encoder()
    asked = ("Brute Force: Password Spraying", "Data Encrypted for Impact", "Spearphishing Link")
    placed = topics.place(encoder.encode([*asked, ""]))
    best = [topic_names()[k] for k in placed[:3].argmax(axis=1)]
    assert best == ["credentials", "impact", "phishing"]
    assert not placed[3].any()
    assert (np.linalg.norm(placed, axis=1) < 1).all()


def test_only_the_beginning_of_a_long_text_counts():
    wording = Wording(DOCUMENTS)
    long, short = ("logs " * count for count in (200_000, 400))
    assert wording.cosines([long]).tolist() == wording.cosines([short]).tolist()
    assert not wording.cosines(["." * 10**6, "x" * 10**6]).any()

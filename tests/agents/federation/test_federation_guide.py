import re
from pathlib import Path

from mesh_fl.agents.federation.agent import ASKED, FederatedLearning
from mesh_fl.agents.federation.answer import (
    ClipChoice,
    FederatedAnswer,
    Length,
    Next,
    TrainingReport,
)
from mesh_fl.agents.federation.clip import KEPT_WHOLE

GUIDE = (Path(__file__).parents[3] / "docs/guides/federation.md").read_text("utf-8")


def test_every_field_is_named() -> None:
    parts = (FederatedAnswer, TrainingReport, ClipChoice, Length, Next)
    names = {ASKED.name, *(name for part in parts for name in part.model_fields)}
    assert {name for name in names if f"`{name}`" not in GUIDE} == set()


def test_every_setting_is_named_with_its_default() -> None:
    agent = FederatedLearning()
    for name in ("octaves_below", "octaves_above", "cells_per_octave"):
        assert re.search(rf"`{name}`.*\b{getattr(agent, name)}\b", GUIDE), name
    assert f"{KEPT_WHOLE:.0%}".replace("%", " %") in GUIDE


def test_links_lead_somewhere() -> None:
    folder = Path(__file__).parents[3] / "docs/guides"
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", GUIDE)
    assert targets
    assert [target for target in targets if not (folder / target).exists()] == []

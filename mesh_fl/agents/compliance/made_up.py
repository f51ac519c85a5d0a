"""Made-up evidence around a hidden liking for some controls."""

import numpy as np

from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.techniques import technique_names
from mesh_fl.agents.compliance.topics import SAMPLED_EVERY
from mesh_fl.schema import Table

LIKING = 1.0
"""Exponent of the power law by which some controls answer more techniques than others."""

AGREED, MISJUDGED = 0.8, 0.1
"""How often a control is judged to be answered by its own sentence, and by another's."""


def made_up(controls: tuple[str, ...], records: int, seed: int) -> Table:
    """Return a table of evidence, half of it mappings, half of it judgements.

    Parameters
    ----------
    controls : tuple of str
    records : int
    seed : int
        Decides also which controls are liked.
    """
    random = np.random.default_rng(seed)
    liked = random.permutation(len(controls)) + 1.0
    chances = liked**-LIKING / np.sum(liked**-LIKING)
    named = random.choice(len(controls), records, p=chances)
    is_mapping = np.arange(records) % 2 == 0
    techniques = np.array(list(technique_names())[::SAMPLED_EVERY])
    about = np.where(random.random(records) < 0.5, named, random.permutation(named))
    sentences = np.array([public_controls()[name].wording for name in controls])
    satisfied = random.random(records) < np.where(about == named, AGREED, MISJUDGED)
    return {
        "technique": np.where(is_mapping, random.choice(techniques, records), ""),
        "control_ref": np.array(controls)[named],
        "text": np.where(is_mapping, "", sentences[about]),
        "satisfied": np.where(is_mapping, np.nan, satisfied.astype(np.float64)),
    }

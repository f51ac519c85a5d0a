"""A policy and results of checks against a framework of one's own: what is open, and a report.

Run it: python examples/policy_gaps.py
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mesh_fl.agents.compliance.agent import SecurityCompliance
from mesh_fl.agents.compliance.answer import ComplianceAnswer
from mesh_fl.site import Site

HERE = Path(__file__).parent
FRAMEWORK = HERE / "house_rules.toml"  # also CSV, JSON, an OSCAL catalog, or Prowler's requirements
POLICY = HERE / "house_policy.md"


def results() -> list[dict[str, str]]:
    """Return results of checks, as a scanner or a person hands them over."""
    today = datetime.now(UTC).date()
    old = str(today - timedelta(days=400))
    return [
        {"check": "mfa_for_all_accounts", "status": "FAIL", "system": "idp", "text": "3 without"},
        {"check": "backup_encrypted", "status": "PASS", "system": "nas-1", "date": str(today)},
        {"check": "restore_tested", "status": "PASS", "system": "nas-1", "date": old},
    ]


def assess() -> ComplianceAnswer:
    """Assess by what everybody knows: no training."""
    agent = SecurityCompliance()
    answering = agent.answering(Site({"house_rules": FRAMEWORK}))
    question = {
        "framework": np.array(["house_rules"]),
        "policy_text": np.array([POLICY.read_text("utf-8")]),
        "evidence": np.array([json.dumps(results())]),
        "report": np.array(["markdown"]),
    }
    (answer,) = answering(agent.init(), question)
    return ComplianceAnswer.model_validate(answer)


def main() -> None:
    answer = assess()
    print(f"{answer.framework}: {len(answer.gaps)} of {len(answer.controls)} controls are open")
    for control in answer.controls:
        print(f"{control.control} {control.title}: {control.status}; {control.why}")
    for advice in answer.recommendations:
        print(f"{advice.priority}. {advice.action} ({advice.source})")
    print(answer.report)


if __name__ == "__main__":
    main()

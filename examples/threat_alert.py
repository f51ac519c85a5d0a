"""An alert in; its type, severity, techniques and steps out; then the same as STIX 2.1.

Run it: python examples/threat_alert.py "Scan found CVE-2024-1709 on rmm-01"
"""

import json
import sys

import numpy as np

from mesh_fl.agents.threat.agent import ThreatAnswer, ThreatIntelligence

ALERT = (
    "powershell.exe, started by winword.exe on ws-17, fetched hxxps://update-cdn[.]top/a.ps1 from "
    "45.83.12[.]9; then vssadmin deleted the shadow copies"
)


def read(alert: str) -> ThreatAnswer:
    """Read an alert by what everybody knows: no training, no reference files."""
    agent = ThreatIntelligence()
    question = {"text": np.array([alert]), "as_stix": np.array([1.0])}
    (answer,) = agent.answer(agent.init(), question)
    return answer


def show(answer: ThreatAnswer) -> None:
    print(f"type: {answer.threat_type} ({answer.type_confidence:.2f}): {answer.type_reason}")
    print(f"severity: {answer.severity} ({answer.severity_source or 'no threat'})")
    for found in answer.indicators:
        print(f"indicator: {found.kind} {found.defanged}")
    for technique in answer.attack_techniques:
        print(f"technique: {technique.id} {technique.name} ({technique.how})")
    for step in answer.recommended_actions:
        print(f"{step.urgency}: {step.action} ({step.source})")


def main(alert: str = ALERT) -> None:
    answer = read(alert)
    show(answer)
    print(json.dumps(answer.stix, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:2])

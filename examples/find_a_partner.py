"""A task in; partners, who does what, a draft proposal and the sharing of the price out.

Run it: python examples/find_a_partner.py
"""

import json
import tempfile
import tomllib
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mesh_fl.agents.collaboration.agent import CollaborationAnswer, CollaborationMatching
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.profile import Profile, SignedProfile, handle_of, today_utc
from mesh_fl.schema import table_of
from mesh_fl.site import Site

MEMBERS = Path(__file__).with_suffix(".toml")
OWN = 'about = "Help desk for offices"\nskills = ["service desk", "Windows servers"]\n'
TASK = {
    "requirements": "A client moves its file servers to Azure and wants to be attacked, with "
    "leave, before it goes live",
    "skills": "Windows servers; Azure; penetration testing",
    "region": "Bavaria",
    "hours": 40,
    "propose": True,
    "deal": {
        "currency": "EUR",
        "amount": "9000.00",
        "parties": [
            {"msp": "us", "hours": "12", "rate": "85.00"},
            {"msp": "north", "share": "0.7"},
            {"msp": "hidden partner", "share": "0.3"},
        ],
        "referral": {"msp": "us", "share": "0.05"},
        "remainder_to": "us",
    },
}


def card(told: dict[str, object]) -> dict[str, object]:
    """Sign a profile as `mesh-client profile card` does."""
    key, member = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    profile = Profile.model_validate(
        {
            **told,
            "handle": handle_of(public_bytes(key)),
            "hidden": "name" not in told,
            "seal_key": X25519PrivateKey.generate().public_key().public_bytes_raw().hex(),
            "issued": today_utc(),
            "expires": today_utc() + timedelta(days=90),
        },
        strict=False,
    )
    return SignedProfile.make(profile, key, member).model_dump(mode="json")


def find(folder: Path) -> CollaborationAnswer:
    """Answer by everybody's cards and our own profile: no training."""
    members = tomllib.loads(MEMBERS.read_text())["members"]
    files = {"directory": folder / "directory.json", "profile": folder / "profile.toml"}
    files["directory"].write_text(json.dumps([card(one) for one in members]))
    files["profile"].write_text(OWN)
    agent = CollaborationMatching()
    row = {field.name: field.parse(TASK.get(field.name)) for field in agent.schema}
    (answer,) = agent.answering(Site(files))(agent.init(), table_of(agent.schema, [row]))
    return CollaborationAnswer.model_validate(answer)


def show(answer: CollaborationAnswer) -> None:
    for match in answer.matches:
        who = match.name or f"hidden {match.msp_id[:8]}"
        print(f"{match.match_score:.2f} {who}: {', '.join(match.skills) or 'none of the skills'}")
        for reason in match.reasons:
            print(f"     {reason.contribution:+.2f} {reason.because}")
    team = answer.complementarity
    if team is not None:
        print(f"covered: {team.covered_alone:.0%} alone, {team.covered_together:.0%} together\n")
    print(answer.proposal)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        show(find(Path(folder)))


if __name__ == "__main__":
    main()

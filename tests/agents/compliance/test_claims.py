import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.compliance.claims import Claim, claim_of

SENTENCES: dict[Claim, str] = {
    "affirmed": """All laptops are encrypted with full-disk encryption.
Users must not share passwords.
Passwords are never shared.
Unencrypted backups are not allowed.
No user may access production without approval.
Access is not granted without MFA.
Employees must not disable antivirus software.
Devices that are not compliant are blocked.
If MFA is not available, access is denied.
Logs cannot be altered or deleted.
MFA is required for all administrators, no exceptions.
Backups are tested no less than once a quarter.
Access reviews are performed at planned intervals.
The incident response plan is tested annually.
Accounts are removed when no longer needed.
Incidents are reported without undue delay.
Default accounts are disabled before deployment.
Employees will complete security training every year.
Passwords should be at least twelve characters long.
Secrets are not stored in source code.
Customer data is never sent in plain text.
Inactive accounts are disabled after 90 days.
Training covers phishing, including but not limited to email.
Access without MFA is blocked.
Changes cannot be deployed without review by a second engineer.
Vulnerabilities are patched no later than 30 days after release.
Shared accounts are prohibited.
Nobody may enter the data centre unescorted.
Security incidents must be reported to the officer, not to the press.
Users who fail the phishing test are retrained.
Data that is no longer required is erased.
Anyone not in the access list is turned away.
It is forbidden to store card data.
Access is granted only during working hours.
Only authorised staff may enter the data hall.
Traffic is denied by default except on port 443.
Access is blocked unless a manager approves it.
TLS is used to protect connections.
Keys are not stored in the clear.
Accounts of leavers do not remain active.
Default accounts were removed.
Every incident is recorded, without exceptions.""",
    "denied": """We do not encrypt backups.
MFA is not required.
No logs are kept.
MFA is optional for remote access.
Access reviews are never performed.
We don't monitor our servers.
We don\u2019t monitor our servers.
There is no incident response plan.
Backups aren't tested.
Backups are unencrypted.
Logging is disabled on most systems.
None of the backups are tested.
Nobody reviews the audit logs.
The company lacks a formal risk assessment.
Remote access works without MFA.
We have no firewall.
Security training is voluntary.
Employees need not complete training.
We found that backups are not encrypted.
We cannot detect intrusions.
Encryption at rest is **not** enabled for the database.
Audit logs are rarely reviewed.
Penetration tests are out of scope.
We do not encrypt backups until 2027.
The firewall is switched off.
Patches are not applied in a timely manner.
Neither servers nor laptops are encrypted.
Passwords are stored in plain text.
Anyone can access the server room.
Default passwords are used on routers.
We do not: encrypt laptops
We used to run penetration tests until 2019.
There used to be a security committee.
The rule on passwords was deleted.
The security committee was abolished.
Penetration tests were discontinued.
We no longer review access rights.
Encryption of laptops: N/A
Card numbers are stored in the clear.
Accounts of leavers remain active for a year.
Visitors may walk around freely.
MFA; no""",
    "planned": """MFA is planned for next year.
We plan to encrypt all laptops.
Encryption of backups is not yet implemented.
A data retention policy will be introduced.
Log monitoring is in progress.
We intend to run access reviews.
By the end of the year all disks will be encrypted.
Later this year, backups will be moved offsite.
Access reviews: TBD.""",
    "advised": """We should consider encrypting backups.
Consider enabling MFA.
It is recommended to rotate keys.
Users might use a password manager.
Do we encrypt backups?
Developers are encouraged to scan dependencies.
Ideally, logs are reviewed every week.
It would be good to have an incident response plan.
It would be nice if backups were tested.
We strive to patch all systems.""",
    "mixed": """Backups are encrypted, but they are not tested.
Logs are kept for a year; however, nobody reviews them.
Alerts are watched only during office hours.
Systems are monitored around the clock, except at night.
MFA is enforced for everyone except administrators.
Logs of all systems other than laptops are kept.
Disks are encrypted unless the user objects.
A risk assessment was last carried out in 2021.
Alerts are looked at on working days.""",
}


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [(one, claim) for claim, lines in SENTENCES.items() for one in lines.splitlines()],
)
def test_what_a_sentence_claims(sentence: str, claim: Claim) -> None:
    assert claim_of(sentence) == claim
    assert claim_of(sentence.upper()) == claim


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("A penetration test is scheduled for March.", "affirmed"),
        ("The same is untrue of our backups.", "affirmed"),
        ("Backups are not stored on site, for safety.", "denied"),
        ("Engineers do not log in as root.", "denied"),
        ("Terminated users keep their accounts.", "affirmed"),
        ("Logs go after one day and nobody looks at them.", "affirmed"),
    ],
)
def test_known_limits(sentence: str, claim: Claim) -> None:
    assert claim_of(sentence) == claim


@given(st.text(max_size=400))
def test_any_text_claims_something(text: str) -> None:
    assert claim_of(text) in SENTENCES


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["not ", "if ", "no a ", "is ", "a", "the is un", "; ", "but "])
def test_a_megabyte_takes_no_quadratic_time(unit: str) -> None:
    assert claim_of(unit * (1_000_000 // len(unit))) in SENTENCES


@pytest.mark.parametrize(
    "sentence",
    [
        "Security patches are not installed on our servers.",
        "Accounts of people who leave are never disabled.",
        "Malicious websites are not blocked.",
        "Audit logs are not sent to the SIEM.",
        "Encryption of backups is prohibited.",
        "Users must not use multi-factor authentication.",
        "Multi-factor authentication is forbidden.",
        "Backups should never be tested.",
        "Unauthorized access is not detected.",
        "Personal devices are not managed.",
        "Default passwords are not changed.",
        "We refuse to encrypt backups.",
        "There is no inventory of unapproved software.",
    ],
)
def test_a_safeguard_that_is_refused_is_no_commitment(sentence: str) -> None:
    assert claim_of(sentence) == "denied"


@pytest.mark.parametrize(
    "sentence",
    [
        "Passwords must not be shared.",
        "Firewalls must not be disabled.",
        "Logs must not be altered or deleted.",
        "Nobody may connect personal devices.",
        "Unencrypted backups are forbidden.",
        "Backups must not be stored without encryption.",
    ],
)
def test_a_harm_that_is_forbidden_is_a_commitment(sentence: str) -> None:
    assert claim_of(sentence) == "affirmed"

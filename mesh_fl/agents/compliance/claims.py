"""What a sentence of a policy claims: that something is done, or only planned, advised or not done.

A rule of words, for English. It reads "we do not encrypt backups" as a denial and "users must not
share passwords" as a commitment. It errs on the side of the auditor: a negation that it does not
know counts as a denial. It knows nothing of harm told without a word of negation ("terminated users
keep their accounts"), of references ("the same holds for backups"), or of other sentences.
"""

import re
from typing import Literal

Claim = Literal["affirmed", "mixed", "denied", "planned", "advised"]

LONGEST_READ = 1_000
"""Characters of a sentence that are read."""

_SAFEGUARD = (
    r"(?:mfa|2fa|multi-?factor authentication|two-factor authentication|authentication|encryption|"
    r"logging|audit logs?|logs?|monitoring|alerts?|alerting|backups?|firewalls?|antivirus|"
    r"anti-?malware|edr|scanning|patching|passwords?|approval|authorization|authorisation|"
    r"review|reviews|training|testing|controls?|protection|tls|vpn)"
)

# What is harmful: not doing it is a commitment.
_HARM = (
    r"(?:shar(?:e|es|ed|ing)|reus(?:e|es|ed|ing)|allow(?:s|ed)?|permit(?:s|ted)?|grant(?:s|ed)?|"
    r"disclos(?:e|es|ed)|expos(?:e|es|ed)|transmit(?:s|ted)?|sen[dt]|tolerated?|accept(?:s|ed)?|"
    r"bypass(?:es|ed)?|circumvent(?:s|ed)?|sell|sold|exceed(?:s|ed)?|hard-?coded?|embed(?:ded)?|"
    r"leaves?|tamper(?:ed)?|alter(?:ed)?|modif(?:y|ied)|delet(?:e|ed)|overwritten|disabled?|"
    r"switch(?:ed)? off|turn(?:ed)? off|deactivated?|install(?:ed)?|download(?:ed)?|connect(?:ed)?|"
    r"released?|removed?|copied|copy|prohibited|forbidden|blocked|rejected|get access)"
)
_HARMFUL = re.compile(
    r"\b(?:plain-?\s?text|clear-?\s?text|unencrypted|unauthori[sz]ed|unapproved|source code|"
    r"default (?:passwords?|accounts?|credentials)|shared accounts?|personal devices?|in the clear|"
    r"(?:remains?|stays?) (?:active|enabled|valid|open))\b"
)
_HARMS = re.compile(rf"\b{_HARM}\b")

# Harmful whoever does it; "is not deleted" or "is not blocked" may be a safeguard that fails.
_SURE_HARM = (
    r"(?:shar(?:e|es|ed|ing)|reus(?:e|es|ed|ing)|allow(?:s|ed)?|permit(?:s|ted)?|grant(?:s|ed)?|"
    r"disclos(?:e|es|ed)|expos(?:e|es|ed)|transmit(?:s|ted)?|tolerated?|accept(?:s|ed)?|"
    r"bypass(?:es|ed)?|circumvent(?:s|ed)?|sell|sold|exceed(?:s|ed)?|hard-?coded?|embed(?:ded)?|"
    r"tamper(?:ed)?|get access)"
)
_REFUSED = re.compile(
    r"\b(?:refus(?:e|es|ed)|fail(?:s|ed)?|neglect(?:s|ed)?|declin(?:e|es|ed)) to \w+"
)
_PROTECTS = re.compile(
    r"\b(?:detect|manag|review|chang|inventor|block|monitor|log(?:ged|ging)\b|alert|prevent|scan|"
    r"encrypt|remov|revok|disabl|track|report|patch|updat|isolat|quarantin)\w*"
)
_HARM_DENIED = re.compile(
    rf"\b(?:not|no|never|nobody|none|nothing|neither|nor|cannot)\b.{{1,80}}?\b{_SURE_HARM}\b"
    r"|\b(?:logs?|backups?|records?|evidence)\b.{1,40}?\b(?:cannot|never) be "
    r"(?:altered|changed|modified|overwritten|deleted)\b"
)

_PROHIBITION = re.compile(
    r"\b(?:must|shall|may|should) (?:not|never)\b(?! be (?:required|enforced|enabled))"
    r"|\bno (?:\w+ ){1,4}?(?:may|shall|must|can|is to|are to)\b|\bnobody (?:may|must|shall|can)\b"
    r"|\b(?:not|no|never|nobody|none|cannot)\b.{1,120}?\bwithout\b"
    r"|\b(?:prohibited|forbidden|banned|disallowed)\b"
)

_HARMLESS = re.compile(
    r"\bno exceptions?\b|\bwithout exceptions?\b|\bno (?:later|less|more|fewer|longer) than\b"
    r"|\bnot (?:only|limited to|later than|less than|more than|fewer than)\b|\bif not\b"
    r"|\bwhether or not\b|\b(?:must|shall|may|should|do|does|will) not exceed\b"
    r"|, not (?:to|by|for|from|in|on|just|merely)\b|\b(?:anyone|those|everyone) not\b"
    r"|\bno matter\b|\bwithout (?:undue )?delay\b|\bnon-"
)

# A condition or a relative clause says when, not whether; "found that ..." does say whether.
_CONDITION = re.compile(
    r"\b(?:if|when|whenever|where|unless|until|once|after|before)\b[^,;:]*+"
    r"|\b(?:that|which|who)\s+(?:is|are|was|were|do|does|has|have|can|cannot|fail|fails)\b[^,;:]*+"
)

_LACK = re.compile(
    r"\black(?:s|ed|ing)?\b|\b(?:is|are) (?:absent|missing)\b|\bunable to\b|\bfail(?:s|ed)? to\b"
    r"|\b(?:is|are|was|were|remains?) (?:\w+ )?un(?:encrypted|tested|documented|monitored|patched|"
    r"protected|managed|restricted|logged|reviewed|enforced|defined|assigned)\b"
    rf"|\b{_SAFEGUARD} (?:is|are|was|were|has been|have been|remains?) (?:\w+ )?"
    r"(?:disabled|deactivated|(?:turned|switched) off|off|optional|voluntary|waived|suspended)\b"
    r"|\b(?:optional|voluntary|not applicable|out of scope|waived|ad hoc|discretionary)\b"
    rf"|\bwithout (?:\w+ )?{_SAFEGUARD}\b|\bwithout being \w+ed\b"
    r"|\b(?:stopped|discontinued|abandoned|rarely|seldom|hardly)\b"
    r"|\b(?:need not|(?:do|does) not (?:have|need) to)\b"
)

# Harm that is told as a fact needs no negation to be a denial.
_EXPOSED = re.compile(
    r"\b(?:in|as) (?:plain|clear)-?\s?text\b|\bin the clear\b"
    r"|\b(?:accounts?|access|credentials?|rights|badges?|passwords?|logins?)\b.{0,60}?"
    r"\b(?:remains?|stays?|is left|are left) (?:active|enabled|valid|open)\b"
    r"|\b(?:may|can|are free to) (?:\w+ ){0,4}(?:freely|at will|unsupervised|unescorted)\b"
    r"|\b(?:anyone|anybody|everyone|everybody) (?:can|may|has)\b"
    r"|\bdefault (?:passwords?|credentials|accounts?) (?:is|are) (?:\w+ )?(?:used|kept|left)\b"
    r"|\bshare (?:one|a|an|the same) (?:\w+ )?(?:account|password|login)\b"
)

# What ended is not done: "is used to" tells a purpose, "we used to" an end.
_ENDED = re.compile(
    r"\b(?:we|i|they|he|she|it|there|you|company|team|staff|employees|users|people) used to\b"
    r"|(?<!is )(?<!are )\bused to (?:be|have)\b|\buntil (?:\w+ )?(?:19|20)[0-9]{2}\b"
    r"|\b(?:abolished|scrapped|repealed|dissolved)\b"
    r"|\b(?:was|were|has been|have been) (?:\w+ )?(?:deleted|removed|cancell?ed|withdrawn|dropped|"
    r"suspended|ended|retired|given up)\b|\bn/a\b|\bn\.a\."
)

# A restriction of access with "only" is a rule; a safeguard that works "only" then is half of one.
_EXCEPTION = re.compile(
    r"\b(?:except(?:ing)?|other than|apart from|aside from|excluding|with the exception of)\b"
    r"|\blast (?:\w+ ){0,3}in (?:\w+ )?(?:19|20)[0-9]{2}\b"
)
_UNLESS = re.compile(r"\bunless\b")
_ONLY = re.compile(
    r"\bonly (?:during|on|in|at|from|between|for|within|when|if|where|by day|partly|partially|"
    r"sometimes|some|parts?|half|a few|once)\b|\b(?:during|in) (?:office|business|working) hours\b"
    r"|\bon (?:working|business|week) ?days\b"
)
_RESTRICTION = re.compile(
    r"\b(?:access(?:ed|ible)?|entry|enter|granted?|allow(?:s|ed)?|permit(?:s|ted)?|may|can|possible|"
    r"authori[sz]ed|permissions?|rights|connect(?:s|ed|ions?)?|privileges?)\b"
)
_REFUSAL = re.compile(
    r"\b(?:den(?:y|ies|ied)|block(?:s|ed)?|refus(?:e|es|ed)|reject(?:s|ed)?|not|no|never|nobody|"
    r"forbidden|prohibited)\b"
)

_NEGATION = re.compile(r"\b(?:not|no|never|nobody|none|nothing|neither|nor|cannot|zero)\b")

_PLAN = re.compile(
    r"\bnot yet\b|\byet to\b|\b(?:is|are|was|were|being|currently) (?:planned|budgeted|scheduled"
    r" to be (?:introduced|implemented|deployed|rolled out|completed))\b"
    r"|\bplanned for\b|\b(?:plan|plans|planning|intend|intends|aim|aims|hope|hopes|expect|expects|"
    r"would like|want|wants|going) to\b"
    r"|\bto be (?:implemented|introduced|done|defined|decided|determined|deployed|rolled out|"
    r"completed|documented)\b|\btbd\b|\btbc\b|\bto-?do\b"
    r"|\bwill (?:soon |eventually |later )?be (?:implemented|introduced|deployed|rolled out|"
    r"developed|put in place|available|added)\b|\bwill (?:soon|eventually)\b"
    r"|\b(?:next|coming|following) (?:\w+ )?(?:year|quarter|month|months|budget|financial year)\b"
    r"|\blater this (?:year|quarter|month)\b|\bin (?:the )?(?:near )?future\b|\bin progress\b"
    r"|\bunder (?:development|construction)\b"
    r"|\bon (?:the|our) roadmap\b|\bpending\b|\bby (?:q[1-4]|the end of|20[0-9]{2})\b"
    r"|\bcoming soon\b|\bwill be started\b"
    r"|\bbeing (?:prepared|implemented|introduced|rolled out|developed|evaluated|drafted)\b"
)

_ADVICE = re.compile(
    r"\b(?:should|could|may|might|please|to|will|we) (?:also |strongly )?consider\b|^consider\b"
    r"|\bconsider(?:ing)? (?:using|enabling|adding|adopting|whether)\b"
    r"|\b(?:could|might|ideally|best effort|may (?:want|wish|choose) to)\b"
    r"|\b(?:is|are) (?:strongly |highly )?(?:recommended|encouraged|advised|advisable|desirable)\b"
    r"|\bwe (?:strongly )?(?:recommend|suggest|encourage)\b|\bnice to have\b|\?\W*$"
    r"|\bwould (?:also )?be (?:\w+ )?(?:good|nice|great|better|best|useful|helpful|desirable|ideal|"
    r"wise)\b|\bgood idea\b|\b(?:we|i) (?:\w+ )?(?:wish|strive|aspire|endeavou?r)\b"
)

_TURN = re.compile(r";|\b(?:but|however|although|though|whereas|while|except that)\b")


def claim_of(sentence: str) -> Claim:
    """Tell what a sentence claims.

    Parameters
    ----------
    sentence : str
        One sentence, in English; the first `LONGEST_READ` characters count.

    Returns
    -------
    {"affirmed", "mixed", "denied", "planned", "advised"}
        "mixed" when some clauses affirm and others do not, or an exception is made. What ended or
        does not apply is "denied". Only "affirmed" may satisfy a control.
    """
    read = _plain(sentence)
    claims = {_clause(part) for part in _TURN.split(read) if len(part.split()) > 1}
    if not claims:
        claims = {_clause(read)}
    if len(claims) == 1:
        return claims.pop()
    if claims & {"affirmed", "mixed"}:
        return "mixed"
    return "denied" if "denied" in claims else "planned"


def _plain(sentence: str) -> str:
    lower = sentence[:LONGEST_READ].lower().replace("’", "'")  # noqa: RUF001  # as word processors write it
    spaced = " ".join(lower.replace("*", "").replace("`", "").replace("_", " ").split())
    return re.sub(r"\b(?:ca|wo)n't\b", "cannot", spaced).replace("n't", " not")


def _clause(clause: str) -> Claim:
    whole = _HARMLESS.sub(" ", clause)
    claim = _without_exception(_CONDITION.sub(" ", whole))
    if _ENDED.search(whole) and not _HARMFUL.search(whole):
        return "denied"
    return "mixed" if claim == "affirmed" and _is_limited(whole) else claim


def _is_limited(clause: str) -> bool:
    """Tell whether what a clause affirms does not hold for all, or not always."""
    if _EXCEPTION.search(clause):
        return not re.search(r"\b(?:den(?:y|ies|ied)|block(?:s|ed)?) ", clause)
    if _UNLESS.search(clause):
        return not _REFUSAL.search(clause)
    return bool(_ONLY.search(clause)) and not _RESTRICTION.search(clause)


def _does_harm(claimed: str) -> bool:
    """Tell whether what is forbidden does harm, the words that forbid left aside."""
    forbidden = re.sub(r"\b(?:prohibited|forbidden|banned|disallowed)\b", " ", claimed)
    return bool(_HARMS.search(forbidden) or _HARMFUL.search(forbidden) or "without" in forbidden)


def _without_exception(claimed: str) -> Claim:
    if _PLAN.search(claimed):
        return "planned"
    if _ADVICE.search(claimed):
        return "advised"
    if _REFUSED.search(claimed):
        return "denied"
    if _PROHIBITION.search(claimed):
        # What is forbidden may be the safeguard itself.
        is_safeguard = re.search(rf"\b{_SAFEGUARD}\b", claimed) or "encrypt" in claimed
        return "denied" if is_safeguard and not _does_harm(claimed) else "affirmed"
    is_harmful = bool(_HARMFUL.search(claimed)) and not _PROTECTS.search(claimed)
    if _LACK.search(claimed):
        is_refused = is_harmful or bool(_HARMS.search(claimed))
        return "affirmed" if is_refused and not _is_off(claimed) else "denied"
    if _NEGATION.search(claimed):
        return "affirmed" if is_harmful or _HARM_DENIED.search(claimed) else "denied"
    return "denied" if _EXPOSED.search(claimed) else "affirmed"


_OFF = re.compile(
    rf"\b{_SAFEGUARD} (?:is|are|was|were|has been|have been|remains?) (?:\w+ )?"
    r"(?:disabled|deactivated|(?:turned|switched) off)\b"
)
_IS_BARE = re.compile(r"\b(?:is|are|was|were|remains?) (?:\w+ )?unencrypted\b")


def _is_off(clause: str) -> bool:
    """Tell whether the harmful word is the very thing claimed: "logging is disabled"."""
    return bool(_OFF.search(clause) or _IS_BARE.search(clause))

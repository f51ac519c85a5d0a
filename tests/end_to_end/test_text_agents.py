"""Threat intelligence and compliance by the commands: before a training, in it, and after."""

import json
import time

import httpx
import numpy as np
import pytest

from end_to_end.network import Terms, short_heartbeats
from end_to_end.text_network import COMPLIANCE, THREAT, TextNetwork
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member

MEMBERS = 4
TERMS = Terms(rounds=2, measures=1, quorum=MEMBERS, timeout_s=30)
HANGS_S = 30


@pytest.fixture(scope="module", params=[THREAT, COMPLIANCE], ids=lambda texts: texts.agent)
def untrained(request, tmp_path_factory):
    """A network whose first member serves before there is any server."""
    folder = tmp_path_factory.mktemp("texts")
    network = TextNetwork(folder, TERMS, prepare=short_heartbeats, texts=request.param)
    network.make_server()
    for number in range(MEMBERS):
        network.make_member(f"msp-{number}")
    network.found()
    network.point_to_files(network.home("msp-0"))
    network.start_member("msp-0").await_event("serving")
    yield network
    network.end()


@pytest.fixture(scope="module")
def public(untrained):
    """What the first member answers before any training, once its own records are fitted."""
    until = time.monotonic() + 60
    while not (answer := untrained.ask("msp-0"))["model"]["adapted"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    return answer


@pytest.fixture(scope="module")
def trained(untrained, public):
    """The same network after a training, with its members still running."""
    server = untrained.start_server("--once")
    for name in untrained.names[1:]:
        untrained.clients[name] = untrained.start_member(name)
    assert server.ended(90) == 0, server.err
    for name in untrained.names:
        untrained.await_model(name, TERMS.rounds)
    return untrained


def lasting(answer):
    """Leave out when it was answered, and the last digits, which a batch may round otherwise."""
    kept = {name: value for name, value in answer.items() if name not in ("detected_at", "model")}
    return json.loads(json.dumps(kept), parse_float=lambda digits: round(float(digits), 9))


def test_public_knowledge_answers_before_any_training(untrained, public):
    model = public["model"]
    assert (model["version"], model["training"]) == ("public", "")
    assert (model["round"], model["rounds"], model["epsilon"]) == (0, 0, 0)
    assert public["client_id"] == "c1"
    assert "MiniLM" in public["model_used"]
    assert public["unavailable"]
    if untrained.texts is THREAT:
        assert (public["is_threat"], public["threat_type"]) == (True, "phishing")
        assert public["recommended_actions"]
    else:
        assert "AC-2" in [one["control"] for one in public["controls_for_technique"]]


def test_every_release_is_done_by_everybody(trained):
    report = trained.report()
    assert (report["status"], report["releases"]) == ("finished", TERMS.rounds + TERMS.measures)
    assert {record["members"] for record in report["rounds"]} == {MEMBERS}
    assert report["attempts"] == report["releases"]


def test_all_members_hold_the_state_that_the_training_made(trained):
    checkpoint = trained.checkpoint()
    for name in trained.names:
        trained.copy_home(name, f"copy-of-{name}")
        member = open_member(Home(trained.home(f"copy-of-{name}")))
        (training,) = member.trainings()
        seat = member.resume(training)
        assert seat.digest == checkpoint.digest
        start = seat.agent.init()
        moved = [block for block in start if not np.allclose(seat.state[block], start[block])]
        assert set(seat.agent.layout(start)) <= {*moved, "gradient"}
        assert "round" in moved


def test_the_trained_version_answers_at_all_members(trained, public):
    answers = {name: trained.ask(name) for name in trained.names}
    assert len({answer["model"]["version"] for answer in answers.values()}) == 1
    assert len({str(trained.texts.learned(answer)) for answer in answers.values()}) == MEMBERS
    for answer in answers.values():
        model = answer["model"]
        assert (model["round"], model["rounds"], model["adapted"]) == (2, 2, True)
        assert trained.texts.learned(answer) != trained.texts.learned(public)


def test_a_restarted_member_serves_what_it_served(trained):
    before = trained.ask("msp-1")
    assert trained.clients["msp-1"].stop() == 0
    again = trained.start_member("msp-1")
    again.await_event("serving")
    after = trained.ask("msp-1")
    assert lasting(after) == lasting(before)
    assert after["model"] == before["model"]
    (told,) = [event for event in again.events() if event["kind"] == "model"]
    assert told["version"] == before["model"]["version"]


def test_reference_files_change_the_answer(trained):
    own, without = (trained.ask(name, trained.texts.about_files) for name in ("msp-0", "msp-1"))
    if trained.texts is THREAT:
        action = "Turn the gate off at night"
        assert own["vulnerabilities"][0]["required_action"] == action
        assert action in str(own["recommended_actions"])
        assert without["vulnerabilities"][0]["required_action"] is None
        assert "kev" in without["vulnerabilities"][0]["unavailable"]["required_action"]
        assert action not in str(without)
    else:
        assert own["framework"] == "House rules"
        assert [one["control"] for one in own["controls"]] == ["H-1", "H-2"]
        assert "NIST" in without["framework"]


BAD_FILES = {
    "threat": {
        'kve = "kev.csv"': "unknown key 'kve' in [agents.threat.files]; did you mean 'kev'?",
        'kev = "none.csv"': "none.csv",
        'kev = "events.csv"': "CISA's catalogue with cveID and requiredAction",
        'classifier = "."': "expected",
        "kev = 7": "expected a path, found 7",
    },
    "compliance": {
        'house = "none.json"': "none.json: expected a file, found none",
        'house = "deep.json"': "nested too deeply",
        'house = "evidence.csv"': "expected the columns id, title, text",
        'attack_mappings = "deep.json"': "nested too deeply",
        "house = 7": "expected a path, found 7",
    },
}


def test_a_start_without_its_reference_files_is_refused(untrained):
    for number, (line, told) in enumerate(BAD_FILES[untrained.agent].items()):
        home = untrained.copy_home("msp-3", f"astray-{number}")
        (home / "deep.json").write_text("[" * 100_000)
        untrained.name_files(home, line)
        message = untrained.refused("mesh-client", "start", home)
        assert told in message, message


def test_a_trained_member_without_its_reference_files_is_refused_as_well(trained):
    home = trained.copy_home("msp-0", "lost")
    for name in trained.texts.files:
        (home / name).unlink()
        assert name in trained.refused("mesh-client", "start", home)


def test_the_fields_are_described(untrained):
    document = untrained.get("msp-0", "/openapi.json")
    post = document["paths"][untrained.path]["post"]
    record, _ = post["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    fields = {*untrained.texts.texts, *untrained.texts.documents}
    assert fields <= set(record["properties"])
    assert record["required"] == []
    assert all(record["properties"][name]["description"] for name in fields)
    page = httpx.get(address(untrained, "/docs"), trust_env=False)
    assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")


def test_a_batch_is_answered_in_order(untrained):
    texts = [f"Somebody asked number {n} for a password on the phone" for n in range(20)]
    answers = untrained.ask("msp-0", {"records": [{"text": text} for text in texts]})["answers"]
    for row in (0, 13):
        assert lasting(answers[row]) == lasting(untrained.ask("msp-0", {"text": texts[row]}))
    assert len({str(lasting(answer)) for answer in answers}) == len(texts)


def address(network, path=""):
    return f"http://127.0.0.1:{network.ports['msp-0']}{path or network.path}"


def sent(network, body):
    """Send any bytes; they are answered, or refused by a sentence."""
    headers = {"content-type": "application/json"}
    found = httpx.post(
        address(network), content=body, headers=headers, timeout=HANGS_S, trust_env=False
    )
    assert found.status_code in (200, 422), (body[:80], found.status_code, found.text[:300])
    if found.status_code == 422:
        assert 10 < len(found.json()["detail"]) < 1000
    else:
        assert json.loads(found.text.encode())["model"]
    return found.status_code


MB = 1_000_000
TEXTS = {
    "empty": "",
    "blank": " \n\t\u3000",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x9b2J",
    "Hangul": "비밀번호가 새어 나갔다 " * 50,
    "Arabic": "فتح شخص ما البريد الغريب " * 50,
    "right to left": "\u202e" * 500 + "txt.exe",
    "emoji": "🔥" * 3000,
    "combining": "e" + "\u0301" * 20_000,
    "markup": "<script>alert(1)</script> ${jndi:ldap://x} %s {0}",
    "1 MB of a letter": "a" * MB,
    "1 MB of dots": "a." * (MB // 2),
    "1 MB of sentences": " ".join(f"We do thing {n} daily." for n in range(MB // 24)),
    "1 MB of addresses": " ".join(f"http://h{n}.example/{n}" for n in range(MB // 28)),
    "1 MB of ids": " ".join(f"CVE-2031-{n}" for n in range(10_000, 10_000 + MB // 15)),
    "deep JSON": "[" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_answered_or_refused(untrained, text):
    for field in untrained.texts.texts:
        sent(untrained, json.dumps({field: text}).encode())
    assert sent(untrained, json.dumps({"text": text, "as_stix": True}).encode()) == (
        200 if text.strip() else 422
    )


BODIES = {
    "nothing": b"",
    "no JSON": b"{text: 1}",
    "not UTF-8": b'{"text": "\xff"}',
    "an array": b"[]",
    "deep": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too many digits": b'{"text": ' + b"9" * 10_000 + b"}",
    "half a surrogate": b'{"text": "a \\ud800 b"}',
    "a list for a text": b'{"text": ["a"]}',
    "an object for a text": b'{"text": {"a": 1}}',
    "no records": b'{"records": []}',
    "records of nothing": b'{"records": [{}, {}]}',
    "records in records": b'{"records": [{"records": [{"text": "a"}]}]}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_any_other_body_is_refused(untrained, body):
    assert sent(untrained, body) == 422


ODD = (7, None, True, [], {}, "x" * 1000, "\0", "AC-2", [[[]]], {"a": {"b": []}})
STRANGE = [dict.fromkeys(("control", "status", "check"), value) for value in ODD]
OBJECTS = [
    {"type": kind, "id": odd, "name": odd, "pattern": odd, "objects": odd, "hashes": odd}
    for kind in ("indicator", "malware", "observed-data", "file", "x-own", 7)
    for odd in ODD
]
ITSELF = "relationship--00000000-0000-4000-8000-000000000001"
RING = {"type": "relationship", "id": ITSELF, "source_ref": ITSELF, "target_ref": ITSELF}
PATTERNS = ("[" * 5000, "'" * 50_000, "(" * 50_000, "[a:b = '" + "\\" * 50_000)
DOCUMENTS = {
    "an empty object": {},
    "an empty array": [],
    "numbers": [1, 2.5, None],
    "nested": [[[[[[]]]]]],
    "strange results": STRANGE,
    "strange objects": {"type": "bundle", "objects": OBJECTS},
    "bundles in a bundle": {"type": "bundle", "objects": [{"type": "bundle", "objects": []}]},
    "a ring": {"type": "bundle", "objects": [RING, RING]},
    "hostile patterns": {
        "type": "bundle",
        "objects": [{"type": "indicator", "pattern": one} for one in PATTERNS],
    },
    "20,000 objects": [{"type": "malware", "id": f"m{n}", "name": f"m{n}"} for n in range(20_000)],
    "20,000 results": [{"control": f"AC-{n}", "status": "pass"} for n in range(20_000)],
    "OSCAL of odd parts": {
        "assessment-results": {
            "results": [None, 7, {"findings": [None, {"target": []}], "observations": "x"}]
        }
    },
    "OSCAL that points to itself": {
        "assessment-results": {
            "uuid": "a",
            "results": [
                {
                    "uuid": "a",
                    "findings": [
                        {
                            "uuid": "a",
                            "target": {"target-id": "ac-2", "status": {"state": "satisfied"}},
                            "related-observations": [{"observation-uuid": "a"}],
                        }
                    ],
                    "observations": [{"uuid": "a", "relevant-evidence": [{"href": "#a"}]}],
                }
            ],
        }
    },
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_any_document_is_answered_or_refused(untrained, document):
    for field in untrained.texts.documents:
        sent(untrained, json.dumps({field: document}).encode())
        sent(untrained, json.dumps({field: json.dumps(document), "report": "oscal"}).encode())

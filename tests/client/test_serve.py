import json
import threading
import time
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.client.models import ModelCard, Models, Served
from mesh_fl.client.serve import LARGEST_BATCH, LARGEST_BODY_BYTES, make_api, path_of
from mesh_fl.errors import NetworkError
from mesh_fl.local_http import LocalServer
from mesh_fl.planning import make_plan

FEATURES = (
    Feature(name="seats", kind="number", low=0, high=100, description="licensed seats"),
    Feature(name="contract", kind="category", levels=("monthly", "yearly")),
    Feature(name="overdue", kind="flag", optional=True),
)
AGENT = ClientHealth(features=FEATURES, records=256.0)
RECORD = {"client_id": "c1", "seats": 40, "contract": "monthly", "overdue": True}
PATH = "/client-health"


class Health(BaseModel):
    status: str = "ok"


def card(version):
    return ModelCard(
        agent="health",
        training="0" * 32,
        version=f"v{version}",
        round=version,
        rounds=9,
        members=5,
        adapted=False,
        epsilon=0.1,
    )


def serve(models, version):
    """Serve a model whose answers tell its version: the bias alone decides."""
    state = dict(AGENT.init())
    state["mean"] = np.array([0.0, 0.0, 0.0, version / 4])
    state["round"] = np.array(float(version))
    models._served["health"] = Served(AGENT, state, card(version))


def risk(version):
    return 1 / (1 + np.exp(-version / 4))


@pytest.fixture
def untrained():
    return Models()


@pytest.fixture
def models():
    found = Models()
    serve(found, 1)
    return found


def api_of(models, agents=None):
    return make_api(agents or {"health": ClientHealth}, models, Health, "127.0.0.1")


@pytest.fixture
def client(models):
    # Errors of the server are answers here as they are outside of tests: status 500.
    with TestClient(
        api_of(models), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as one:
        yield one


def test_one_record_is_answered(client):
    found = client.post(PATH, json=RECORD)
    assert found.status_code == 200
    answer = found.json()
    assert answer["client_id"] == "c1"
    assert answer["churn_risk"] == pytest.approx(risk(1))
    assert answer["model"] == card(1).model_dump()
    assert answer["unused_fields"] == []


def test_a_batch_is_answered_in_order(client):
    records = [{**RECORD, "client_id": f"c{n}"} for n in range(300)]
    found = client.post(PATH, json={"records": records}).json()
    assert [answer["client_id"] for answer in found["answers"]] == [f"c{n}" for n in range(300)]
    assert found["model"]["version"] == "v1"


def test_an_optional_field_may_lack_and_an_unknown_one_is_named(client):
    found = client.post(PATH, json={"seats": 1, "contract": "yearly", "colour": "red"}).json()
    assert found["unused_fields"] == ["colour"]


def test_a_model_never_trained_refuses(untrained):
    with TestClient(api_of(untrained), base_url="http://127.0.0.1") as client:
        found = client.post(PATH, json=RECORD)
        assert found.status_code == 503
        assert "never trained here" in found.json()["detail"]
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/openapi.json").status_code == 200


DEEP = "[" * 100_000 + "]" * 100_000
BAD_BODIES = {
    "empty": b"",
    "no JSON": b"{seats: 1}",
    "cut off": b'{"seats": 1',
    "not UTF-8": b"\xff\xfe{}",
    "array": b"[]",
    "array of records": json.dumps([RECORD]).encode(),
    "number": b"3",
    "null": b"null",
    "NaN": b"NaN",
    "array of NaN": b"[NaN]",
    "array with half a surrogate": b'["\\ud800"]',
    "empty object": b"{}",
    "missing field": b'{"seats": 1}',
    "wrong type": b'{"seats": "many", "contract": "monthly"}',
    "list for a number": b'{"seats": [1], "contract": "monthly"}',
    "object for a number": b'{"seats": {"a": 1}, "contract": "monthly"}',
    "unknown level": b'{"seats": 1, "contract": "weekly"}',
    "NaN in a field": b'{"seats": NaN, "contract": "monthly"}',
    "infinity": b'{"seats": Infinity, "contract": "monthly"}',
    "overflow": b'{"seats": 1e999, "contract": "monthly"}',
    "too many digits": b'{"seats": ' + b"9" * 10_000 + b', "contract": "monthly"}',
    "outside": b'{"seats": 101, "contract": "monthly"}',
    "half a surrogate": b'{"seats": 1, "contract": "\\ud800"}',
    "deep": DEEP.encode(),
    "deep in a field": b'{"contract": "monthly", "seats": ' + DEEP.encode() + b"}",
    "records: none": b'{"records": []}',
    "records: text": b'{"records": "abc"}',
    "records: numbers": b'{"records": [1, 2]}',
    "records: one of them bad": json.dumps({"records": [RECORD, {}]}).encode(),
    "records: too many": json.dumps({"records": [{}] * (LARGEST_BATCH + 1)}).encode(),
    "records: all bad": json.dumps({"records": [{}] * LARGEST_BATCH}).encode(),
}
JSON = {"content-type": "application/json"}


def refused(response):
    """Check that a refusal tells one short message, and give it."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:300])
    message = response.json()["detail"]
    assert isinstance(message, str)
    assert 10 < len(message) < 10_000
    return message


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_refused(client, body):
    refused(client.post(PATH, content=body, headers=JSON))
    assert client.post(PATH, json=RECORD).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "image/png", ""])
@pytest.mark.parametrize("body", [json.dumps(RECORD).encode(), b"\xff\xfe", b"a=b"])
def test_a_body_of_another_type_is_refused(client, kind, body):
    refused(client.post(PATH, content=body, headers={"content-type": kind}))


def test_a_message_names_the_record_and_the_field(client):
    body = {"records": [RECORD, {**RECORD, "contract": "weekly"}]}
    message = refused(client.post(PATH, json=body))
    assert message == "record 1, contract: expected one of monthly, yearly, found 'weekly'"


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"\\ud800"', "[NaN]"])
@pytest.mark.parametrize("name", ["client_id", "colour_id"])
def test_an_id_that_cannot_be_echoed_is_no_failure_of_ours(client, name, text):
    body = f'{{"seats": 1, "contract": "monthly", "{name}": {text}}}'
    found = client.post(PATH, content=body.encode(), headers=JSON)
    assert found.status_code < 500, found.text


def test_a_strange_unused_field_is_no_failure_of_ours(client):
    body = b'{"seats": 1, "contract": "monthly", "\\ud800": 1}'
    assert client.post(PATH, content=body, headers=JSON).status_code < 500


def test_a_large_body_is_refused_unread(client):
    body = b" " * (LARGEST_BODY_BYTES + 1)
    found = client.post(PATH, content=body, headers=JSON)
    assert found.status_code == 413
    assert str(LARGEST_BODY_BYTES) in refused(found)


def test_a_body_of_unknown_length_is_refused(client):
    found = client.post(PATH, content=iter([b"{", b"}"]), headers=JSON)
    assert found.status_code == 413
    assert "known length" in refused(found)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_another_sites_host_is_refused(client, host):
    for method, path in (("POST", PATH), ("GET", "/health"), ("GET", "/openapi.json")):
        found = client.request(method, path, headers={"host": host})
        assert found.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:8700", "127.0.0.1:1"])
def test_this_machine_is_served(client, host):
    assert client.post(PATH, json=RECORD, headers={"host": host}).status_code == 200


def test_other_methods_and_paths_are_refused(client):
    assert client.get(PATH).status_code == 405
    assert client.post("/health").status_code == 405
    assert client.post("/agents/other", json=RECORD).status_code == 404


def test_the_api_describes_the_fields(client):
    document = client.get("/openapi.json").json()
    content = document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    record, batch = content["schema"]["anyOf"]
    assert record["required"] == ["seats", "contract"]
    assert set(record["properties"]) == {"client_id", "seats", "contract", "overdue"}
    assert record["properties"]["seats"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "description": "licensed seats",
    }
    assert record["properties"]["contract"]["enum"] == ["monthly", "yearly"]
    assert batch["properties"]["records"]["items"] == record
    assert batch["required"] == ["records"]
    assert "swagger" in client.get("/docs").text.lower()


def test_an_agent_without_a_path_of_its_own_gets_one():
    class Other(ClientHealth):
        endpoint = ""

    assert path_of("my.module:Other", Other) == "/agents/my.module/Other"
    assert path_of("health", ClientHealth) == PATH


# Over a real socket.


@pytest.fixture
def server(models):
    with LocalServer(api_of(models), "127.0.0.1", 0) as one:
        yield one


def test_a_taken_port_is_named(server):
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(NetworkError, match=f"Port {port} on 127.0.0.1 is already in use"):
        LocalServer(api_of(Models()), "127.0.0.1", port)


def test_a_port_is_free_again_afterwards(models):
    with LocalServer(api_of(models), "127.0.0.1", 0) as one:
        port = int(one.address.rpartition(":")[2])
    with LocalServer(api_of(models), "127.0.0.1", port) as again:
        assert httpx.get(f"{again.address}/health", trust_env=False).json() == {"status": "ok"}


def test_a_chunked_body_is_refused_on_the_wire(server):
    found = httpx.post(
        f"{server.address}{PATH}", content=iter([b"{}"]), headers=JSON, trust_env=False
    )
    assert found.status_code == 413


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1e9", b"99999999999999999999999"])
def test_a_strange_length_is_refused_on_the_wire(server, length):
    import socket

    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = b"POST /client-health HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        connection.sendall(head + length + b"\r\n\r\n{}")
        assert connection.recv(4096).split(b" ")[1][:1] == b"4"


@dataclass
class Asker:
    """Asks again and again, and notes every answer that is not whole."""

    address: str
    stopped: threading.Event
    answers: int = 0
    wrong: tuple = ()

    def run(self):
        with httpx.Client(base_url=self.address, trust_env=False) as client:
            while not self.stopped.is_set():
                found = client.post(PATH, json=RECORD)
                self.answers += 1
                answer = found.json()
                version = int(answer["model"]["version"][1:])
                if found.status_code != 200 or abs(answer["churn_risk"] - risk(version)) > 1e-9:
                    self.wrong += (answer,)


def test_models_are_swapped_without_a_failed_request(models, server):
    stopped = threading.Event()
    askers = [Asker(server.address, stopped) for _ in range(4)]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    version, deadline = 1, time.monotonic() + 60
    while sum(asker.answers for asker in askers) < 1500 and time.monotonic() < deadline:
        version = version % 9 + 1
        serve(models, version)
        time.sleep(0.001)
    stopped.set()
    for thread in threads:
        thread.join(10)
    assert sum(asker.answers for asker in askers) >= 1500
    assert [asker.wrong for asker in askers] == [()] * 4


# What a training hands over.


class Seat:
    """As much of a seat as serving needs."""

    def __init__(self, step, adaptable=True):
        self.training, self.step, self.digest = "ab" * 16, step, f"digest {step}"
        self.plan = make_plan(
            AGENT, "health", dict.fromkeys("abcde", 64), rounds=4, measures=2, survivors=4
        )
        random = np.random.default_rng(0)
        x, y = random.uniform(-1, 1, (40, 4)), random.integers(0, 2, 40).astype(float)
        data = {"x": x, "y": y} if adaptable else {"x": x}
        self.dataset = type("Dataset", (), {"at_home": data})
        self.agent = AGENT
        self.state = {**AGENT.init(), "round": np.array(float(step))}


def test_a_seat_before_the_first_round_is_not_served(untrained):
    untrained.take(Seat(0))
    assert untrained.served() == {}


@pytest.mark.parametrize(("step", "rounds"), [(1, 1), (2, 2), (3, 2), (4, 3), (6, 4)])
def test_measures_count_as_releases_and_not_as_rounds(untrained, step, rounds):
    untrained.take(Seat(step))
    found = untrained.newest("health").card
    assert (found.version, found.round, found.rounds) == (f"abababab-{step}", rounds, 4)
    assert found.adapted


def test_the_same_model_is_taken_once(untrained):
    told = []
    models = Models(told.append)
    for step in (1, 1, 2, 2, 2):
        models.take(Seat(step))
    assert [card.version for card in told] == ["abababab-1", "abababab-2"]


def test_a_model_that_cannot_be_adapted_is_served_as_it_is(untrained):
    untrained.take(Seat(1, adaptable=False))
    assert untrained.newest("health").card.adapted is False

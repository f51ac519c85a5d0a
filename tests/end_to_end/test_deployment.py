"""Five MSPs and their operator, by the installed commands, to the end of a training."""

import base64
import json
import ssl
import stat

import httpx
import pytest

from end_to_end.network import RECORD, Terms
from end_to_end.process import Installed, Process
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.server.report import Report, report_of

MEMBERS = 5
TERMS = Terms(rounds=3, measures=1, quorum=MEMBERS, timeout_s=30)
RELEASES = TERMS.rounds + TERMS.measures


@pytest.fixture(scope="module")
def trained(make_network):
    """A network whose training is over, with all its processes still running."""
    network = make_network(MEMBERS, TERMS)
    network.launch = Installed
    server = network.start_server()
    for name in network.names:
        network.start_member(name)
    server.await_event("closed", timeout_s=90)
    for name in network.names:
        network.await_model(name, TERMS.rounds)
    network.launch = Process
    return network


def test_every_release_is_done_by_everybody(trained):
    report = trained.report()
    assert (report["status"], report["releases"]) == ("finished", RELEASES)
    assert [record["kind"] for record in report["rounds"]] == ["train"] * 3 + ["measure"]
    assert {record["members"] for record in report["rounds"]} == {MEMBERS}
    assert report["attempts"] == RELEASES
    # Noise can leave a score undefined; the number of records is always told.
    assert "records" in report["scores"]
    assert set(report["scores"]) <= {"auc", "brier", "records"}
    assert Report.model_validate(report) == report_of(checkpoint(trained))


def checkpoint(network):
    return network.checkpoint()


def test_every_member_serves_the_same_last_version_adapted(trained):
    answers = [trained.ask(name) for name in trained.names]
    assert len({answer["model"]["version"] for answer in answers}) == 1
    for answer in answers:
        assert answer["client_id"] == "c1"
        assert 0 < answer["churn_risk"] < 1
        model = answer["model"]
        assert (model["round"], model["rounds"], model["adapted"]) == (3, 3, True)
    assert len({answer["churn_risk"] for answer in answers}) == MEMBERS


def test_a_batch_is_answered_in_order(trained):
    records = [{**RECORD, "client_id": f"c{n}", "seats": n} for n in range(50)]
    answers = trained.ask("msp-0", {"records": records})["answers"]
    assert [answer["client_id"] for answer in answers] == [f"c{n}" for n in range(50)]
    alone = trained.ask("msp-0", records[7])["churn_risk"]
    assert answers[7]["churn_risk"] == pytest.approx(alone, rel=1e-12)


def test_the_budget_is_the_sum_of_the_charges(trained):
    for name in trained.names:
        budget, charges = trained.budget(name), trained.charges(name)
        assert len(charges) == trained.report()["attempts"] == budget["trainings"][0]["charges"]
        spent = epsilon_of(sum(charge["cost"] for charge in charges) ** 0.5, budget["delta"])
        assert budget["spent"] == pytest.approx(spent)
        assert budget["trainings"][0]["epsilon"] == pytest.approx(spent)
        assert 0 < spent < budget["epsilon"] == 0.1
        assert trained.get(name)["epsilon_spent"] == pytest.approx(spent)
        assert trained.report()["epsilon_spent"] == pytest.approx(spent)


def test_the_operator_sees_the_training(trained):
    status = json.loads(trained.call("mesh-server", "status", trained.server, "--json"))
    assert status["registered"] == status["connected"] == trained.names
    assert (status["step"], status["steps"], status["refused"]) == (RELEASES, RELEASES, {})
    assert status["report"]["status"] == "finished"
    assert "msp-3" in trained.call("mesh-server", "status", trained.server)
    listed = json.loads(trained.call("mesh-server", "members", "list", trained.server, "--json"))
    assert [card["name"] for card in listed] == trained.names


def test_the_commands_of_an_engineer_answer(trained):
    home = trained.home("msp-1")
    health = json.loads(trained.call("mesh-client", "status", home, "--json"))
    assert (health["status"], health["member"]) == ("ok", "msp-1")
    assert health["connection"].startswith("connected to")
    text = trained.call("mesh-client", "query", home, "client-health", json.dumps(RECORD))
    assert json.loads(text) == trained.ask("msp-1")
    for command in ("status", "card"):
        assert "msp-1" in trained.call("mesh-client", command, home)
    assert "spent epsilon" in trained.call("mesh-client", "budget", home)
    text = trained.refused("mesh-client", "query", home, "client-health", '{"seats": "many"}')
    assert "a number from 0 to 100, found 'many'" in text


def test_the_plan_is_shown_as_it_was_run(trained):
    offer = json.loads(trained.call("mesh-server", "plan", trained.server, "--json"))
    assert sorted(offer["plan"]["caps"]) == trained.names
    assert {charge["plan"] for charge in trained.charges("msp-0")} == {plan_digest(offer["plan"])}


def plan_digest(plan):
    from mesh_fl.privacy.plan import Plan

    return Plan.model_validate_json(json.dumps(plan)).digest


def trusted(network):
    return ssl.create_default_context(cafile=str(network.server / "ca.crt"))


@pytest.mark.parametrize("path", ["/", "/v1/fleet/activate-node"])
def test_only_tls_is_spoken(trained, path):
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://127.0.0.1:{trained.ports['server']}{path}", trust_env=False)


def test_nobody_connects_without_trusting_the_network(trained):
    url = f"https://127.0.0.1:{trained.ports['server']}/"
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(url, trust_env=False)


@pytest.mark.parametrize(
    "path", ["control/list-runs", "control/start-run", "runtime/pull-messages"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_controls_the_server(trained, method, path):
    url = f"https://127.0.0.1:{trained.ports['server']}/v1/{path}"
    response = httpx.request(method, url, verify=trusted(trained), trust_env=False)
    assert response.status_code == 403


def test_a_stranger_gets_in_nowhere(trained):
    url = f"https://127.0.0.1:{trained.ports['server']}/v1/fleet/pull-messages"
    response = httpx.post(url, verify=trusted(trained), trust_env=False)
    assert response.status_code == 401


def homes(network):
    return [network.server, *(network.home(name) for name in network.names)]


def test_homes_are_their_owners_alone(trained):
    for home in homes(trained):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        keys = list(home.glob("*.key"))
        assert len(keys) >= 2
        stores = [*keys, *home.glob("ledger*"), *home.glob("train*"), *home.glob("members")]
        for path in [*stores, *(file for store in stores for file in store.rglob("*"))]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def secrets(home):
    """Give what must never be printed, in the forms in which it could be."""
    for path in home.glob("*.key"):
        blob = path.read_bytes()
        if b"PRIVATE KEY" in blob:
            yield from (line.decode() for line in blob.splitlines() if b"-" not in line)
        else:
            yield from (blob.hex(), base64.b64encode(blob).decode(), repr(blob)[2:-1])


def test_no_secret_is_printed(trained):
    printed = "".join(process.out + process.err for process in trained.running)
    assert "connected to" in printed
    assert "PRIVATE KEY" not in printed
    found = [secret for home in homes(trained) for secret in secrets(home)]
    assert len(found) > 4 * len(homes(trained))
    assert not [secret for secret in found if secret in printed]


def test_no_secret_leaves_its_home(trained):
    """The server never holds a member's key, nor a member another one's."""
    for owner in trained.names:
        own = [secret.encode() for secret in secrets(trained.home(owner))]
        for home in homes(trained):
            if home != trained.home(owner):
                blobs = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
                assert not [blob for blob in blobs for secret in own if secret in blob]


def test_everybody_leaves_politely(trained):
    lasting = [process for process in trained.running if isinstance(process, Installed)]
    assert [process.status for process in lasting] == [None] * (1 + MEMBERS)
    assert [process.stop() for process in lasting] == [0] * (1 + MEMBERS)
    assert "".join(process.err for process in lasting) == ""

"""The apps that stock Flower runs, without its processes: members opened anew for each message."""

import dataclasses
import shlex
import shutil
import stat
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from flwr.app import Context, Message, RecordDict
from flwr.common.config import parse_config_args, validate_config
from flwr.serverapp import Grid

from end_to_end.network import Terms
from mesh_fl.card import Card
from mesh_fl.client import stock as client_stock
from mesh_fl.client.flower_key import supernode_command, write_flower_key
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.errors import ConfigError
from mesh_fl.flower import unwrap, wrap
from mesh_fl.messages import Convene, Refusal, decode, encode
from mesh_fl.server import stock as server_stock
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.flower_app import write_flower_app
from mesh_fl.server.flower_private import SUPERLINK_NODE_ID, TaskIdentity
from mesh_fl.server.members import Members
from mesh_fl.state import dump_state
from mesh_fl.store import locked

MEMBERS = 3
TERMS = Terms(rounds=2, measures=0, quorum=MEMBERS, epsilon=0.05)
RUN = 7


@pytest.fixture(scope="module", autouse=True)
def _server_app():
    """Flower's messages take their sender from here; a post that is at hand needs no pauses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_stock, "POLL_S", 0.001)
        for name, value in (("task_id", 1), ("run_id", RUN), ("node_id", SUPERLINK_NODE_ID)):
            patch.setattr(TaskIdentity, f"_{name}", value)
        yield


@pytest.fixture(scope="module")
def founded(make_network):
    """A network that never trains, to be copied."""
    return make_network(MEMBERS, TERMS)


@pytest.fixture(scope="module")
def network(founded, tmp_path_factory):
    return copied(founded, tmp_path_factory.mktemp("copy") / "network")


def copied(network, folder):
    shutil.copytree(network.folder, folder)
    return dataclasses.replace(network, folder=folder, running=[])


def context(run_config=None, **node_config):
    return Context(RUN, 1, node_config, RecordDict(), run_config or {})


class Post(Grid):
    """Hands each message to the ClientApp at once, as a SuperNode would in a new process."""

    def __init__(self, homes):
        self.nodes, self._homes, self._replies = [], {}, {}
        for number, home in enumerate(homes, start=100):
            pem = (
                Home(home)
                .identity.public_key()
                .public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
            self.nodes.append(SimpleNamespace(node_id=number, public_key=pem))
            self._homes[number] = home

    def get_nodes(self):
        return self.nodes

    def push_messages(self, messages):
        ids = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = message.object_id
            ids.append(message.metadata.message_id)
            place = context(
                {"home": "/nowhere"}, home=str(self._homes[message.metadata.dst_node_id])
            )
            self._replies[ids[-1]] = client_stock.app(message=message, context=place)
        return ids

    def pull_messages(self, message_ids):
        return [self._replies.pop(one) for one in message_ids if one in self._replies]

    def get_node_ids(self):
        return [node.node_id for node in self.nodes]

    run = property(lambda self: None)

    def set_run(self, run):
        raise NotImplementedError

    create_message = send_and_receive = set_run


def train(network, **config):
    grid = Post([network.home(name) for name in network.names])
    server_stock.app(grid=grid, context=context({"home": str(network.server), **config}))
    return network.checkpoint()


@pytest.fixture(scope="module")
def trained(network):
    return train(network)


def seats(network, training):
    return [open_member(Home(network.home(name))).resume(training) for name in network.names]


def attempts(network, training):
    return [
        [one["attempt"] for one in network.charges(name) if one["training"] == training]
        for name in network.names
    ]


def test_members_opened_anew_for_each_message_train_to_the_end(network, trained):
    assert (trained.status, trained.step, trained.attempt) == ("finished", 2, 2)
    assert attempts(network, trained.training) == [[1, 2]] * MEMBERS
    for seat in seats(network, trained.training):
        assert (seat.digest, dump_state(seat.state)) == (trained.digest, trained.state)
        assert seat.keyring.term is None
    assert network.report()["training"] == trained.training


def test_a_second_run_charges_nobody_and_says_how_to_begin_another(network, trained, capsys):
    assert train(network).training == trained.training
    assert "new=true" in capsys.readouterr().out
    assert attempts(network, trained.training) == [[1, 2]] * MEMBERS


def test_a_new_training_begins_when_told_so(network, trained):
    fresh = train(network, new=True)
    assert fresh.training != trained.training
    assert attempts(network, fresh.training) == [[1, 2]] * MEMBERS


class LostError(Exception):
    """The SuperLink is gone."""


class Mortal(Post):
    """Is gone after so many messages: the members got the last one, and nobody hears of it."""

    def __init__(self, homes, left):
        super().__init__(homes)
        self._left = left

    def push_messages(self, messages):
        ids = super().push_messages(messages)
        self._left -= len(ids)
        if self._left <= 0:
            raise LostError
        return ids


@pytest.mark.parametrize("messages", [6, 7, 13, 16, 22])
def test_a_run_that_was_lost_goes_on_in_the_next(founded, tmp_path, messages):
    network = copied(founded, tmp_path / "network")
    homes = [network.home(name) for name in network.names]
    with pytest.raises(LostError):
        server_stock.app(
            grid=Mortal(homes, messages), context=context({"home": str(network.server)})
        )
    done = train(network)
    assert (done.status, done.step, done.attempt) == ("finished", 2, 2)
    assert attempts(network, done.training) == [[1, 2]] * MEMBERS


@pytest.mark.parametrize("config", [{}, {"home": ""}, {"home": 3}])
def test_a_run_that_names_no_home_says_what_to_do(network, config):
    with pytest.raises(ConfigError, match="mesh-server flower"):
        server_stock.app(grid=Post([]), context=context(config))


def test_large_cohorts_are_refused_before_anybody_is_asked(network, trained, monkeypatch):
    monkeypatch.setattr(server_stock, "LARGE", MEMBERS - 1)
    grid = Post([])
    monkeypatch.setattr(grid, "push_messages", None)
    with pytest.raises(ConfigError, match="mesh-server start"):
        server_stock.app(grid=grid, context=context({"home": str(network.server)}))


def exchange_of(network, grid, **options):
    nodes = server_stock.RegisteredNodes(grid)
    return FlowerExchange(nodes, Members(network.server), **options)


def test_only_nodes_with_a_members_key_are_members(network):
    grid = Post([network.home("msp-0"), network.home("msp-2")])
    grid.nodes[1].public_key = b"somebody else's"
    assert exchange_of(network, grid).connected() == {"msp-0"}


def test_a_node_that_comes_late_is_found(network):
    grid = Post([network.home(name) for name in network.names])
    late, grid.nodes = grid.nodes, []
    exchange = exchange_of(network, grid)
    assert exchange.connected() == frozenset()
    assert exchange.send({"msp-1": order()}, 0.05) == {}
    grid.nodes = late
    assert exchange.connected() == set(network.names)
    assert exchange.send({"msp-1": order()}, 5).keys() == {"msp-1"}


def order():
    return Convene(training="0" * 32, epoch=1)


class Slow(Post):
    """Gives each reply at the third look only, after one to a message that nobody sent."""

    looks = 0

    def pull_messages(self, message_ids):
        self.looks += 1
        if self.looks == 1:
            return [next(iter(self._replies.values()))]
        return super().pull_messages(message_ids) if self.looks > 2 else []


@pytest.mark.parametrize(("least_timeout_s", "answers"), [(0.0, 0), (30.0, 1)])
def test_processes_are_given_the_time_to_start(network, least_timeout_s, answers):
    grid = Slow([network.home(name) for name in network.names])
    exchange = exchange_of(network, grid, least_timeout_s=least_timeout_s)
    exchange.connected()
    assert len(exchange.send({"msp-0": order()}, 0.0)) == answers


def test_a_reply_to_nothing_we_sent_is_passed_over(network):
    grid = Slow([network.home("msp-0"), network.home("msp-1")])
    exchange = exchange_of(network, grid)
    exchange.connected()
    stray = Message(wrap(b""), dst_node_id=100, message_type="train")
    grid.push_messages([stray])
    assert exchange.send({"msp-1": order()}, 5).keys() == {"msp-1"}


def asked_at(home, blob=None, run_config=None):
    """Give what the ClientApp answers, as the server reads it."""
    message = Message(wrap(blob or encode(order())), dst_node_id=100, message_type="train")
    message.metadata.__dict__["_message_id"] = message.object_id
    node_config = {} if home is None else {"home": str(home)}
    reply = client_stock.app(message=message, context=context(run_config, **node_config))
    assert not reply.has_error()
    return unwrap(reply)


def refused_for(answer):
    found = decode(answer)
    assert isinstance(found, Refusal)
    return found.cause


def test_a_member_of_no_training_refuses_in_its_own_words(network):
    assert refused_for(asked_at(network.home("msp-0"))) == "order"


def test_the_server_never_chooses_the_home(network):
    assert refused_for(asked_at(None, run_config={"home": str(network.home("msp-0"))})) == "setup"


def test_a_home_in_use_is_left_alone(network):
    with locked(network.home("msp-0")):
        assert refused_for(asked_at(network.home("msp-0"))) == "setup"


@pytest.mark.parametrize("blob", [b"garbage", encode(Refusal(cause="order", lasting=False))])
def test_what_is_no_ask_is_refused(network, blob):
    assert refused_for(asked_at(network.home("msp-0"), blob)) == "setup"


def test_words_of_an_error_stay_with_the_member(network, monkeypatch, tmp_path):
    def fail(*_):
        raise RuntimeError("cell 4711")

    monkeypatch.setattr(client_stock, "respond", fail)
    for home in (network.home("msp-0"), tmp_path / "4711"):
        answer = asked_at(home)
        assert refused_for(answer) == "setup"
        assert b"4711" not in answer


def test_answers_keep_the_members_pace(network, monkeypatch):
    periods = []

    def note(answer, period_s, stopped):
        periods.append(period_s)
        return answer

    monkeypatch.setattr(client_stock, "paced", note)
    asked_at(network.home("msp-0"))
    assert periods == [0.02]


def test_the_app_is_one_that_flower_takes(network, tmp_path):
    keys = write_flower_app(network.server, tmp_path / "app")
    config = tomllib.loads((tmp_path / "app" / "pyproject.toml").read_text())
    assert validate_config(config, project_dir=tmp_path / "app") == (True, [], [])
    assert config["tool"]["flwr"]["app"]["config"] == {"home": str(network.server), "new": False}
    assert [key.stem for key in keys] == network.names
    for key, name in zip(keys, network.names, strict=True):
        assert key.read_text() == Card.read(network.home(name) / "card.json").identity + "\n"
    assert write_flower_app(network.server, tmp_path / "app") == keys


def test_another_projects_folder_is_left_alone(network, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ConfigError, match="another project"):
        write_flower_app(network.server, tmp_path)
    assert (tmp_path / "pyproject.toml").read_text() == "[project]\n"


def test_the_key_for_flower_is_the_members_own(network):
    home = Home(network.home("msp-0"))
    path = write_flower_key(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    assert key.private_numbers() == home.identity.private_numbers()


def test_the_command_for_a_supernode_names_the_home(network):
    home = Home(network.home("msp-0"))
    words = shlex.split(supernode_command(home, write_flower_key(home)))
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "flower-supernode"
    assert options["--superlink"] == f"127.0.0.1:{network.ports['server']}"
    assert parse_config_args([options["--node-config"]]) == {"home": str(home.path)}
    assert Path(options["--root-certificates"]).read_bytes() == ca_of(network)


def ca_of(network):
    return (network.server / "ca.crt").read_bytes()

import json
import threading
import time

import pytest
from conftest import new_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.members import SUFFIX, Members


def card(name, key=None, cap=64):
    return Card.make(name, cap, key or new_key(), X25519PrivateKey.generate())


@pytest.fixture
def members(tmp_path):
    return Members(tmp_path)


def test_nobody_is_registered_at_first(members):
    assert members.cards() == {}


def test_members_are_kept_by_name(members, tmp_path):
    cards = [card(name) for name in ("beta", "alpha")]
    for one in cards:
        members.add(one)
    assert list(members.cards()) == ["alpha", "beta"]
    assert Members(tmp_path).cards() == {one.name: one for one in cards}


def test_a_card_is_replaced_by_a_newer_one(members):
    key = new_key()
    members.add(card("alpha", key))
    members.add(card("alpha", key, cap=256))
    assert members.cards()["alpha"].cap == 256


def test_another_key_under_a_name_is_taken_only_on_purpose(members):
    first, second = card("alpha"), card("alpha")
    members.add(first)
    with pytest.raises(ConfigError, match="--replace"):
        members.add(second)
    assert members.cards() == {"alpha": first}
    members.add(second, replace=True)
    assert members.cards() == {"alpha": second}


def test_one_key_belongs_to_one_member(members):
    key = new_key()
    members.add(card("alpha", key))
    with pytest.raises(ConfigError, match="beta has the same key as alpha"):
        members.add(card("beta", key))
    assert list(members.cards()) == ["alpha"]


def test_a_removed_member_is_gone_and_may_return(members):
    one = card("alpha")
    members.add(one)
    members.remove("alpha")
    assert members.cards() == {}
    members.add(one)
    assert members.cards() == {"alpha": one}


@pytest.mark.parametrize("name", ["beta", "", "../alpha", "alpha/"])
def test_a_name_that_nobody_has_is_refused(members, name):
    members.add(card("alpha"))
    with pytest.raises(ConfigError, match="registered: alpha"):
        members.remove(name)
    assert list(members.cards()) == ["alpha"]


def test_changes_by_another_process_are_followed(members, tmp_path):
    members.add(card("alpha"))
    assert list(members.cards()) == ["alpha"]
    other = Members(tmp_path)
    other.add(card("beta"))
    other.remove("alpha")
    assert list(members.cards()) == ["beta"]


def test_cards_are_read_once_while_nothing_changes(members):
    members.add(card("alpha"))
    assert members.cards() is members.cards()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"])
def test_a_damaged_card_is_named(members, tmp_path, content):
    members.add(card("alpha"))
    path = tmp_path / "members" / f"alpha{SUFFIX}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        members.cards()


def test_a_card_under_another_name_is_refused(members, tmp_path):
    members.add(card("alpha"))
    path = tmp_path / "members" / f"alpha{SUFFIX}"
    path.rename(path.with_name(f"beta{SUFFIX}"))
    with pytest.raises(ConfigError, match="holds the card of alpha"):
        members.cards()


@pytest.mark.parametrize(("field", "value"), [("cap", 65), ("name", "beta"), ("sealing", "AAAA")])
def test_a_card_changed_by_hand_is_refused(members, tmp_path, field, value):
    members.add(card("alpha"))
    path = tmp_path / "members" / f"alpha{SUFFIX}"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ConfigError, match="changed after it was signed"):
        members.cards()


def test_cards_come_and_go_while_they_are_read(members, tmp_path):
    """No reader may take a card that is taken away meanwhile for a mistake."""
    cards, stopped, errors = [card(f"msp-{n}") for n in range(4)], threading.Event(), []

    def read():
        reader = Members(tmp_path)
        while not stopped.is_set():
            try:
                reader.cards()
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for one in cards:
            members.add(one)
        for one in cards:
            members.remove(one.name)
    stopped.set()
    for thread in threads:
        thread.join(10)
    assert errors == []


class Doors:
    """Stands for the SuperLink: notes whom it lets in and out."""

    def __init__(self):
        self.inside = {}

    def register(self, key):
        time.sleep(0.001)
        return self.inside.setdefault(key, len(self.inside) + 1)

    def remove(self, node):
        time.sleep(0.001)
        self.inside = {key: one for key, one in self.inside.items() if one != node}

    def online(self):
        return frozenset(self.inside.values())


def test_the_exchange_follows_the_members(members):
    doors = Doors()
    exchange = FlowerExchange(doors, members)
    alpha, beta = card("alpha"), card("beta")
    for one in (alpha, beta):
        members.add(one)
    assert exchange.members() == {"alpha": alpha.sealing_key, "beta": beta.sealing_key}
    assert exchange.connected() == {"alpha", "beta"}
    members.remove("alpha")
    assert exchange.connected() == {"beta"}
    members.add(card("beta"), replace=True)
    assert exchange.connected() == {"beta"}
    assert list(doors.inside) == [members.cards()["beta"].identity.encode()]


def test_two_threads_may_follow_the_members_at_once(members):
    """The operator's status and the training do."""
    exchange = FlowerExchange(Doors(), members)
    cards, stopped, errors = [card(f"msp-{n}") for n in range(6)], threading.Event(), []

    def follow():
        while not stopped.is_set():
            try:
                exchange.members()
                exchange.connected()
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and not errors:
        for one in cards:
            members.add(one)
        for one in cards:
            members.remove(one.name)
    stopped.set()
    for thread in threads:
        thread.join(10)
    assert errors == []

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_network import FOUNDERS, changed
from test_messages import ACCOUNT, PRESENCE

from mesh_fl.errors import ConfigError, PeerError, ProtocolError
from mesh_fl.peers import REMEMBERED, Peers
from mesh_fl.statements import Account


def word(lines: int, head: str | None = None, by: str = "ash") -> Account:
    return changed(ACCOUNT, by=by, lines=lines, head=head or f"link {lines}")


class TestPeers:
    def test_a_ledger_that_grows_is_believed(self) -> None:
        peers = Peers({})
        for lines in (1, 2, 5, 5, 9):
            peers.note([word(lines)], FOUNDERS.roster)

    def test_a_ledger_that_went_back_names_its_member(self) -> None:
        peers = Peers({})
        peers.note([word(5)], FOUNDERS.roster)
        for lines in (0, 1, 4):
            with pytest.raises(PeerError, match=r"ledger of ash stood at 5 lines .*backup"):
                peers.note([word(lines)], FOUNDERS.roster)

    def test_a_ledger_with_two_ends_names_its_member(self) -> None:
        peers = Peers({})
        peers.note([word(5)], FOUNDERS.roster)
        with pytest.raises(PeerError, match="ledger of ash"):
            peers.note([word(5, "another link")], FOUNDERS.roster)

    def test_an_older_word_may_be_met_again(self) -> None:
        """A presence of the epoch's beginning comes along with its charter at any time."""
        peers = Peers({})
        peers.note([changed(PRESENCE, lines=2, head="two")], FOUNDERS.roster)
        peers.note([word(3), word(4)], FOUNDERS.roster)
        peers.note([changed(PRESENCE, lines=2, head="two")], FOUNDERS.roster)
        with pytest.raises(PeerError):
            peers.note([changed(PRESENCE, lines=2, head="three")], FOUNDERS.roster)

    def test_what_was_noted_survives_a_restart(self) -> None:
        blobs: dict[str, bytes] = {}
        Peers(blobs).note([word(5), word(7, by="elm")], FOUNDERS.roster)
        with pytest.raises(PeerError, match="ledger of elm"):
            Peers(blobs).note([word(6, by="elm")], FOUNDERS.roster)
        Peers(blobs).note([word(5), word(7, by="elm")], FOUNDERS.roster)

    def test_members_do_not_mix(self) -> None:
        peers = Peers({})
        peers.note([word(5), word(2, by="elm"), word(9, by="fir")], FOUNDERS.roster)
        peers.note([word(6), word(3, by="elm"), word(9, by="fir")], FOUNDERS.roster)

    def test_nothing_is_noted_of_statements_that_contradict(self) -> None:
        blobs: dict[str, bytes] = {}
        peers = Peers(blobs)
        peers.note([word(5)], FOUNDERS.roster)
        before = dict(blobs)
        with pytest.raises(PeerError):
            peers.note([word(9, by="elm"), word(4)], FOUNDERS.roster)
        assert blobs == before
        peers.note([word(2, by="elm")], FOUNDERS.roster)

    def test_only_what_is_new_is_written(self) -> None:
        class Counting(dict[str, bytes]):
            writes = 0

            def __setitem__(self, name: str, blob: bytes) -> None:
                self.writes += 1
                super().__setitem__(name, blob)

        blobs = Counting()
        peers = Peers(blobs)
        for _ in range(3):
            peers.note([word(5), word(5, by="elm")], FOUNDERS.roster)
        assert blobs.writes == 1

    def test_a_new_key_is_a_new_ledger(self) -> None:
        """A member that lost its home joins again under another key, with an empty ledger."""
        blobs: dict[str, bytes] = {}
        Peers(blobs).note([word(50)], FOUNDERS.roster)

        class Renewed:
            def key_of(self, name: str) -> bytes:
                return Ed25519PrivateKey.generate().public_key().public_bytes_raw()

        Peers(blobs).note([word(1)], Renewed())  # type: ignore[arg-type]
        with pytest.raises(PeerError):
            Peers(blobs).note([word(1)], FOUNDERS.roster)

    def test_strangers_have_no_ledger(self) -> None:
        with pytest.raises(ProtocolError, match="not on the roster"):
            Peers({}).note([word(1, by="oak")], FOUNDERS.roster)

    def test_the_last_links_are_kept_and_no_more(self) -> None:
        blobs: dict[str, bytes] = {}
        peers = Peers(blobs)
        for lines in range(1, 3 * REMEMBERED + 1):
            peers.note([word(lines)], FOUNDERS.roster)
        peers.note([word(2 * REMEMBERED + 1)], FOUNDERS.roster)
        with pytest.raises(PeerError):
            peers.note([word(2 * REMEMBERED)], FOUNDERS.roster)
        assert len(blobs["peers"]) < 100 * REMEMBERED

    @pytest.mark.parametrize("damage", [b"", b"\xc1", b"nonsense", b"\x93\1\2\3", b"\x80\x80"])
    def test_a_damaged_memory_is_refused_with_a_remedy(self, damage: bytes) -> None:
        with pytest.raises(ConfigError, match="put the file 'peers' of the home back"):
            Peers({"peers": damage})

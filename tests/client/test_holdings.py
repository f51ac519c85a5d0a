"""Records of one table or of several, and what is dealt to whom."""

import numpy as np
import pytest

from mesh_fl.agent import Agent
from mesh_fl.client.caps import Caps
from mesh_fl.client.holdings import find_records, holdings
from mesh_fl.client.settings import ClientSettings
from mesh_fl.errors import AgentError, ConfigError, DataError, PlanError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field
from mesh_fl.site import Gathered

CLIENTS = "client_id,name\nc1,A\nc2,B\nc3,C\n"
TICKETS = "ticket_id,client_id\nt1,c1\nt2,c1\nt3,c2\nt4,c9\n"


class Counting(Agent):
    """Counts a client's tickets."""

    reads = ("clients", "tickets")
    clip = 1.0
    double = False

    @property
    def schema(self):
        return (Field(name="tickets", kind="number"),)

    def gather(self, tables):
        ids = tables["clients"].read(TABLES["clients"].fields, "client_id").table["client_id"]
        tickets = tables["tickets"].read(TABLES["tickets"].fields, "ticket_id").table
        counts = [float((tickets["client_id"] == one).sum()) for one in ids.tolist()]
        names = tuple(ids.tolist()) * (2 if self.double else 1)
        return Gathered(names, {"tickets": np.array(counts * (2 if self.double else 1))})

    def init(self):
        return {"sum": np.zeros(1)}

    def contribute(self, state, data):
        return data["tickets"][:, None]

    def apply(self, state, total):
        return total

    def predict(self, state, data):
        return data["tickets"]


class Borrowing(Counting):
    borrows = "counting"


class Twice(Counting):
    double = True


@pytest.fixture
def settings(tmp_path, monkeypatch):
    (tmp_path / "clients.csv").write_text(CLIENTS)
    (tmp_path / "tickets.csv").write_text(TICKETS)
    kinds = {"counting": Counting, "federation": Borrowing, "twice": Twice}
    monkeypatch.setattr(
        "mesh_fl.client.holdings.build", lambda name, config: kinds.get(name, Counting)()
    )
    monkeypatch.setattr("mesh_fl.client.holdings.config_of", lambda agent: type(agent).__name__)

    def settings(agents, **more):
        tables = {
            name: {"path": tmp_path / f"{name}.csv", "id": f"{name[:-1]}_id"}
            for name in ("clients", "tickets")
        }
        return ClientSettings.model_validate(
            {"name": "a", "server": "h:1", "tables": tables, "agents": agents, **more}
        )

    return settings


BOTH = {"tables": ["clients", "tickets"]}


def dataset(settings, name="counting", kind=Counting, dealt=None):
    return holdings(settings, dealt)[name].dataset(kind())


class TestSeveralTables:
    def test_records_are_made_of_both_and_all_rows_are_parts(self, settings) -> None:
        found = dataset(settings({"counting": BOTH}))
        assert (found.ids, found.table) == (("c1", "c2", "c3"), "clients")
        assert found.data["tickets"].tolist() == [2, 1, 0]
        assert found.parts == {"tickets": ("t1", "t2", "t3", "t4")}

    def test_two_records_of_one_client_are_refused(self, settings) -> None:
        with pytest.raises(DataError, match="two records of one row of table clients"):
            dataset(settings({"twice": BOTH}), "twice", Twice)

    def test_two_rows_of_one_id_are_refused_since_they_may_be_two_clients(
        self, settings, tmp_path
    ) -> None:
        (tmp_path / "tickets.csv").write_text(TICKETS + "t1,c3\n")
        with pytest.raises(DataError, match=r"line 6.*'t1' stands there twice; records are"):
            dataset(settings({"counting": BOTH}))

    def test_the_table_that_keeps_the_budget_must_be_there(self, settings) -> None:
        with pytest.raises(ConfigError, match="expected clients among its tables, found tickets"):
            dataset(settings({"counting": {"tables": ["tickets"]}}))

    def test_records_that_stand_in_no_clients_table_are_left_out(self, settings, tmp_path) -> None:
        class Inventing(Counting):
            def gather(self, tables):
                found = super().gather(tables)
                more = np.append(found.table["tickets"], 9.0)
                return Gathered((*found.ids, "c9"), {"tickets": more})

        found = find_records(Inventing(), "counting", settings({"counting": BOTH}))
        assert found.ids == ("c1", "c2", "c3")
        assert found.table["tickets"].tolist() == [2, 1, 0]

    def test_a_table_that_the_agent_knows_nothing_of_is_refused(self, settings, tmp_path) -> None:
        (tmp_path / "pay.csv").write_text("id\n1\n")
        ours = settings({"counting": {"tables": ["clients", "pay"]}} | {}, tables={
            "clients": {"path": tmp_path / "clients.csv", "id": "client_id"},
            "pay": {"path": tmp_path / "pay.csv", "id": "id"},
        })  # fmt: skip
        with pytest.raises(ConfigError, match="expected tables among clients, tickets, found pay"):
            dataset(ours)

    def test_an_agent_without_gather_says_so(self, settings) -> None:
        class Single(Counting):
            gather = Agent.gather

        with pytest.raises(AgentError, match="reads one table"):
            find_records(Single(), "counting", settings({"counting": BOTH}))

    def test_an_agent_that_may_read_nothing_takes_no_part(self, settings) -> None:
        with pytest.raises(PlanError, match=r"below \[agents.counting\]"):
            dataset(settings({"counting": {}}))

    def test_one_that_borrows_reads_what_the_other_may(self, settings) -> None:
        found = dataset(settings({"counting": BOTH, "federation": {}}), "federation", Borrowing)
        assert found.ids == ("c1", "c2", "c3")
        with pytest.raises(PlanError, match="counting"):
            dataset(settings({"federation": {}}), "federation", Borrowing)


class TestDealing:
    def test_an_agent_gets_its_share_and_may_fit_at_home_to_all(self, settings) -> None:
        ours = settings(
            {"counting": BOTH, "revenue": BOTH}, deal={"clients": ["counting", "revenue"]}
        )
        asked = []

        def dealt(table, ids, agents, agent):
            asked.append((table, agents, agent))
            return np.array([one != "c2" for one in ids])

        found = dataset(ours, dealt=dealt)
        assert asked == [("clients", ("counting", "revenue"), "counting")]
        assert found.ids == ("c1", "c3")
        assert found.data["tickets"].tolist() == [2, 0]
        assert found.at_home["tickets"].tolist() == [2, 1, 0]

    @pytest.mark.parametrize(
        ("deal", "told"),
        [
            ({"clients": ["counting"]}, "two or more agents"),
            ({"clients": ["counting", "counting"]}, "two or more agents"),
            ({"devices": ["counting", "revenue"]}, "a table of ours"),
            ({"clients": ["counting", "health"]}, "health: opt in"),
        ],
    )
    def test_wrong_deals_are_refused(self, settings, deal, told) -> None:
        with pytest.raises(ValueError, match=told):
            settings({"counting": BOTH, "revenue": BOTH}, deal=deal)


class TestSettings:
    @pytest.mark.parametrize(
        ("choice", "told"),
        [
            ({"table": "clients", "tables": ["tickets"]}, "table or tables, found both"),
            ({"tables": ["clients", "clients"]}, "named twice"),
            ({"tables": ["clients", "devices"]}, "reads table 'devices'"),
        ],
    )
    def test_wrong_choices_are_refused(self, settings, choice, told) -> None:
        with pytest.raises(ValueError, match=told):
            settings({"counting": choice})


class TestCaps:
    @pytest.mark.parametrize(
        ("words", "general", "by_agent"),
        [
            (["256"], 256, {}),
            (["health=64", "threat=4096"], 4096, {"health": 64, "threat": 4096}),
            (["health=64", "512"], 512, {"health": 64}),
            (["pkg.mod:Agent = 8"], 8, {"pkg.mod:Agent": 8}),
        ],
    )
    def test_they_are_read(self, words, general, by_agent) -> None:
        assert Caps.read(words) == Caps(general, by_agent)

    @pytest.mark.parametrize(
        "words", [["many"], ["health="], ["=3="], ["1", "2"], ["a=1", "a=2"], ["-1"], ["a=-1"]]
    )
    def test_others_are_refused(self, words) -> None:
        with pytest.raises(ConfigError, match="--cap"):
            Caps.read(words)


@pytest.mark.parametrize("name", ["symlink", "hardlink"])
def test_two_names_of_one_file_are_one_table(tmp_path, name) -> None:
    first, second = tmp_path / "clients.csv", tmp_path / "customers.csv"
    first.write_text(CLIENTS)
    (second.symlink_to if name == "symlink" else second.hardlink_to)(first)
    tables = {path.stem: {"path": path, "id": "client_id"} for path in (first, second)}
    with pytest.raises(ValueError, match="two tables read one file"):
        ClientSettings.model_validate({"name": "a", "server": "h:1", "tables": tables})

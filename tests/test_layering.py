"""Which module may know which: read from the source, so nothing is imported to find out."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mesh_fl

ROOT = Path(mesh_fl.__path__[0])

FLOWER_EDGE = {
    "mesh_fl.flower",
    "mesh_fl.server.superlink",
    "mesh_fl.server.grid",
    "mesh_fl.server.exchange",
    "mesh_fl.server.app",
    "mesh_fl.server.stock",
    "mesh_fl.client.supernode",
    "mesh_fl.client.fleet",
    "mesh_fl.client.app",
    "mesh_fl.client.stock",
    "mesh_fl.simulate.ray_sums",
}
FORECAST = ("mesh_fl.server.forecast", "mesh_fl.simulate.expectation")
FLOWER_INSIDE = {"mesh_fl.server.flower_private", "mesh_fl.client.flower_private"}
FLOWER_PUBLIC = {"flwr.app", "flwr.serverapp", "flwr.clientapp", "flwr.simulation"}


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(file.read_text())


@cache
def modules() -> dict[str, ast.Module]:
    return dict(parsed())


def type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(node: ast.AST, whole: bool) -> Iterator[ast.AST]:
    """All nodes; without `whole` only those that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if whole or not (function or type_checking(child)):
            yield child
            yield from statements(child, whole)


@cache
def imported(name: str, whole: bool = True) -> frozenset[str]:
    """Dotted names that a module imports: `from a import b` counts as a.b where that is one."""
    found: set[str] = set()
    for node in statements(modules()[name], whole):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            source = str(node.module)
            inner = {f"{source}.{alias.name}" for alias in node.names}
            known = inner & modules().keys()
            found |= known | ({source} if len(known) < len(node.names) else set())
    return frozenset(found)


def importers(package: str) -> set[str]:
    return {name for name in modules() if any(within(one, package) for one in imported(name))}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_flower_is_known_at_the_edge_only() -> None:
    assert importers("flwr") == FLOWER_EDGE | FLOWER_INSIDE


def test_private_parts_of_flower_are_known_in_one_file_a_side() -> None:
    used = {one for name in FLOWER_EDGE for one in imported(name) if within(one, "flwr")}
    assert used <= FLOWER_PUBLIC
    assert any(imported(name) - FLOWER_PUBLIC for name in FLOWER_INSIDE)


def test_tenseal_is_known_to_encryption_and_to_what_it_is_compared_with() -> None:
    assert importers("tenseal") == {"mesh_fl.privacy.encryption", "mesh_fl.simulate.flare"}
    assert importers("mesh_fl.simulate.flare") == {"mesh_fl.simulate.cost"}


@pytest.mark.parametrize(
    "package",
    [
        "mesh_fl.round",
        "mesh_fl.training",
        "mesh_fl.member",
        "mesh_fl.messages",
        "mesh_fl.privacy",
        "mesh_fl.server",
        "mesh_fl.client",
        "mesh_fl.simulate",
        "flwr",
        "tenseal",
    ],
)
def test_agents_know_nothing_of_how_they_are_trained(package: str) -> None:
    agents = {name for name in modules() if within(name, "mesh_fl.agents")}
    assert len(agents) > 2
    assert importers(package) & agents == set()


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("mesh_fl.privacy", {"mesh_fl.round", "mesh_fl.member", "mesh_fl.messages"}),
        ("mesh_fl.privacy", {"mesh_fl.server", "mesh_fl.client", "mesh_fl.simulate"}),
        ("mesh_fl.server", {"mesh_fl.client", "mesh_fl.member", "mesh_fl.simulate"}),
        ("mesh_fl.client", {"mesh_fl.server", "mesh_fl.training", "mesh_fl.simulate"}),
        ("mesh_fl.member", {"mesh_fl.server", "mesh_fl.client", "mesh_fl.training"}),
        ("mesh_fl.training", {"mesh_fl.server", "mesh_fl.client", "mesh_fl.member"}),
    ],
)
def test_layers_point_one_way(lower: str, upper: set[str]) -> None:
    inside = [name for name in modules() if within(name, lower)]
    assert inside
    wrong = {
        (name, one)
        for name in inside
        for one in imported(name)
        if any(within(one, package) for package in upper)
    }
    assert wrong == ({FORECAST} if lower == "mesh_fl.server" else set())


def test_a_server_loads_simulations_for_its_forecast_only() -> None:
    """Trials are made of simulations; whoever serves a training needs none of them."""
    module, simulation = FORECAST
    assert simulation not in imported(module, whole=False)
    server = {name for name in modules() if within(name, "mesh_fl.server")}
    assert importers("mesh_fl.simulate") & server == {module}


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: imported(name, whole=False) & modules().keys() for name in modules()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {' → '.join((*path, name))}"
        if name not in done:
            for one in sorted(graph[name]):
                visit(one, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    assert done == graph.keys()


def test_modules_are_named_after_what_they_are() -> None:
    vague = {"utils", "util", "common", "base", "helper", "helpers", "manager", "misc", "tools"}
    assert not [name for name in modules() if vague & set(name.split("."))]


@pytest.mark.parametrize(
    "package", ["pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"]
)
def test_nothing_is_pickled(package: str) -> None:
    assert importers(package) == set()


def test_no_array_is_read_with_pickle_allowed() -> None:
    assert not [
        name for name, tree in modules().items() if "allow_pickle=True" in ast.unparse(tree)
    ]


def test_the_privacy_package_knows_no_other_randomness() -> None:
    for name in (name for name in modules() if within(name, "mesh_fl.privacy")):
        assert "np.random" not in ast.unparse(modules()[name])
        assert not any(
            within(one, "random") or within(one, "numpy.random") for one in imported(name)
        )


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, mesh_fl; print(*{'torch', 'flwr', 'tenseal', 'opacus'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""

"""Frameworks from files: OSCAL catalogs, requirement files with checks, and plain lists."""

from collections.abc import Mapping
from pathlib import Path

from mesh_fl.agents._reading import items, kind, parse_json, read_text, table, text
from mesh_fl.agents.compliance import listed, oscal, requirements
from mesh_fl.agents.compliance.catalogue import Control, Framework, Harvest
from mesh_fl.agents.compliance.identifiers import canonical_id
from mesh_fl.errors import ConfigError

__all__ = ["Control", "Framework", "canonical_id", "read_framework"]

FORMS = (
    "an OSCAL catalog, requirements in Prowler's form, or a list of controls with id, title, text"
)

OTHER_FILES = {
    "mapping_objects": "a mapping of CTID; name it attack_mappings under [agents.compliance.files]",
    "objects": "a STIX bundle; name it attack under [agents.compliance.files], if it is MITRE's",
}
"""What else lies in such folders, by a key that tells it."""


def read_framework(path: Path, name: str = "") -> Framework:
    """Read a framework from a file, by what stands in it.

    Parameters
    ----------
    path : Path
        JSON, TOML or CSV, also packed as .gz.
    name : str
        What to call the framework; by default what the file calls it.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds no control that can be used. Single entries that are
        no good are counted in the framework.
    """
    content = read_text(path)
    suffix = "".join(path.suffixes[-2:]).lower().removesuffix(".gz")
    if suffix.endswith(".csv"):
        return _listed(listed.csv_entries(content, path.name), {}, path, name)
    if suffix.endswith(".toml"):
        document = listed.toml_document(content, path.name)
        return _listed(items(document.get("controls")), document, path, name)
    return _of_json(parse_json(content, path.name), path, name)


def _of_json(document: object, path: Path, name: str) -> Framework:
    if isinstance(document, list):
        return _listed(document, {}, path, name)
    found = table(document)
    if "Requirements" in found:
        return _required(found, path, name)
    if "catalog" in found or any(model in found for model in oscal.OTHER_MODELS):
        return _catalog(found, path, name)
    if "controls" in found:
        return _listed(items(found["controls"]), found, path, name)
    if other := next((OTHER_FILES[key] for key in OTHER_FILES if key in found), ""):
        raise ConfigError(f"{path.name}: expected {FORMS}, found {other}")
    keys = ", ".join(text(key, 30) for key in list(found)[:5]) or kind(document)
    raise ConfigError(f"{path.name}: expected {FORMS}, found {keys}")


def _catalog(document: Mapping[str, object], path: Path, name: str) -> Framework:
    metadata = table(table(document.get("catalog")).get("metadata"))
    harvest = Harvest(name or text(metadata.get("title"), 200) or _stem(path))
    title, version = oscal.controls_of(document, path.name, harvest)
    return harvest.finish(version, _source(path, title, version))


def _required(document: Mapping[str, object], path: Path, name: str) -> Framework:
    title = text(document.get("Name"), 200) or text(document.get("Framework"), 200)
    version = text(document.get("Version"), 40)
    harvest = Harvest(name or title or _stem(path))
    requirements.requirements_of(document, path.name, harvest)
    return harvest.finish(version, _source(path, title, version))


def _listed(
    entries: list[object], document: Mapping[str, object], path: Path, name: str
) -> Framework:
    title, version = text(document.get("name"), 200), text(document.get("version"), 40)
    harvest = Harvest(name or title or _stem(path))
    listed.add_entries(entries, path.name, harvest)
    return harvest.finish(version, _source(path, title, version))


def _source(path: Path, title: str, version: str) -> str:
    told = title if not version or version in title else f"{title} {version}".strip()
    return f"{path.name} ({told})" if told else path.name


def _stem(path: Path) -> str:
    return path.name.split(".")[0]

"""Builds the model of a checkpoint, offline, and refuses one whose weights are partly made up.

Nothing of the folder is handed to transformers but numbers that describe the architecture and
tensors: so there is no path by which it could fetch code, kernels, adapters or other files.
torch, transformers and safetensors are imported when a model is built.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Literal, TypeAlias

from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.text.architectures import ARCHITECTURES, Architecture
from mesh_fl.text.checkpoint_folder import CONFIG, CheckpointFolder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

EXTRA = "pip install 'mesh_fl[checkpoints]'"

Role: TypeAlias = Literal["encoder", "classifier", "phraser"]

_LOADING = threading.Lock()
"""How much transformers says is one setting for all threads."""


def load_model(
    source: CheckpointFolder, role: Role, labels: Sequence[str] = ()
) -> "PreTrainedModel":
    """Build a model in full precision, ready to be asked.

    Parameters
    ----------
    source : CheckpointFolder
        Whose `kind` is in `ARCHITECTURES`.
    role : {"encoder", "classifier", "phraser"}
        Which head it wears.
    labels : sequence of str
        Of a classifier.

    Raises
    ------
    AgentError
        If the checkpoint lacks weights that this role needs, or holds some that never saw training.
    ConfigError
        If a package is missing, a file is corrupt, or config.json and the weights disagree.
    """
    _require_packages()
    architecture = ARCHITECTURES[source.kind]
    tensors = _read_tensors(source)
    config = _config(source, architecture, labels)
    _check_sizes(source, architecture, config, tensors)
    model = _build(source, role, config, tensors)
    _check_trained(source, role, model)
    return model


def _require_packages() -> None:
    try:
        for package in ("safetensors.torch", "torch", "transformers"):
            import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"checkpoints are run by torch and transformers, not installed: {EXTRA} ({error})"
        ) from None


def _read_tensors(source: CheckpointFolder) -> dict[str, "Tensor"]:
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for path in source.weights:
        try:
            tensors |= load_file(path)
        except Exception as error:  # what is raised differs between releases of safetensors
            raise ConfigError(f"{path}: expected safetensors: {error}") from None
    broken = [name for name, t in tensors.items() if not bool(t.isfinite().all())]
    if broken:
        raise ConfigError(f"{source.folder}: expected finite weights, {broken[0]} holds others")
    return tensors


def _config(
    source: CheckpointFolder, architecture: Architecture, labels: Sequence[str]
) -> "PreTrainedConfig":
    import transformers

    known = {name: source.config[name] for name in architecture.settings if name in source.config}
    named = {"id2label": dict(enumerate(labels))} if labels else {}
    try:
        config: PreTrainedConfig = getattr(transformers, architecture.config)(**known, **named)
    except Exception as error:  # wrong types and impossible values, in many ways
        raise ConfigError(f"{source.folder / CONFIG}: {error}") from None
    return config


def _check_sizes(
    source: CheckpointFolder,
    architecture: Architecture,
    config: "PreTrainedConfig",
    tensors: Mapping[str, "Tensor"],
) -> None:
    """Let no number through that the weights do not bear out: a model that big would be built."""
    present = {size for tensor in tensors.values() for size in tensor.shape}
    for names in architecture.sizes:
        wanted = prod(_number(source, config, name) for name in names)
        if wanted not in present:
            raise ConfigError(
                f"{source.folder / CONFIG}: {' times '.join(names)} is {wanted}: expected a size "
                "that one of the weights has, found none"
            )
    limits = dict.fromkeys(architecture.bounded, max(present, default=0))
    limits |= dict.fromkeys(architecture.layers, len(tensors))
    for name, limit in limits.items():
        if not 0 <= (found := _number(source, config, name)) <= limit:
            raise ConfigError(
                f"{source.folder / CONFIG}: {name}: expected at most {limit} with these weights, "
                f"found {found}"
            )


def _number(source: CheckpointFolder, config: "PreTrainedConfig", name: str) -> int:
    found = getattr(config, name, None)
    if type(found) is not int:
        raise ConfigError(
            f"{source.folder / CONFIG}: {name}: expected a whole number, found {str(found)[:80]!r}"
        )
    return found


def _build(
    source: CheckpointFolder,
    role: Role,
    config: "PreTrainedConfig",
    tensors: Mapping[str, "Tensor"],
) -> "PreTrainedModel":
    import torch
    import transformers

    architecture = ARCHITECTURES[source.kind]
    made_by = getattr(transformers, architecture.classes[role])
    try:
        with _quiet():
            model, found = made_by.from_pretrained(
                None,
                config=config,
                state_dict=dict(tensors),
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **({"add_pooling_layer": False} if role in architecture.pooled else {}),
            )
    except Exception as error:  # whatever else can be wrong with somebody's numbers
        raise ConfigError(f"{source.folder}: expected a {architecture.title}: {error}") from None
    _check_found(source, role, found)
    ready: PreTrainedModel = model.eval()
    return ready


def _check_found(
    source: CheckpointFolder, role: Role, found: Mapping[str, Iterable[object]]
) -> None:
    if odd := sorted(found["mismatched_keys"], key=str):
        raise ConfigError(
            f"{source.folder}: the weights have other sizes than {CONFIG} says: {_few(odd)}"
        )
    if missing := sorted(found["missing_keys"], key=str):
        raise AgentError(
            f"{source.folder}: expected a checkpoint trained as a {role}, found none of the "
            f"weights {_few(missing)}: train it for this task first; random ones would be made up"
        )
    deeper = [
        key for key in found["unexpected_keys"] if ".layer." in str(key) or ".block." in str(key)
    ]
    if deeper:
        raise ConfigError(
            f"{source.folder}: the weights hold more layers than {CONFIG} says: {_few(deeper)}"
        )


def _few(names: Sequence[object]) -> str:
    told = ", ".join(str(name) for name in names[:3])
    return told if len(names) <= 3 else f"{told} and {len(names) - 3} more"


def _check_trained(source: CheckpointFolder, role: Role, model: "PreTrainedModel") -> None:
    """Refuse what initialisation left: biases all 0 and norms all 1, as no training keeps them."""
    own = f"{model.base_model_prefix}." if role == "classifier" else ""
    parts: dict[str, list[Tensor]] = {"body": [], "head": []}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parts["body" if name.startswith(own) else "head"].append(parameter)
    for part, vectors in parts.items():
        if vectors and all(bool((vector == vector[0]).all()) for vector in vectors):
            raise AgentError(
                f"{source.folder}: the {part} of this {role} was never trained: all its biases and "
                "norms are as they were made. Train it first"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    # The module's functions have no types.
    talk: ModuleType = import_module("transformers.utils.logging")
    with _LOADING:
        verbosity, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
        talk.set_verbosity(logging.CRITICAL)
        if bars:
            talk.disable_progress_bar()
        try:
            yield
        finally:
            talk.set_verbosity(verbosity)
            if bars:
                talk.enable_progress_bar()

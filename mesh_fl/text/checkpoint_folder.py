"""A folder with somebody's checkpoint: what is in it, found out without running any of it."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mesh_fl.errors import ConfigError

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
MOST_JSON_BYTES = 64 * 2**20
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class CheckpointFolder:
    """The files of a checkpoint.

    Attributes
    ----------
    folder : Path
        Where they lie.
    config : mapping
        config.json.
    weights : tuple of Path
        The safetensors files.
    tokenizer : Path
        tokenizer.json.
    """

    folder: Path
    config: Mapping[str, object]
    weights: tuple[Path, ...]
    tokenizer: Path

    @property
    def kind(self) -> str:
        """Return the `model_type` of config.json."""
        return str(self.config["model_type"])

    @cached_property
    def label(self) -> str:
        """The folder's own name and the hash of its files: other files, other label."""
        own = "".join(c if c.isprintable() else "?" for c in self.folder.resolve().name)
        return f"{own} ({self._digest()})"

    def _digest(self) -> str:
        whole = hashlib.sha256()
        for path in (self.folder / CONFIG, self.tokenizer, *self.weights):
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()[:12]


def read_folder(folder: Path, kinds: Collection[str]) -> CheckpointFolder:
    """Look for a checkpoint of one of some kinds.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` of transformers writes it.
    kinds : collection of str
        Of `model_type` in config.json.

    Raises
    ------
    ConfigError
        If there is no such folder, a file is missing or is no JSON, the model is of another kind,
        or its weights are there only as a pickle.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected the folder of a checkpoint, found none")
    config = read_json(folder / CONFIG)
    _check_kind(folder, config, kinds)
    weights = _weights(folder)
    tokenizer = folder / TOKENIZER
    if not tokenizer.is_file():
        raise ConfigError(
            f"{folder}: expected {TOKENIZER}, found none: write it with transformers, "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    return CheckpointFolder(folder, config, weights, tokenizer)


def read_json(path: Path) -> Mapping[str, object]:
    """Read a JSON object.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no JSON object or longer than `MOST_JSON_BYTES`.
    """
    try:
        if (size := path.stat().st_size) > MOST_JSON_BYTES:
            raise ConfigError(f"{path}: expected at most {MOST_JSON_BYTES} bytes, found {size}")
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected a JSON object: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _check_kind(folder: Path, config: Mapping[str, object], kinds: Collection[str]) -> None:
    if (kind := config.get("model_type")) not in list(kinds):
        raise ConfigError(
            f"{folder / CONFIG}: model_type: expected {' or '.join(kinds)}, "
            f"found {str(kind)[:80]!r}"
        )
    if "quantization_config" in config:
        raise ConfigError(
            f"{folder / CONFIG}: expected plain weights, found quantized ones: save the model in "
            "float32 or float16"
        )


def _weights(folder: Path) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        return _shards(folder)
    if any(file for pattern in PICKLED for file in folder.glob(pattern)):
        raise ConfigError(
            f"{folder}: expected {WEIGHTS}, found weights only as a pickle, which can run code of "
            "others when it is read and is never opened here: where you trust it, convert it with "
            "transformers, model.save_pretrained(folder, safe_serialization=True)"
        )
    raise ConfigError(f"{folder}: expected {WEIGHTS}, found no weights")


def _shards(folder: Path) -> tuple[Path, ...]:
    shards = read_json(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ConfigError(f"{folder / INDEX}: expected a weight_map from tensors to files")
    paths = []
    for name in sorted({str(name) for name in shards.values()}):
        path = folder / name
        if Path(name).name != name or path.suffix != ".safetensors" or not path.is_file():
            raise ConfigError(
                f"{folder / INDEX}: expected safetensors files that lie beside it, found {name!r}"
            )
        paths.append(path)
    return tuple(paths)

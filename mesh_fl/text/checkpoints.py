"""DistilBERT, RoBERTa and FLAN-T5 from a folder that the user has.

Only safetensors are read, never a pickle; nothing is fetched; no code of the folder runs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.text.architectures import ARCHITECTURES
from mesh_fl.text.checkpoint_folder import CONFIG, CheckpointFolder, read_folder
from mesh_fl.text.encoder import MOST_PIECES, Encoder, cut
from mesh_fl.text.minilm import load_tokenizer
from mesh_fl.text.pooling import PooledEncoder
from mesh_fl.text.pretrained import load_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

MOST_PROMPT_PIECES = 512
"""As many word pieces of a prompt are read, as FLAN-T5 was tuned on (Chung et al. 2022)."""

MOST_WORDS = 200
PIECES_A_WORD = 4
"""A word of prose takes fewer; the bound keeps a model that stutters from going on."""

FEWEST_PIECES = 8


class Classifier:
    """Says how likely each label of a text is.

    Parameters
    ----------
    name : str
        The model's type, its folder's name and the hash of its files.
    labels : tuple of str
        In the order of the probabilities.
    tokenizer : Tokenizer
        That cuts at what the model can read.
    model : PreTrainedModel
        With a head for the labels.
    """

    def __init__(
        self,
        name: str,
        labels: tuple[str, ...],
        tokenizer: "Tokenizer",
        model: "PreTrainedModel",
    ) -> None:
        self.name = name
        self.labels = labels
        self._tokenizer = tokenizer
        self._model = model

    def classify(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities of the labels, shape (n, labels); each row has the sum 1.

        Raises
        ------
        DataError
            If a text is empty.

        Guarantee
        ---------
        A row depends on its own text alone: texts are classified one at a time.
        """
        rows = [self._logits(_pieces(self._tokenizer, text)) for text in texts]
        logits = np.array(rows, dtype=np.float64).reshape(len(texts), len(self.labels))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return likely

    def _logits(self, pieces: list[int]) -> NDArray[np.float32]:
        import torch

        ids = torch.tensor([pieces])
        with torch.inference_mode():
            output = self._model(input_ids=ids, attention_mask=torch.ones_like(ids))
        logits: NDArray[np.float32] = output.logits[0].numpy()
        return logits


class Phraser:
    """Continues a prompt, always in the same words.

    Parameters
    ----------
    name : str
        The model's type, its folder's name and the hash of its files.
    tokenizer : Tokenizer
        That cuts a prompt.
    model : PreTrainedModel
        With an encoder and a decoder.
    """

    def __init__(self, name: str, tokenizer: "Tokenizer", model: "PreTrainedModel") -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._model = model

    def phrase(self, prompt: str, most_words: int = 60) -> str:
        """Return the likeliest words, one after the other, on one line; "" if there are none.

        Parameters
        ----------
        prompt : str
            Of which the first 2,000 characters and `MOST_PROMPT_PIECES` word pieces count.
        most_words : int
            At most `MOST_WORDS`; the answer breaks off there.

        Raises
        ------
        DataError
            If the prompt is empty, or `most_words` is out of range.
        """
        if not 1 <= most_words <= MOST_WORDS:
            raise DataError(f"most_words: expected 1 to {MOST_WORDS}, found {most_words}")
        words = self._continued(_pieces(self._tokenizer, prompt), most_words)
        return " ".join(words[:most_words])

    def _continued(self, prompt: list[int], most_words: int) -> list[str]:
        """Decode greedily, by hand: `generate` would heed settings and code of the folder.

        It ends with the piece that shows that the last wanted word is whole.
        """
        import torch

        config = self._model.config
        last, known = int(config.decoder_start_token_id), None
        said: list[int] = []
        words: list[str] = []
        with torch.inference_mode():
            read = self._model.get_encoder()(input_ids=torch.tensor([prompt]))
            while len(said) < PIECES_A_WORD * most_words and len(words) <= most_words:
                output = self._model(
                    encoder_outputs=read,
                    decoder_input_ids=torch.tensor([[last]]),
                    past_key_values=known,
                    use_cache=True,
                )
                last, known = int(output.logits[0, -1].argmax()), output.past_key_values
                if last == config.eos_token_id:
                    break
                said.append(last)
                words = self._tokenizer.decode(said, skip_special_tokens=True).split()
        return words


def load_classifier(folder: Path) -> Classifier:
    """Load a DistilBERT or RoBERTa that was trained to choose one label of several.

    Raises
    ------
    AgentError
        If its head was never trained, as far as its files show: weights are missing, biases are as
        they were made, or the labels have no names.
    ConfigError
        If the folder, a file in it or a package is missing or wrong.
    """
    source = read_folder(folder, ["distilbert", "roberta"])
    labels = _labels(source)
    model = load_model(source, "classifier", labels)
    return Classifier(_name(source), labels, _tokenizer(source, model, MOST_PIECES), model)


def load_phraser(folder: Path) -> Phraser:
    """Load a FLAN-T5, or another T5 that continues prompts.

    Raises
    ------
    AgentError
        If weights are missing or were never trained.
    ConfigError
        If the folder, a file in it or a package is missing or wrong.
    """
    source = read_folder(folder, ["t5"])
    model = load_model(source, "phraser")
    return Phraser(_name(source), _tokenizer(source, model, MOST_PROMPT_PIECES), model)


def load_checkpoint_encoder(folder: Path) -> Encoder:
    """Load the body of a DistilBERT or RoBERTa, whose mean over the word pieces is the vector.

    Raises
    ------
    AgentError
        If weights are missing or were never trained.
    ConfigError
        If the folder, a file in it or a package is missing or wrong.
    """
    source = read_folder(folder, ["distilbert", "roberta"])
    model = load_model(source, "encoder")
    return PooledEncoder(
        f"{_name(source)}, mean pooled", _tokenizer(source, model, MOST_PIECES), model
    )


def _name(source: CheckpointFolder) -> str:
    return f"{ARCHITECTURES[source.kind].title} {source.label}"


def _labels(source: CheckpointFolder) -> tuple[str, ...]:
    """Return the names of the labels.

    transformers writes LABEL_0, LABEL_1 where nobody named them, which it also does for a head that
    it has just made: such an answer would mean nothing, whoever reads it.
    """
    where = f"{source.folder / CONFIG}: id2label"
    if source.config.get("problem_type") not in (None, "single_label_classification"):
        raise ConfigError(
            f"{source.folder / CONFIG}: problem_type: expected single_label_classification, "
            f"found {str(source.config['problem_type'])[:80]!r}"
        )
    named = source.config.get("id2label", {})
    if not isinstance(named, dict) or sorted(named) != sorted(map(str, range(len(named)))):
        raise ConfigError(f'{where}: expected names for "0", "1" and so on')
    labels = tuple(named[str(number)] for number in range(len(named)))
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise ConfigError(f"{where}: expected names that are not empty")
    if all(label == f"LABEL_{number}" for number, label in enumerate(labels)):
        raise AgentError(
            f"{where}: the labels have no names, as with a head that was never trained: if this "
            "one was, name them there"
        )
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ConfigError(f"{where}: expected two labels or more, all different")
    return labels


def _tokenizer(source: CheckpointFolder, model: "PreTrainedModel", most: int) -> "Tokenizer":
    tokenizer = load_tokenizer(source.tokenizer)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= int(model.config.vocab_size):
        raise ConfigError(
            f"{source.tokenizer}: expected the tokenizer of this model, which knows "
            f"{model.config.vocab_size} word pieces, found number {largest}"
        )
    room = min(most, _positions(source, model, most))
    if room < FEWEST_PIECES:
        raise ConfigError(
            f"{source.folder / CONFIG}: expected a model that reads {FEWEST_PIECES} word pieces or "
            f"more, found {room}"
        )
    tokenizer.enable_truncation(room)
    return tokenizer


def _positions(source: CheckpointFolder, model: "PreTrainedModel", unbounded: int) -> int:
    architecture = ARCHITECTURES[source.kind]
    if architecture.positions is None:
        return unbounded
    positions = int(getattr(model.config, architecture.positions))
    skipped = int(model.config.pad_token_id) + 1 if architecture.positions_after_padding else 0
    return positions - skipped


def _pieces(tokenizer: "Tokenizer", text: str) -> list[int]:
    pieces: list[int] = tokenizer.encode(cut(text)).ids if cut(text) else []
    if not pieces:
        raise DataError("expected a text with words in it, found an empty one")
    return pieces

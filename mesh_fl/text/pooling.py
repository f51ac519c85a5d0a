"""An encoder that takes the mean of what a transformer says about each word piece."""

from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.text.encoder import Encoder, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel


class PooledEncoder(Encoder):
    """Encodes one text at a time: in a batch, a row's last bits would depend on the others.

    Parameters
    ----------
    name : str
        As answers tell it.
    tokenizer : Tokenizer
        That cuts at what the model can read.
    model : PreTrainedModel
        Without a head.
    """

    def __init__(self, name: str, tokenizer: "Tokenizer", model: "PreTrainedModel") -> None:
        self.name = name
        self.dimension = int(model.config.hidden_size)
        self._tokenizer = tokenizer
        self._model = model

    def _encode_one(self, text: str) -> Vectors:
        import torch

        pieces = self._tokenizer.encode(text).ids
        if not pieces:
            return np.zeros(self.dimension, dtype=np.float32)
        ids = torch.tensor([pieces])
        with torch.inference_mode():
            hidden = self._model(input_ids=ids, attention_mask=torch.ones_like(ids))[0]
        mean: Vectors = hidden[0].mean(dim=0).numpy()
        return mean

"""all-MiniLM-L6-v2 in full precision, run by torch."""

from mesh_fl.text.checkpoint_folder import read_folder
from mesh_fl.text.minilm import load_tokenizer, model_folder
from mesh_fl.text.pooling import PooledEncoder
from mesh_fl.text.pretrained import load_model


class MiniLmTorch(PooledEncoder):
    """The mean over all word pieces, of unit length: as the model was tuned.

    Raises
    ------
    ConfigError
        If a package is missing.
    """

    def __init__(self) -> None:
        source = read_folder(model_folder(), ["bert"])
        tokenizer = load_tokenizer(source.tokenizer)
        super().__init__(
            "all-MiniLM-L6-v2, float32 torch", tokenizer, load_model(source, "encoder")
        )

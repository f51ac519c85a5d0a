"""Which models of transformers are run here, and which of their numbers are read."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One kind of model.

    Attributes
    ----------
    title : str
        As answers tell it.
    config : str
        Its configuration's class in transformers.
    classes : mapping
        From a role to its class in transformers.
    settings : tuple of str
        What is read of config.json; the rest is ignored, since some of it would fetch code.
    sizes : tuple of tuple of str
        Settings whose product is a dimension of a weight.
    layers : tuple of str
        Settings that count layers, of which each has weights.
    bounded : tuple of str
        Settings that are no larger than the largest dimension.
    pooled : tuple of str
        Roles whose class would add a layer that pools.
    positions : str or None
        The setting that bounds the length of a text.
    positions_after_padding : bool
        Whether positions are counted from the padding's id.
    """

    title: str
    config: str
    classes: Mapping[str, str]
    settings: tuple[str, ...]
    sizes: tuple[tuple[str, ...], ...]
    layers: tuple[str, ...]
    bounded: tuple[str, ...]
    pooled: tuple[str, ...] = ()
    positions: str | None = "max_position_embeddings"
    positions_after_padding: bool = False


_BERT_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_BERT_BOUNDED = ("num_attention_heads", "pad_token_id")
_BERT = (*_BERT_SIZES, *_BERT_BOUNDED, "num_hidden_layers", "hidden_act", "layer_norm_eps")

_DISTILBERT_SIZES = ("vocab_size", "dim", "hidden_dim", "max_position_embeddings")
_DISTILBERT_BOUNDED = ("n_heads", "pad_token_id")

_T5_SIZES = ("vocab_size", "d_model", "d_ff", "relative_attention_num_buckets")
_T5_LAYERS = ("num_layers", "num_decoder_layers")
_T5_BOUNDED = (
    "num_heads",
    "d_kv",
    "pad_token_id",
    "eos_token_id",
    "decoder_start_token_id",
)
_T5_FORM = (
    "relative_attention_max_distance",
    "layer_norm_epsilon",
    "feed_forward_proj",
    "tie_word_embeddings",
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(
        title="BERT",
        config="BertConfig",
        classes={"encoder": "BertModel"},
        settings=_BERT,
        sizes=tuple((name,) for name in _BERT_SIZES),
        layers=("num_hidden_layers",),
        bounded=_BERT_BOUNDED,
        pooled=("encoder",),
    ),
    "distilbert": Architecture(
        title="DistilBERT",
        config="DistilBertConfig",
        classes={
            "encoder": "DistilBertModel",
            "classifier": "DistilBertForSequenceClassification",
        },
        settings=(*_DISTILBERT_SIZES, *_DISTILBERT_BOUNDED, "n_layers", "activation"),
        sizes=tuple((name,) for name in _DISTILBERT_SIZES),
        layers=("n_layers",),
        bounded=_DISTILBERT_BOUNDED,
    ),
    "roberta": Architecture(
        title="RoBERTa",
        config="RobertaConfig",
        classes={"encoder": "RobertaModel", "classifier": "RobertaForSequenceClassification"},
        settings=_BERT,
        sizes=tuple((name,) for name in _BERT_SIZES),
        layers=("num_hidden_layers",),
        bounded=_BERT_BOUNDED,
        pooled=("encoder",),
        positions_after_padding=True,
    ),
    "t5": Architecture(
        title="T5",
        config="T5Config",
        classes={"phraser": "T5ForConditionalGeneration"},
        settings=(*_T5_SIZES, *_T5_LAYERS, *_T5_BOUNDED, *_T5_FORM),
        sizes=(*((name,) for name in _T5_SIZES), ("num_heads", "d_kv")),
        layers=_T5_LAYERS,
        bounded=_T5_BOUNDED,
        positions=None,
    ),
}
"""By `model_type` of config.json."""

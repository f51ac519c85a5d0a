import json
import logging
import os
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mesh_fl.errors import AgentError, ConfigError, DataError, MeshError
from mesh_fl.text.checkpoints import (
    PIECES_A_WORD,
    load_checkpoint_encoder,
    load_classifier,
    load_phraser,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

WORDS = ["printer", "offline", "vpn", "drops", "refund", "please", "thanks", "late", "angry"]
VOCABULARY = ["<pad>", "</s>", "<unk>", "[CLS]", *WORDS]
LABELS = {0: "calm", 1: "annoyed", 2: "furious"}
TEXTS = [
    "printer offline please",
    "vpn drops",
    "angry angry refund late",
    "unknown words",
    "thanks",
]

Load = Callable[[Path], object]
LOADERS: dict[str, Load] = {
    "distilbert": load_classifier,
    "roberta": load_classifier,
    "t5": load_phraser,
}


@pytest.fixture(autouse=True)
def calls_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    calls: list[object] = []

    def refuse(*details: object, **_: object) -> None:
        calls.append(details)
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert calls == []


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small would only wait for a second one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_tokenizer(folder: Path, kind: str, vocabulary: list[str] = VOCABULARY) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(
        WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "[CLS]"])
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="$A </s>" if kind == "t5" else "[CLS] $A </s>",
        special_tokens=[("[CLS]", 3), ("</s>", 1)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def built(kind: str) -> "PreTrainedModel":
    """A model with small random weights, as a class of transformers makes it."""
    import torch
    import transformers

    torch.manual_seed(7)
    shape = {"vocab_size": len(VOCABULARY), "pad_token_id": 0}
    if kind == "t5":
        heads = {"num_heads": 2, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 2}
        t5 = transformers.T5Config(
            d_model=16,
            d_ff=24,
            relative_attention_num_buckets=6,
            decoder_start_token_id=0,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            **heads,
            **shape,
        )
        return transformers.T5ForConditionalGeneration(t5)
    if kind == "roberta":
        roberta = transformers.RobertaConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=20,
            type_vocab_size=1,
            id2label=LABELS,
            **shape,
        )
        return transformers.RobertaForSequenceClassification(roberta)
    distilbert = transformers.DistilBertConfig(
        dim=16,
        hidden_dim=24,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=20,
        id2label=LABELS,
        **shape,
    )
    return transformers.DistilBertForSequenceClassification(distilbert)


def trained(kind: str, only: str = "") -> "PreTrainedModel":
    """Move every weight, or those whose names hold `only`, as training would."""
    import torch

    model = built(kind)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if only in name:
                weight.add_(0.3 * torch.randn_like(weight))
    return model


def saved(model: "PreTrainedModel", folder: Path, kind: str, **how: str) -> Path:
    model.save_pretrained(folder, **how)
    write_tokenizer(folder, kind)
    return folder


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        kind: saved(trained(kind), tmp_path_factory.mktemp(f"own-{kind}"), kind) for kind in LOADERS
    }


@pytest.fixture
def copy(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copytree(originals[kind], tmp_path / f"my-{kind}"))


def configure(folder: Path, **changes: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def weights_of(folder: Path) -> dict[str, "torch.Tensor"]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def put_weights(folder: Path, weights: dict[str, "torch.Tensor"]) -> Path:
    from safetensors.torch import save_file

    save_file(weights, folder / "model.safetensors")
    return folder


def ids_of(folder: Path, text: str) -> "torch.Tensor":
    import torch
    from tokenizers import Tokenizer

    return torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids])


# What is loaded is what was saved.


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_probabilities_are_those_of_the_saved_model(kind: str, originals: dict[str, Path]) -> None:
    import torch

    classifier = load_classifier(originals[kind])
    likely = classifier.classify(TEXTS)
    assert classifier.labels == ("calm", "annoyed", "furious")
    assert likely.shape == (5, 3)
    assert np.allclose(likely.sum(axis=1), 1)
    model = trained(kind).eval()
    for row, text in zip(likely, TEXTS, strict=True):
        with torch.no_grad():
            expected = model(input_ids=ids_of(originals[kind], text)).logits.softmax(-1)[0]
        assert np.allclose(row, expected.numpy(), atol=1e-6)
    assert np.ptp(likely, axis=0).max() > 0.01, "the texts do not matter"


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_vectors_are_the_mean_of_the_saved_models_last_layer(
    kind: str, originals: dict[str, Path]
) -> None:
    import torch

    encoder = load_checkpoint_encoder(originals[kind])
    rows = encoder.encode([*TEXTS, ""])
    assert encoder.dimension == 16
    assert rows.shape == (6, 16)
    assert not rows[-1].any()
    body = getattr(trained(kind).eval(), kind)
    for row, text in zip(rows, TEXTS, strict=False):
        with torch.no_grad():
            mean = body(input_ids=ids_of(originals[kind], text))[0][0].mean(dim=0)
        assert np.allclose(row, (mean / mean.norm()).numpy(), atol=1e-6)


def greedy(model: "PreTrainedModel", prompt: "torch.Tensor", most: int) -> list[int]:
    """The likeliest next piece, found with the whole answer read anew for each."""
    import torch

    said = [0]
    with torch.no_grad():
        while len(said) <= most and said[-1] != 1:
            logits = model(input_ids=prompt, decoder_input_ids=torch.tensor([said])).logits
            said.append(int(logits[0, -1].argmax()))
    return said[1:]


def test_words_are_those_of_the_saved_model(originals: dict[str, Path]) -> None:
    phraser = load_phraser(originals["t5"])
    model = trained("t5").eval()
    phrases = set()
    for prompt in TEXTS:
        pieces = greedy(model, ids_of(originals["t5"], prompt), PIECES_A_WORD * 6)
        expected = [VOCABULARY[place] for place in pieces if place not in (0, 1, 3)]
        phrases.add(phraser.phrase(prompt, 6))
        assert phraser.phrase(prompt, 6).split() == expected[:6]
    assert len(phrases) > 1, "the prompts do not matter"


def test_the_head_of_a_t5_is_its_own(copy: Callable[[str], Path]) -> None:
    folder = copy("t5")
    weights = weights_of(folder)
    before = load_phraser(folder)
    head = -weights["shared.weight"].clone()
    put_weights(folder, {**weights, "lm_head.weight": head})
    after = load_phraser(folder)
    assert np.array_equal(after._model.get_output_embeddings().weight.detach(), head)
    assert [after.phrase(text, 5) for text in TEXTS] != [before.phrase(text, 5) for text in TEXTS]


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_a_row_has_the_same_bits_alone_and_among_others(
    kind: str, originals: dict[str, Path]
) -> None:
    classifier = load_classifier(originals[kind])
    encoder = load_checkpoint_encoder(originals[kind])
    alone = np.concatenate([classifier.classify([text]) for text in TEXTS])
    assert np.array_equal(classifier.classify(TEXTS[::-1]), alone[::-1])
    rows = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.array_equal(encoder.encode(TEXTS[::-1]), rows[::-1])


@pytest.mark.parametrize("kind", list(LOADERS))
def test_weights_in_several_files_and_in_half_precision(
    kind: str, originals: dict[str, Path], tmp_path: Path
) -> None:
    shards = saved(trained(kind), tmp_path / "shards", kind, max_shard_size="5KB")
    assert len(list(shards.glob("*.safetensors"))) > 1
    half = saved(trained(kind).half(), tmp_path / "half", kind)
    if kind == "t5":
        expected = load_phraser(originals[kind]).phrase(TEXTS[0], 5)
        assert load_phraser(shards).phrase(TEXTS[0], 5) == expected
        assert load_phraser(half).phrase(TEXTS[0], 5)
    else:
        likely = load_classifier(originals[kind]).classify(TEXTS)
        # Weights lie elsewhere in memory, which kernels may sum in another order.
        assert np.allclose(load_classifier(shards).classify(TEXTS), likely, atol=1e-6)
        assert np.allclose(load_classifier(half).classify(TEXTS), likely, atol=0.01)


def test_a_name_tells_type_folder_and_files(copy: Callable[[str], Path]) -> None:
    folder = copy("roberta")
    first = load_classifier(folder).name
    assert first.startswith("RoBERTa my-roberta (")
    assert load_checkpoint_encoder(folder).name == f"{first}, mean pooled"
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    second = load_classifier(folder).name
    put_weights(folder, {name: weight * 1.01 for name, weight in weights_of(folder).items()})
    assert len({first, second, load_classifier(folder).name}) == 3


# Texts and prompts.


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_long_and_hostile_texts_are_classified(kind: str, originals: dict[str, Path]) -> None:
    classifier = load_classifier(originals[kind])
    texts = ["printer " * 100_000, "\x00", "\ud800", "[CLS] </s> <pad>", "a" * 1_000_000]
    assert np.allclose(classifier.classify(texts).sum(axis=1), 1)
    assert classifier.classify([]).shape == (0, 3)
    long, longer = classifier.classify(["vpn " * 40, "vpn " * 50])
    assert np.array_equal(long, longer)


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_an_empty_text_is_not_classified_or_continued(
    text: str, originals: dict[str, Path]
) -> None:
    with pytest.raises(DataError, match="found an empty one"):
        load_classifier(originals["distilbert"]).classify(["vpn drops", text])
    with pytest.raises(DataError, match="found an empty one"):
        load_phraser(originals["t5"]).phrase(text)


def test_an_answer_is_bounded_and_on_one_line(originals: dict[str, Path]) -> None:
    phraser = load_phraser(originals["t5"])
    for most_words in (1, 3, 200):
        phrase = phraser.phrase("printer " * 100_000, most_words)
        assert len(phrase.split()) <= most_words
        assert "\n" not in phrase
    for most_words in (0, -1, 201):
        with pytest.raises(DataError, match="most_words: expected 1 to 200"):
            phraser.phrase("vpn drops", most_words)


# A head that was never trained answers nothing.


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_a_body_without_a_head_is_refused_as_classifier(kind: str, tmp_path: Path) -> None:
    folder = saved(getattr(trained(kind), kind), tmp_path / "body", kind)
    with pytest.raises(AgentError, match="trained as a classifier, found none of the weights"):
        load_classifier(configure(folder, id2label={"0": "calm", "1": "angry"}))
    with pytest.raises(AgentError, match="the labels have no names"):
        load_classifier(configure(folder, id2label={"0": "LABEL_0", "1": "LABEL_1"}))
    assert load_checkpoint_encoder(folder).encode(["vpn drops"]).any()


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_a_fresh_head_that_was_saved_is_refused(kind: str, tmp_path: Path) -> None:
    folder = saved(trained(kind, only=f"{kind}."), tmp_path / "fresh", kind)
    with pytest.raises(AgentError, match="the head of this classifier was never trained"):
        load_classifier(folder)
    assert load_checkpoint_encoder(folder).encode(["vpn drops"]).any()


@pytest.mark.parametrize("kind", list(LOADERS))
def test_a_fresh_model_is_refused(kind: str, tmp_path: Path) -> None:
    folder = saved(built(kind), tmp_path / "fresh", kind)
    with pytest.raises(AgentError, match="was never trained"):
        LOADERS[kind](folder)
    if kind != "t5":
        with pytest.raises(AgentError, match="the body of this encoder was never trained"):
            load_checkpoint_encoder(folder)


@pytest.mark.parametrize("kind", list(LOADERS))
def test_a_checkpoint_that_lacks_weights_is_refused(kind: str, copy: Callable[[str], Path]) -> None:
    folder = copy(kind)
    weights = weights_of(folder)
    for missing in [name for name in weights if "position_ids" not in name][::5]:
        put_weights(folder, {name: one for name, one in weights.items() if name != missing})
        with pytest.raises(MeshError, match=r"found none of the weights|expected a size"):
            LOADERS[kind](folder)


@pytest.mark.parametrize(
    ("labels", "error", "told"),
    [
        ({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, AgentError, "have no names"),
        ({}, AgentError, "have no names"),
        ({"0": "calm"}, ConfigError, "two labels or more"),
        ({"0": "calm", "1": "calm", "2": "angry"}, ConfigError, "all different"),
        ({"0": "calm", "1": " ", "2": "angry"}, ConfigError, "not empty"),
        ({"0": "calm", "1": 3, "2": "angry"}, ConfigError, "not empty"),
        ({"0": "calm", "2": "angry"}, ConfigError, '"0", "1" and so on'),
        ({"calm": "0", "angry": "1"}, ConfigError, '"0", "1" and so on'),
        (["calm", "angry", "furious"], ConfigError, '"0", "1" and so on'),
        (None, ConfigError, '"0", "1" and so on'),
        ({"0": "calm", "1": "angry"}, ConfigError, "other sizes than config.json says"),
        ({str(n): f"l{n}" for n in range(9)}, ConfigError, "other sizes than config.json says"),
    ],
)
def test_labels_have_names(
    copy: Callable[[str], Path], labels: object, error: type[MeshError], told: str
) -> None:
    with pytest.raises(error, match=told):
        load_classifier(configure(copy("distilbert"), id2label=labels))


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification", 7])
def test_a_head_for_another_problem_is_refused(copy: Callable[[str], Path], kind: object) -> None:
    with pytest.raises(ConfigError, match="problem_type: expected single_label_classification"):
        load_classifier(configure(copy("roberta"), problem_type=kind))


# Folders that cannot be used.


def test_no_folder_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ConfigError, match="expected the folder of a checkpoint, found none"):
            load_classifier(folder)
    with pytest.raises(ConfigError, match=r"config\.json: expected a JSON object"):
        load_phraser(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"7", b"\xff\xfe\x00", b'{"model_type": "t5"', b"[" * 200_000, b"9" * 10_000],
)
def test_a_config_that_is_no_json_object(copy: Callable[[str], Path], content: bytes) -> None:
    folder = copy("t5")
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json: expected a JSON object"):
        load_phraser(folder)


@pytest.mark.parametrize(
    ("kind", "load", "found"),
    [
        ("t5", load_classifier, "t5"),
        ("roberta", load_phraser, "roberta"),
        ("t5", load_checkpoint_encoder, "t5"),
    ],
)
def test_another_architecture_is_refused(
    originals: dict[str, Path], kind: str, load: Load, found: str
) -> None:
    with pytest.raises(ConfigError, match=f"model_type: expected .* found '{found}'"):
        load(originals[kind])


@pytest.mark.parametrize("kind", ["bert", "mt5", "", None, ["t5"], {"t5": 1}, "t5" * 10_000])
def test_an_unknown_architecture_is_refused(copy: Callable[[str], Path], kind: object) -> None:
    with pytest.raises(ConfigError, match="model_type: expected t5, found") as caught:
        load_phraser(configure(copy("t5"), model_type=kind))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", list(LOADERS))
def test_weights_of_another_architecture_are_refused(
    kind: str, copy: Callable[[str], Path], originals: dict[str, Path]
) -> None:
    folder = copy(kind)
    other = {"distilbert": "roberta", "roberta": "t5", "t5": "distilbert"}[kind]
    shutil.copy(originals[other] / "model.safetensors", folder)
    with pytest.raises(MeshError, match="expected"):
        LOADERS[kind](folder)


SIZES = {
    "distilbert": ["vocab_size", "dim", "hidden_dim", "n_layers", "n_heads"],
    "roberta": ["max_position_embeddings", "num_hidden_layers", "type_vocab_size", "pad_token_id"],
    "t5": ["d_kv", "num_heads", "num_layers", "d_ff", "eos_token_id", "decoder_start_token_id"],
}


@pytest.mark.parametrize("value", [10**9, 10**30, -1, 1.5, "16", [16]])
@pytest.mark.parametrize(
    ("kind", "name"), [(k, name) for k, names in SIZES.items() for name in names]
)
def test_numbers_that_the_weights_do_not_bear_out_are_refused(
    copy: Callable[[str], Path], kind: str, name: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        LOADERS[kind](configure(copy(kind), **{name: value}))


@pytest.mark.parametrize("kind", list(LOADERS))
def test_fewer_or_more_layers_than_the_weights_hold(kind: str, copy: Callable[[str], Path]) -> None:
    folder = copy(kind)
    name = {"distilbert": "n_layers", "roberta": "num_hidden_layers", "t5": "num_layers"}[kind]
    with pytest.raises(ConfigError, match="hold more layers than"):
        LOADERS[kind](configure(folder, **{name: 1}))
    with pytest.raises(AgentError, match="found none of the weights"):
        LOADERS[kind](configure(folder, **{name: 3}))


@pytest.mark.parametrize("damage", ["empty", "junk", "cut", "header", "not finite"])
def test_corrupt_weights_are_refused(copy: Callable[[str], Path], damage: str) -> None:
    folder = copy("distilbert")
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    if damage == "not finite":
        weights = weights_of(folder)
        weights["classifier.weight"][0, 0] = float("nan")
        put_weights(folder, weights)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "junk": b"junk" * 1000,
                "cut": whole[:-100],
                "header": b"\xff" * 8 + whole[8:],
            }[damage]
        )
    with pytest.raises(ConfigError, match=r"expected safetensors|expected finite weights"):
        load_classifier(folder)


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "gone.safetensors", "a.bin", ""]
)
def test_an_index_may_name_only_files_beside_it(copy: Callable[[str], Path], name: str) -> None:
    folder = copy("distilbert")
    shutil.move(folder / "model.safetensors", folder.parent / "model.safetensors")
    (folder / "a.bin").touch()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"classifier.weight": name}}))
    with pytest.raises(ConfigError, match="expected safetensors files that lie beside it"):
        load_classifier(folder)
    index.write_text(json.dumps({"weight_map": []}))
    with pytest.raises(ConfigError, match="expected a weight_map"):
        load_classifier(folder)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "adapter.bin", "training_args.bin"]
)
def test_a_pickle_is_never_opened(copy: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    folder = copy("distilbert")
    sprung = tmp_path / "sprung"
    (folder / name).write_bytes(pickle.dumps(Trap(sprung)))
    assert load_classifier(folder).classify(["vpn drops"]).shape == (1, 3)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"only as a pickle.*safe_serialization=True"):
        load_classifier(folder)
    assert not sprung.exists()
    pickle.loads((folder / name).read_bytes())
    assert sprung.exists(), "the trap does not work"


def test_no_weights_at_all(copy: Callable[[str], Path]) -> None:
    folder = copy("t5")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"expected model\.safetensors, found no weights"):
        load_phraser(folder)


def test_a_missing_or_foreign_tokenizer_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("distilbert")
    write_tokenizer(folder, "distilbert", [*VOCABULARY, "too", "many"])
    with pytest.raises(ConfigError, match="knows 13 word pieces, found number 14"):
        load_classifier(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="expected a tokenizer"):
        load_classifier(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"expected tokenizer\.json, found none: write it"):
        load_classifier(folder)


def test_quantized_weights_are_refused(copy: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match="expected plain weights, found quantized ones"):
        load_phraser(configure(copy("t5"), quantization_config={"load_in_8bit": True}))


def test_settings_that_fetch_or_run_code_are_ignored(
    copy: Callable[[str], Path], originals: dict[str, Path]
) -> None:
    folder = configure(
        copy("distilbert"),
        auto_map={"AutoModelForSequenceClassification": "evil/repo--code.Evil"},
        attn_implementation="evil/kernel",
        _attn_implementation="evil/kernel",
        transformers_weights="/etc/passwd",
        fusion_config={"patch_embeddings": True},
        torch_dtype="float16",
        num_labels=10**9,
        sinusoidal_pos_embds=True,
    )
    (folder / "code.py").write_text("raise SystemExit")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/repo"}')
    (folder / "generation_config.json").write_text('{"do_sample": true}')
    expected = load_classifier(originals["distilbert"]).classify(TEXTS)
    assert np.array_equal(load_classifier(folder).classify(TEXTS), expected)


# Manners.


@pytest.fixture
def chatter() -> Iterator[list[str]]:
    """What transformers logs, at its chattiest."""
    from transformers.utils import logging as talk

    told: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Listening()
    before = talk.get_verbosity()
    talk.set_verbosity_info()
    talk.enable_progress_bar()
    talk.add_handler(handler)
    yield told
    talk.remove_handler(handler)
    talk.set_verbosity(before)


def test_nothing_is_printed_and_nothing_stays_changed(
    originals: dict[str, Path],
    tmp_path: Path,
    chatter: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    from transformers.utils import logging as talk

    body = saved(trained("roberta").roberta, tmp_path / "body", "roberta")
    configure(body, id2label={"0": "calm", "1": "angry"})
    before = dict(os.environ)
    chatter.clear()
    capfd.readouterr()
    load_classifier(originals["roberta"]).classify(TEXTS)
    load_phraser(originals["t5"]).phrase("vpn drops", 2)
    with pytest.raises(AgentError):
        load_classifier(body)
    assert chatter == []
    assert capfd.readouterr() == ("", "")
    assert talk.get_verbosity() == talk.INFO
    assert talk.is_progress_bar_enabled()
    assert dict(os.environ) == before


@pytest.mark.parametrize("package", ["torch", "transformers", "safetensors.torch"])
def test_a_missing_package_is_named(
    originals: dict[str, Path], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[checkpoints\]'"):
        load_phraser(originals["t5"])

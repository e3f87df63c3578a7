"""The small CLIP: one space for cells and images, its own vocabulary in its own file, and it learns in seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.errors import CheckpointError, ConfigError, DataError, UsageError
from veritrain.losses.contrast import contrast_terms, equal_rows, matches
from veritrain.metrics.retrieval import relevance, retrieval_scores
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import CARD, SmallClip, load_small_clip, small_clip

CAPTIONS = ["a red square", "a green square", "a blue square", "two red squares", "an empty field"]
TINY = SmallClipOptions(width=8, embed_dim=16, text_width=16, text_layers=1, heads=2, context_length=12)


def network(options: SmallClipOptions = TINY, seed: int = 0) -> SmallClip:
    torch.manual_seed(seed)
    return SmallClip(options, CaptionTokens.learn(CAPTIONS))


def with_equal_weights(tower: torch.nn.Module) -> None:
    for layer in (tower.pool.query, tower.pool.key):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_with_equal_weights_an_image_is_the_mean_of_its_cells(pooling):
    tower = network(SmallClipOptions(width=8, heads=2, pooling=pooling)).image.eval()
    if pooling == "attention":
        with_equal_weights(tower)
    found = tower(torch.rand(2, 3, 96, 64) * 2 - 1)
    assert found.dense.shape == (2, 128, 3, 2)
    assert torch.allclose(found.dense.mean((2, 3)), found.embedding, atol=1e-5)


@torch.no_grad()
def test_attention_is_that_of_torch_with_the_mean_cell_as_query():
    tower = network(SmallClipOptions(width=8, heads=4)).image.eval()
    pool, width = tower.pool, 64
    cells = torch.randn(2, 6, width)
    reference = torch.nn.MultiheadAttention(width, 4, batch_first=True)
    reference.in_proj_weight.copy_(torch.cat([pool.query.weight, pool.key.weight, pool.value.weight]))
    reference.in_proj_bias.copy_(torch.cat([pool.query.bias, pool.key.bias, pool.value.bias]))
    reference.out_proj.weight.copy_(torch.eye(width))
    reference.out_proj.bias.zero_()
    values, weights = pool(cells)
    wanted, _ = reference(cells.mean(1, keepdim=True), cells, cells)
    assert torch.allclose((weights * values).sum(1).flatten(1), wanted[:, 0], atol=1e-5)
    assert torch.allclose(weights.sum(1), torch.ones(2, 4, 1))


@torch.no_grad()
def test_maps_have_the_strides_and_channels_that_the_tower_names():
    tower = network().image
    found = tower(torch.rand(1, 3, 128, 160) * 2 - 1)
    assert [tuple(one.shape[1:]) for one in found.maps] == [(16, 16, 20), (32, 8, 10), (64, 4, 5)]
    assert tower.channels == (16, 32, 64) and tower.strides == (8, 16, 32)
    with pytest.raises(DataError, match="16 x 64"):
        tower(torch.zeros(1, 3, 16, 64))


@torch.no_grad()
def test_a_text_is_read_up_to_its_end_and_pads_change_nothing():
    text = network().text.eval()
    tokens = text.tokens(["a red square", "two red squares"])
    assert torch.allclose(text(tokens), text(tokens[:, :6]), atol=1e-6)
    assert not torch.allclose(text(tokens)[0], text(tokens)[1], atol=1e-4)
    with pytest.raises(UsageError, match="at most 12 tokens"):
        text.tokens(["a red square " * 5])
    assert text.tokens(["a red square " * 5], cut=True)[0, -1] == 2


def test_a_file_brings_shape_vocabulary_and_weights(tmp_path):
    source = network(SmallClipOptions(width=8, heads=2, pooling="mean", text_layers=3), seed=4)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    found = load_small_clip(tmp_path / "model.safetensors")
    assert found.options == source.options and found.vocabulary == source.vocabulary
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in found.state_dict().items())
    batch = {"image": torch.rand(2, 3, 64, 64) * 2 - 1, "tokens": source.text.tokens(CAPTIONS[:2])}
    for one in (source, found):
        one.eval()
    with torch.no_grad():
        assert torch.equal(source(batch)["text"], found(batch)["text"])


def test_another_vocabulary_does_not_load_into_this_network():
    state = network().state_dict()
    other = SmallClip(TINY, CaptionTokens.learn([*CAPTIONS, "a harbor"]))
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda state: state.pop(CARD), "no card among the tensors"),
        (lambda state: state.update({CARD: torch.tensor(list(b"{torn"), dtype=torch.uint8)}), "cannot be read"),
        (
            lambda state: state.update(
                {CARD: torch.tensor(list(json.dumps({"options": {"wide": 3}}).encode()), dtype=torch.uint8)}
            ),
            "cannot be read",
        ),
        (lambda state: state.pop("image.projection.bias"), "1 missing: image.projection.bias"),
        (lambda state: state["text.norm.weight"].fill_(float("inf")), "1 with NaN or infinity"),
    ],
)
def test_a_file_that_is_torn_is_refused(tmp_path, spoil, told):
    state = {name: value.clone() for name, value in network().state_dict().items()}
    spoil(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=told):
        load_small_clip(tmp_path / "model.safetensors")


def test_shapes_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="heads 3 does not divide"):
        SmallClipOptions(heads=3)
    with pytest.raises(ConfigError, match="context_length is too small"):
        SmallClipOptions(context_length=2)
    with pytest.raises(ConfigError, match="no pooling 'max'"):
        SmallClipOptions(pooling="max")


def test_frozen_statistics_move_only_while_it_is_trained_from_scratch():
    tower = network().image
    running = [name for name in tower.state_dict() if "running" in name]
    for how, moves in ((None, True), ("trainable", False), ("frozen", False)):
        if how is not None:
            tower.tune(how)
        before = {name: tower.state_dict()[name].clone() for name in running}
        tower.train()
        tower(torch.rand(4, 3, 64, 64) * 2 - 1)
        assert any(not torch.equal(before[name], tower.state_dict()[name]) for name in running) is moves
    assert not any(one.requires_grad for one in tower.parameters())


def squares(count: int, seed: int) -> tuple[torch.Tensor, list[str]]:
    """Images of one or two squares of a colour in noise, and what they show."""
    rng = np.random.default_rng(seed)
    images, texts = [], []
    for _ in range(count):
        colour, number = int(rng.integers(3)), int(rng.integers(1, 3))
        image = rng.normal(0, 0.2, (3, 64, 64))
        for place in range(number):
            top, left = rng.integers(0, 32), rng.integers(0, 12) + 32 * place
            image[:, top : top + 20, left : left + 20] = -1
            image[colour, top : top + 20, left : left + 20] = 1
        images.append(image)
        word = ("red", "green", "blue")[colour]
        texts.append(f"a {word} square" if number == 1 else f"two {word} squares")
    return torch.tensor(np.stack(images), dtype=torch.float32).clamp(-1, 1), texts


def test_it_learns_to_find_captions_in_seconds():
    torch.manual_seed(0)
    images, texts = squares(240, 1)
    options = SmallClipOptions(width=8, embed_dim=32, text_width=32, text_layers=1, heads=2, context_length=8)
    net = SmallClip(options, CaptionTokens.learn(texts))
    tokens = net.text.tokens(texts)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    order = np.random.default_rng(0)
    losses = []
    for _ in range(100):
        rows = torch.from_numpy(order.choice(len(texts), 32, replace=False))
        found = net({"image": images[rows], "tokens": tokens[rows]})
        match = matches(rows, equal_rows(tokens[rows]))
        terms = contrast_terms(found["image"], found["text"], found["scale"], match)
        loss = sum(term.mean() for term in terms.values()) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    net.eval()
    images, texts = squares(60, 2)
    with torch.no_grad():
        found = net({"image": images, "tokens": net.text.tokens(texts)})
    scores = retrieval_scores((found["image"] @ found["text"].T).numpy(), relevance(range(60), 60, texts))
    assert losses[-1] < 0.5 * losses[0]
    for name in ("image_to_text_r1", "text_to_image_r1"):
        assert scores.recall[name] > 0.7 > 0.3 > scores.chance[name]


@torch.no_grad()
def test_half_precision_by_autocast_runs_and_stays_near():
    net = network().eval()
    batch = {"image": torch.rand(2, 3, 64, 64) * 2 - 1, "tokens": net.text.tokens(CAPTIONS[:2])}
    with torch.autocast("cpu", torch.bfloat16):
        half = net(batch)
    full = net(batch)
    assert half["image"].dtype == torch.float32
    assert all((half[name] * full[name]).sum(1).min() > 0.99 for name in ("image", "text"))


def test_the_entry_of_the_catalogue_is_the_default_shape():
    net = small_clip()
    assert net.options == SmallClipOptions() and "satellite" in net.vocabulary.words
    assert net.inputs == ("image", "text") and len(net.shared_parameters()) == len(list(net.parameters())) - 1


def test_a_saved_file_is_read_as_bytes_and_numbers_alone(tmp_path):
    save_file(network().state_dict(), tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    told = json.loads(bytes(tensors[CARD].tolist()).decode())
    assert told["options"]["width"] == 8 and told["vocabulary"]["words"][0] == "a"

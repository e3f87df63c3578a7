"""CLIP through open_clip: raw files load strictly, embeddings are open_clip's own, frozen means frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor

from veritrain.models.clip import Clip, load_clip
from veritrain.models.clip_image import CLIP_MEAN, CLIP_STD
from veritrain.models.options import ClipOptions
from veritrain.models.tower import digest_of

TEXTS = ["a satellite photo of ship", "an aerial photo of a ground track field, 3 km long", "harbor"]
PARAMETERS = {"RN50": 102_007_137, "ViT-B-32": 151_277_313, "ViT-L-14": 427_616_513}
SIZES = [pytest.param(name, marks=pytest.mark.slow if name == "ViT-L-14" else ()) for name in PARAMETERS]


def foreign(name: str, activation: str = "quick_gelu") -> Any:
    """open_clip's own network with random numbers, also where its beginning has none."""
    torch.manual_seed(7)
    net = open_clip.CLIP(**open_clip.get_model_config(name), quick_gelu=activation == "quick_gelu")
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point() and tensor.dim() == 1:
                tensor.copy_(torch.rand_like(tensor) * 0.4 + 0.8)
    return net.eval()


def foreign_answers(net: Any, image: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
    """What open_clip says of images in [-1, 1] that it normalises itself, and of texts that it cuts itself."""
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (CLIP_MEAN, CLIP_STD))
    with torch.no_grad():
        return net.encode_image(((image + 1) / 2 - mean) / std), net.encode_text(open_clip.tokenize(texts))


def near(one: Tensor, two: Tensor) -> bool:
    """To 1e-5 of the largest number."""
    return float((one - two).abs().max() / two.abs().max()) < 1e-5


@pytest.fixture(scope="module")
def rn50(tmp_path_factory) -> tuple[Any, Path]:
    """A foreign RN50 and its raw state dict in a file; only to be read."""
    net = foreign("RN50")
    path = tmp_path_factory.mktemp("rn50") / "RN50.pt"
    torch.save(net.state_dict(), path)
    return net, path


@pytest.mark.parametrize("name", SIZES)
def test_a_raw_file_loads_strictly_and_answers_as_open_clip(tmp_path, name):
    net = foreign(name)
    path = tmp_path / f"{name}.pt"
    torch.save(net.state_dict(), path)
    image = torch.rand(2, 3, 224, 224) * 2 - 1
    image_there, text_there = foreign_answers(net, image, TEXTS)
    tensors = len(net.state_dict())
    del net
    network, report = load_clip(ClipOptions(name=name, weights=str(path)))
    path.unlink()
    assert report is not None and (report.taken, report.missing, report.unexpected) == (tensors, (), ())
    assert sum(one.numel() for one in network.parameters()) == PARAMETERS[name]
    network.eval()
    with torch.no_grad():
        assert near(network.image(image).embedding, image_there)
        assert near(network.text(network.text.tokens(TEXTS)), text_there)


def test_the_activation_is_that_of_the_transformers_and_no_file_tells_it(rn50):
    net, path = rn50
    image = torch.rand(1, 3, 224, 224) * 2 - 1
    image_there, text_there = foreign_answers(net, image, TEXTS)
    network, report = load_clip(ClipOptions(weights=str(path), activation="gelu"))
    network.eval()
    assert report is not None and "gelu" in report.told() and not report.missing
    with torch.no_grad():
        assert near(network.image(image).embedding, image_there), "the ResNet has ReLU"
        other = network.text(network.text.tokens(TEXTS))
    assert not near(other, text_there)
    assert digest_of(network.text) != digest_of(load_clip(ClipOptions(weights=str(path)))[0].text)


def test_a_pair_gives_what_the_loss_reads(rn50):
    network = load_clip(ClipOptions(weights=str(rn50[1])))[0].eval()
    batch = {"image": torch.rand(3, 3, 96, 64) * 2 - 1, "tokens": network.text.tokens(TEXTS)}
    with torch.no_grad():
        found = network(batch)
    assert found["image"].shape == found["text"].shape == (3, 1024)
    assert torch.allclose(found["image"].norm(dim=1), torch.ones(3)) and 10 < float(found["scale"]) <= 100


def test_without_a_file_there_is_no_report_and_nothing_is_read():
    with torch.device("meta"):
        network, report = load_clip(ClipOptions())
    assert report is None and isinstance(network, Clip)


@pytest.mark.parametrize(("how", "moves"), [("frozen", False), ("low_rate", True), ("trainable", True)])
def test_statistics_never_move_and_frozen_weights_do_not_either(rn50, how, moves):
    network = load_clip(ClipOptions(weights=str(rn50[1])))[0]
    tower = network.image
    tower.tune(how)
    network.text.tune("frozen")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    assert not any(module.training for module in tower.modules() if isinstance(module, torch.nn.BatchNorm2d))
    head = torch.nn.Linear(1024, 1)
    optimiser = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-3, weight_decay=0.1)
    for seed in range(2):
        torch.manual_seed(seed)
        features = tower(torch.rand(2, 3, 64, 64) * 2 - 1)
        loss = head(features.embedding).sum() + features.maps[0].mean() + features.dense.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any("running" in name or "num_batches" in name for name in changed)
    assert not any(name.startswith("text.") for name in changed)
    assert bool(changed) is moves
    assert tower.rate_scale == (0.1 if how == "low_rate" else 1.0)

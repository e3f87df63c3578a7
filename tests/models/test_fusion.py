"""The fusion detector: what it reads, what it must not read, and that both sensors hear of each other."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from tiny_street import HEIGHT, VIEWS, WIDTH, batch_of, tiny_set, tiny_task
from veritrain.data.paired_view import TOKEN
from veritrain.models.fusion import VIEW_CHANNELS, FusionDetector, GatheredAttention
from veritrain.models.options import Fusion

FUSIONS = get_args(Fusion)
BOTH = ("attention", "concat")
LIDAR_KEYS = ("view", "seen", "seen_mask", "window", "window_mask", "neighbours", "neighbours_mask")
TOKENS = (VIEWS.rows // TOKEN[0]) * (VIEWS.columns // TOKEN[1])
CELLS = (HEIGHT // 4) * (WIDTH // 4)


class Poisoned(dict):
    """A batch in which the named keys must not be asked for."""

    def __init__(self, batch, *forbidden: str) -> None:
        super().__init__(batch)
        self.forbidden = forbidden

    def __getitem__(self, key: str):
        assert key not in self.forbidden, f"the network read '{key}'"
        return super().__getitem__(key)


@pytest.fixture
def batch():
    return batch_of(tiny_set(), [0, 1, 2, 4])


def network(fusion: str, **options) -> FusionDetector:
    torch.manual_seed(0)
    return tiny_task(fusion, **options).model()


def settled(fusion: str, **options) -> FusionDetector:
    """In evaluation mode, with batch statistics of real samples, so that activations are alive."""
    model = network(fusion, **options).train()
    with torch.no_grad():
        for _ in range(20):
            model(batch_of(tiny_set(), range(12)))
    return model.eval()


def reaches(output: torch.Tensor, source: torch.Tensor) -> bool:
    (gradient,) = torch.autograd.grad(output.sum(), source, allow_unused=True, retain_graph=True)
    return gradient is not None and bool(gradient.abs().any())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_logit_per_frame_return_and_pixel(fusion, batch):
    output = network(fusion)(batch)
    assert output["frame"].shape == (4,)
    assert output["point"].shape == (4, VIEWS.rows, VIEWS.columns)
    assert ("pixel" in output) == (fusion != "points_only")
    if "pixel" in output:
        assert output["pixel"].shape == (4, HEIGHT, WIDTH)
    assert all(torch.isfinite(values).all() for values in output.values())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_it_names_its_inputs_and_its_shared_parameters(fusion):
    model = network(fusion)
    sees = {"image_only": ("image",), "points_only": ("points",)}.get(fusion, ("image", "points"))
    assert model.inputs == sees
    shared = {id(p) for p in model.shared_parameters()}
    towers = {id(p) for name, p in model.named_parameters() if name.split(".")[0].endswith("_encoder")}
    assert shared == towers and 0 < len(shared) < len(list(model.parameters()))


def test_points_only_never_touches_the_image(batch):
    poisoned = Poisoned(batch, "image", "window", "window_mask", "neighbours", "neighbours_mask")
    model = settled("points_only")
    assert torch.equal(model(poisoned)["frame"], model(batch)["frame"])
    with pytest.raises(AssertionError, match="read 'image'"):
        settled("concat")(poisoned)


def test_image_only_never_touches_a_return(batch):
    """Of the view it asks for the grid's size alone: a meta tensor has a shape and no values."""
    poisoned = Poisoned(batch, "neighbours", "neighbours_mask")
    poisoned["view"] = torch.empty_like(batch["view"], device="meta")
    model = settled("image_only")
    assert all(torch.equal(model(poisoned)[level], model(batch)[level]) for level in ("frame", "pixel", "point"))
    with pytest.raises((AssertionError, NotImplementedError, RuntimeError)):
        settled("concat")(poisoned)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_gets_a_gradient_from_the_losses(fusion, batch):
    task, model = tiny_task(fusion), network(fusion).train()
    terms = task.losses(model(batch), batch)
    torch.stack([values.mean() for values in terms.values()]).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert not silent


@pytest.mark.parametrize("fusion", BOTH)
@pytest.mark.parametrize("term", ["frame", "point", "pixel"])
def test_every_term_teaches_both_towers(fusion, term, batch):
    task, model = tiny_task(fusion), network(fusion).train()
    task.losses(model(batch), batch)[term].mean().backward()
    for tower in (model.image_encoder, model.point_encoder):
        assert any(p.grad is not None and p.grad.abs().any() for p in tower.parameters())


@pytest.mark.parametrize("fusion", BOTH)
@pytest.mark.parametrize(
    ("index", "mask", "size"),
    [
        ("seen", "seen_mask", TOKENS),
        ("window", "window_mask", CELLS),
        ("neighbours", "neighbours_mask", TOKENS),
    ],
)
def test_what_a_masked_place_names_changes_nothing(fusion, index, mask, size, batch):
    model = settled(fusion)
    other = torch.randint(0, size, batch[index].shape, generator=torch.Generator().manual_seed(5))
    assert not batch[mask].all(), "there is padding to test with"
    before = model(batch)
    after = model({**batch, index: torch.where(batch[mask], batch[index], other)})
    for level in before:
        assert torch.equal(before[level], after[level]), level
    known = model({**batch, index: torch.where(batch[mask], (batch[index] + 3) % size, batch[index])})
    assert any(not torch.equal(before[level], known[level]) for level in before), "a place in the mask does count"


def test_image_only_ignores_padded_places(batch):
    model = settled("image_only")
    other = torch.randint(0, CELLS, batch["window"].shape, generator=torch.Generator().manual_seed(5))
    before = model(batch)
    after = model({**batch, "window": torch.where(batch["window_mask"], batch["window"], other)})
    assert all(torch.equal(before[level], after[level]) for level in before)


@pytest.mark.parametrize("fusion", ["points_only", *BOTH])
def test_logits_of_cells_without_a_return_never_reach_the_frame(fusion, batch):
    model = settled(fusion)
    there = batch["view"][:, -1] > 0
    loud = {}
    model.point_head.register_forward_hook(lambda _module, _given, rows: rows + loud.get("change", 0))
    rows = (~there).reshape(4, VIEWS.rows // 2, 2, VIEWS.columns).all(2)
    assert rows.any()
    before = model(batch)["frame"]
    loud["change"] = rows * 100.0
    assert torch.equal(model(batch)["frame"], before)
    loud["change"] = ~rows * 100.0
    assert (model(batch)["frame"] > before + 10).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_in_evaluation_a_sample_hears_nothing_of_the_others(fusion, batch):
    model = settled(fusion)
    image, view = batch["image"].clone().requires_grad_(), batch["view"].clone().requires_grad_()
    output = model({**batch, "image": image, "view": view})
    total = torch.stack([values[1].sum() for values in output.values()]).sum()
    for name, source in (("image", image), ("points", view)):
        (gradient,) = torch.autograd.grad(total, source, allow_unused=True, retain_graph=True)
        assert (gradient is not None) == (name in model.inputs)
        if gradient is not None:
            assert gradient[1].abs().any() and not gradient[[0, 2, 3]].any()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_alone_or_in_a_batch_is_the_same(fusion, batch):
    model = settled(fusion)
    together, alone = model(batch), model(batch_of(tiny_set(), [2]))
    for level in together:
        torch.testing.assert_close(together[level][2], alone[level][0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fusion", BOTH)
def test_each_sensor_reaches_the_dense_logits_of_the_other(fusion, batch):
    model = settled(fusion)
    image, view = batch["image"].clone().requires_grad_(), batch["view"].clone().requires_grad_()
    output = model({**batch, "image": image, "view": view})
    assert reaches(output["pixel"], view), "LiDAR to image"
    assert reaches(output["point"], image), "image to LiDAR"


@pytest.mark.parametrize("fusion", BOTH)
def test_with_all_modalities_dropped_neither_hears_the_other(fusion, batch):
    model = network(fusion, modality_dropout=1.0).train()
    image, view = batch["image"].clone().requires_grad_(), batch["view"].clone().requires_grad_()
    output = model({**batch, "image": image, "view": view})
    assert reaches(output["pixel"], image) and reaches(output["point"], view)
    assert not reaches(output["pixel"], view) and not reaches(output["point"], image)
    fused = model.eval()({**batch, "image": image, "view": view})
    assert reaches(fused["pixel"], view) and reaches(fused["point"], image), "only training drops"


def test_modalities_are_dropped_sample_by_sample(batch):
    model = network("attention", modality_dropout=0.5)
    model.image_encoder.eval()
    model.point_encoder.eval()
    heard = []
    for seed in range(8):
        torch.manual_seed(seed)
        model.training = True
        view = batch["view"].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model({**batch, "view": view})["pixel"].sum(), view)
        heard.append([bool(one.abs().any()) for one in gradient])
    assert any(len(set(samples)) == 2 for samples in heard), "both kinds within one batch"
    assert 6 <= sum(map(sum, heard)) <= 26, "about half of 32"


def test_evaluation_draws_nothing_that_shows(batch):
    model = settled("attention", modality_dropout=0.5, dropout=0.5)
    first, again = model(batch), model(batch)
    assert all(torch.equal(first[level], again[level]) for level in first)


def test_attention_is_softmax_attention_over_the_gathered_neighbours():
    torch.manual_seed(0)
    part = GatheredAttention(8, 2)
    tokens, others = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    index = torch.randint(0, 7, (2, 5, 3))
    mask = torch.rand(2, 5, 3) < 0.6
    mask[0, 0], mask[1, 2] = False, True
    found = part(tokens, others, index, mask)
    for b in range(2):
        for n in range(5):
            if not mask[b, n].any():
                assert torch.equal(found[b, n], tokens[b, n]), "without neighbours a token keeps its own features"
                continue
            key, value = part.key_value(others[b, index[b, n][mask[b, n]]]).chunk(2, dim=1)
            heads = [part.query(tokens[b, n : n + 1]).view(1, 2, 2), key.view(-1, 2, 2), value.view(-1, 2, 2)]
            seen = F.scaled_dot_product_attention(*(part_.transpose(0, 1) for part_ in heads))
            expected = part.norm(tokens[b, n] + part.output(seen.transpose(0, 1).reshape(4)))
            torch.testing.assert_close(found[b, n], expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_neighbours_does_not_matter(batch):
    model = settled("attention")
    turned = {**batch, **{key: batch[key].flip(-1) for key in ("window", "window_mask", "neighbours")}}
    turned["neighbours_mask"] = batch["neighbours_mask"].flip(-1)
    for level, values in model(batch).items():
        torch.testing.assert_close(model(turned)[level], values, rtol=1e-4, atol=1e-4)


def test_image_only_scores_a_return_where_it_projects(batch):
    model = settled("image_only")
    cells = model.pixel_head(model.image_encoder(batch["image"])).flatten(1)
    rows, columns = VIEWS.rows // TOKEN[0], VIEWS.columns // TOKEN[1]
    tokens = cells.mean(1, keepdim=True).repeat(1, rows * columns)
    for b in range(len(tokens)):
        for place in torch.nonzero(batch["seen_mask"][b]).flatten():
            tokens[b, batch["seen"][b, place]] = cells[b, batch["window"][b, place, 4]]
    expected = F.interpolate(
        tokens.view(-1, 1, rows, columns), (VIEWS.rows, VIEWS.columns), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(model(batch)["point"], expected.squeeze(1), rtol=1e-4, atol=1e-4)


def test_the_view_has_the_channels_that_the_network_expects(batch):
    assert batch["view"].shape[1] == VIEW_CHANNELS

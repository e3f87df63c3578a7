"""The fusion detector's choices: each does something, none leaks, and the default stays what it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import torch

from tiny_street import HEIGHT, VIEWS, WIDTH, batch_of, tiny_frames, tiny_task
from veritrain.data.frames import FrameSet
from veritrain.data.view_extras import PADDED
from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.fusion import FusionDetector
from veritrain.models.options import FusionOptions
from veritrain.models.voxel_head import VOXELS
from veritrain.tasks.anomaly import AnomalyTask

CHOICES: dict[str, dict[str, Any]] = {
    "resnet18": {"image_tower": "resnet18"},
    "raw": {"points_tower": "raw"},
    "one block": {"blocks": 1},
    "raw one block": {"points_tower": "raw", "blocks": 1},
    "raw points only": {"points_tower": "raw", "fusion": "points_only"},
    "raw late": {"points_tower": "raw", "fusion": "late"},
    "raw voxel": {"points_tower": "raw", "head": "voxel"},
    "sincos": {"positional": "sincos"},
    "learned": {"positional": "learned", "fusion": "image_only"},
    "hybrid": {"positional": "hybrid", "fusion": "concat"},
    "bilinear": {"alignment": "bilinear"},
    "bilinear concat": {"alignment": "bilinear", "fusion": "concat"},
    "bilinear late": {"alignment": "bilinear", "fusion": "late"},
    "network": {"alignment": "network"},
    "late": {"fusion": "late"},
    "multiscale": {"head": "multiscale"},
    "voxel": {"head": "voxel"},
}


@pytest.mark.parametrize("points_tower", ["range_view", "raw"])
def test_both_encoders_have_the_blocks_that_were_asked_for(points_tower):
    for count in (1, 3):
        model = FusionDetector(FusionOptions(width=8, points_tower=points_tower, blocks=count))
        assert len(model.image_encoder.blocks) == len(model.point_encoder.blocks) == count


@pytest.fixture(scope="module")
def data() -> FrameSet:
    return FrameSet(tiny_frames(), replace(VIEWS, pixels=True, rays=True, returns=500))


@pytest.fixture
def batch(data):
    return batch_of(data, [0, 1, 2, 4])


def task(**network: Any) -> AnomalyTask:
    made = tiny_task(**{"fusion": "attention", **network})
    if network.get("head") == "voxel":
        weights = {**made.term_weights, "voxel": 1.0}
        made = replace(made, term_weights=weights, pos_weights={**made.pos_weights, "voxel": 20.0})
    return made


def network(**options: Any) -> FusionDetector:
    torch.manual_seed(0)
    return task(**options).model()


def settled(data: FrameSet, **options: Any) -> FusionDetector:
    """In evaluation mode, with the batch statistics of real samples, so that activations are alive."""
    model = network(**options).train()
    norms = [module for module in model.modules() if hasattr(module, "running_mean")]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model(batch_of(data, range(4)))
    return model.eval()


def reaches(output: torch.Tensor, source: torch.Tensor) -> bool:
    (gradient,) = torch.autograd.grad(output.sum(), source, allow_unused=True, retain_graph=True)
    return gradient is not None and bool(gradient.abs().any())


def differ(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], *levels: str) -> list[bool]:
    return [not torch.equal(first[level], second[level]) for level in levels]


def exact_batch() -> dict[str, torch.Tensor]:
    """Drawn by integers and uniform numbers alone, which are the same on every machine."""
    torch.manual_seed(1)
    view = torch.rand(2, 6, 16, 24, dtype=torch.float64)
    view[:, 5] = (view[:, 5] < 0.8).double()
    return {
        "image": torch.rand(2, 3, 16, 24, dtype=torch.float64) * 2 - 1,
        "view": view,
        "seen": torch.stack([torch.randperm(48)[:13] for _ in range(2)]),
        "seen_mask": torch.rand(2, 13) < 0.8,
        "window": torch.randint(0, 24, (2, 13, 9)),
        "window_mask": torch.rand(2, 13, 9) < 0.8,
        "neighbours": torch.randint(0, 48, (2, 24, 4)),
        "neighbours_mask": torch.rand(2, 24, 4) < 0.6,
    }


@pytest.mark.parametrize(
    ("join", "expected"),
    [("smooth_max", "c276022997837f67"), ("mean", "c67d845f2afb92b0"), ("noisy_or", "68f9d1b72db4e5b1")],
)
def test_the_default_network_is_what_it_was(join, expected):
    """Results rest on it. The hash is of the initial weights and of a pass in float64, rounded to 6 decimals."""
    torch.manual_seed(0)
    model = FusionDetector(FusionOptions(frame_join=join)).double().eval()
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    output = model(exact_batch())
    for level in ("frame", "point", "pixel"):
        digest.update((output[level].detach() * 1e6).round().long().numpy().tobytes())
    assert sum(p.numel() for p in model.parameters()) == 96_166
    assert digest.hexdigest()[:16] == expected


@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
def test_every_parameter_gets_a_gradient_from_the_losses(chosen, batch):
    made, model = task(**chosen), network(**chosen).train()
    terms = made.losses(model(batch), batch)
    assert terms.keys() == made.term_weights.keys() - ({"pixel"} if chosen.get("fusion") == "points_only" else set())
    torch.stack([values.mean() for values in terms.values()]).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert not silent


@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
def test_the_levels_have_their_shapes_and_padding_or_company_change_nothing(chosen, data, batch):
    model = settled(data, **chosen)
    output, alone = model(batch), model(batch_of(data, [2]))
    assert output["frame"].shape == (4,) and output["point"].shape == (4, VIEWS.rows, VIEWS.columns)
    assert ("pixel" not in output) or output["pixel"].shape == (4, HEIGHT, WIDTH)
    assert ("returns" in output) == (chosen.get("points_tower") == "raw")
    assert ("voxel" in output) == (chosen.get("head") == "voxel")
    for level, values in output.items():
        one = alone[level][0]
        torch.testing.assert_close(
            values[2, : len(one)] if level == "returns" else values[2], one, rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("chosen", [{"alignment": "bilinear"}, {"positional": "sincos"}, {"alignment": "network"}])
@pytest.mark.parametrize("fusion", ["attention", "concat"])
def test_with_the_same_weights_the_choice_changes_the_logits(chosen, fusion, data, batch):
    plain, other = settled(data, fusion=fusion), settled(data, fusion=fusion, **chosen)
    missing, unexpected = other.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(name.split(".")[0] in ("align", "place") for name in missing)
    assert all(differ(plain(batch), other(batch), "point", "frame"))


def test_alignment_changes_what_lidar_tokens_read_and_nothing_of_the_image(data, batch):
    plain, other = settled(data), settled(data, alignment="bilinear")
    other.load_state_dict(plain.state_dict())
    assert differ(plain(batch), other(batch), "point", "pixel") == [True, False]
    moved = {**batch, "seen_pixels": batch["seen_pixels"] + 1.0}
    assert differ(other(batch), other(moved), "point", "pixel") == [True, False]


@pytest.mark.parametrize("key", ["cell_places", "view"])
def test_places_of_both_sensors_are_told(key, data, batch):
    model = settled(data, positional="learned", fusion="late")
    with torch.no_grad():
        model.place.table.weight.normal_()
        before = model._features(batch)
        moved = {**batch, key: batch[key] * (1.0 if key == "view" else 2.0)}
        if key == "view":
            moved["view"] = batch["view"].clone()
            moved["view"][:, 1] += 1
        after = model._features(moved)
    assert torch.equal(before[0], after[0]) == (key == "view")
    assert torch.equal(before[2], after[2]) == (key == "cell_places")


@pytest.mark.parametrize("name", ["raw", "raw points only", "raw late", "raw voxel", "late", "voxel", "hybrid"])
def test_a_sweep_without_a_return_stays_finite_forwards_and_backwards(name, data):
    frame = data.frames[1]
    empty = replace(frame, points=frame.points[:0], point_labels=frame.point_labels[:0], point_ids=frame.point_ids[:0])
    made, model = task(**CHOICES[name]), settled(data, **CHOICES[name])
    for frames in ([empty, data.frames[2]], [empty, empty]):
        batch = batch_of(FrameSet(frames, data.views))
        output = model(batch)
        assert all(torch.isfinite(values).all() for values in output.values())
        model.zero_grad()
        sum(values.mean() for values in made.losses(output, batch).values()).backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        assert len(made.predict({k: v.detach() for k, v in output.items()}, batch)["frame_scores"]) == 2


def test_late_fusion_of_an_empty_sweep_is_the_images_own_frame(data):
    model = settled(data, fusion="late")
    batch = batch_of(data, [1, 2])
    batch["view"][0] = 0
    dense = []
    model.frame_head[0].register_forward_hook(lambda _m, _g, out: dense.append(out))
    output = model(batch)
    assert output["frame"][0] == dense[0][0] and output["frame"][1] != dense[0][1]


@pytest.mark.parametrize("chosen", [{"points_tower": "raw"}, {"image_tower": "resnet18"}, {"head": "voxel"}])
def test_each_sensor_reaches_the_dense_logits_of_the_other(chosen, data, batch):
    model = settled(data, **chosen)
    key = "returns" if chosen.get("points_tower") == "raw" else "view"
    image, points = batch["image"].clone().requires_grad_(), batch[key].clone().requires_grad_()
    output = model({**batch, "image": image, key: points})
    assert reaches(output["pixel"], points) and reaches(output["point"], image)
    assert reaches(output["frame"], image) and reaches(output["frame"], points)


class TestRaw:
    def test_padding_changes_nothing(self, data, batch):
        model = settled(data, points_tower="raw", head="voxel")
        longer = dict(batch)
        for key in (*PADDED, "returns_mask"):
            values = batch[key]
            extra = torch.ones(4, 40, *values.shape[2:]) * (0 if values.dtype == torch.bool else 3)
            longer[key] = torch.cat([values, extra.to(values.dtype)], 1)
        before, after = model(batch), model(longer)
        after["returns"] = after["returns"][:, : before["returns"].shape[1]]
        for level in before:
            torch.testing.assert_close(before[level], after[level])

    def test_the_order_of_returns_changes_nothing(self, data, batch):
        model = settled(data, points_tower="raw")
        order = torch.randperm(batch["returns"].shape[1], generator=torch.Generator().manual_seed(2))
        turned = {**batch, **{key: batch[key][:, order] for key in (*PADDED, "returns_mask")}}
        before, after = model(batch), model(turned)
        before["returns"] = before["returns"][:, order]
        for level in before:
            torch.testing.assert_close(before[level], after[level], rtol=1e-4, atol=1e-5)

    def test_of_the_range_view_it_reads_the_size_alone(self, data, batch):
        model = settled(data, points_tower="raw")
        blind = {**batch, "view": torch.empty_like(batch["view"], device="meta")}
        assert not any(differ(model(batch), model(blind), "frame", "point", "returns"))

    def test_two_returns_of_one_cell_have_scores_of_their_own(self, data, batch):
        model = settled(data, points_tower="raw")
        batch["returns_cell"][1, 1] = batch["returns_cell"][1, 0]
        output = model(batch)
        scores = output["returns"][1, :2]
        assert scores[0] != scores[1]
        nearest = int(batch["returns"][1, :2, 4].argmin())
        assert output["point"][1].flatten()[batch["returns_cell"][1, 0]] == scores[nearest]

    def test_predictions_are_the_returns_own_scores_in_the_order_of_their_labels(self, data, batch):
        with torch.no_grad():
            output = settled(data, points_tower="raw")(batch)
        batch["returns_at"] = [at.clone() for at in batch["returns_at"]]
        output["returns"] = torch.arange(output["returns"].numel()).view_as(output["returns"]) / 1000
        batch["returns_at"][1][3] = -1
        found = task(points_tower="raw").predict(output, batch)["point_scores"]
        expected = [output["returns"][b][at] for b, at in enumerate(batch["returns_at"])]
        expected[1][3] = output["point"][1].flatten()[batch["point_cells"][1][3]]
        torch.testing.assert_close(torch.from_numpy(found), torch.cat(expected).sigmoid())

    def test_training_sees_the_sample_and_evaluation_scores_all(self, batch):
        model = network(points_tower="raw")
        assert batch["returns_mask"].sum(1).min() > 500 == batch["returns_pooled"].sum(1).max()
        assert model.train()(batch)["returns"].shape == (4, 500)
        assert model.eval()(batch)["returns"].shape == batch["returns_mask"].shape
        loud = {**batch, "returns": batch["returns"].clone()}
        loud["returns"][:, 500:] = 9.0
        torch.manual_seed(0)
        before = model.train()(batch)
        torch.manual_seed(0)
        assert not any(differ(before, model(loud), "frame", "point", "pixel"))


class TestLate:
    def test_neither_tower_hears_the_other_before_the_logits(self, data, batch):
        model, own = settled(data, fusion="late"), {}
        for name in ("pixel_head", "point_head"):
            getattr(model, name).register_forward_hook(lambda _m, _g, out, name=name: own.update({name: out}))
        image, view = batch["image"].clone().requires_grad_(), batch["view"].clone().requires_grad_()
        output = model({**batch, "image": image, "view": view})
        assert reaches(own["pixel_head"], image) and not reaches(own["pixel_head"], view)
        assert reaches(own["point_head"], view) and not reaches(own["point_head"], image)
        assert reaches(output["pixel"], view) and reaches(output["point"], image)

    def test_with_all_weight_on_its_own_sensor_a_level_is_that_sensors_alone(self, data, batch):
        model = settled(data, fusion="late")
        with torch.no_grad():
            for weights in (model.late.frame, model.late.point, model.late.pixel):
                weights.copy_(torch.tensor([80.0, -80.0]))
        other = model({**batch, "view": batch["view"].flip(0)})
        assert differ(model(batch), other, "pixel", "frame", "point") == [False, False, True]
        other = model({**batch, "image": batch["image"].flip(0)})
        assert differ(model(batch), other, "pixel", "frame", "point") == [True, True, False]

    def test_where_only_one_sees_it_decides_alone(self, data, batch):
        model = settled(data, fusion="late")
        single = settled(data, fusion="points_only")
        single.load_state_dict(model.state_dict(), strict=False)
        tokens = torch.zeros(4, VIEWS.rows // 4 * (VIEWS.columns // 2), dtype=torch.bool)
        tokens.scatter_(1, batch["seen"], batch["seen_mask"])
        seen = tokens.view(4, VIEWS.rows // 4, -1).repeat_interleave(4, 1).repeat_interleave(2, 2)
        same = torch.isclose(model(batch)["point"], single(batch)["point"], atol=1e-6)
        assert same[~seen].all() and not same[seen].any()

    def test_a_token_whose_returns_were_not_drawn_says_nothing(self, data):
        few = FrameSet(data.frames[:4], replace(data.views, returns=20))
        output = network(fusion="late", points_tower="raw").train()(batch_of(few))
        assert output["pixel"].abs().max() < 100 and output["frame"].abs().max() < 100

    def test_samples_that_are_dropped_are_not_averaged(self, batch):
        model = network(fusion="late", modality_dropout=1.0)
        image, view = batch["image"].clone().requires_grad_(), batch["view"].clone().requires_grad_()
        output = model.train()({**batch, "image": image, "view": view})
        assert not reaches(output["pixel"], view) and not reaches(output["point"], image)


class TestVoxel:
    @pytest.mark.parametrize("tower", ["range_view", "raw"])
    def test_its_logits_come_back_to_the_returns_in_the_grid(self, tower, data, batch):
        model = settled(data, head="voxel", points_tower=tower)
        before = model(batch)
        assert before["voxel"].shape == (4, *VOXELS)
        with torch.no_grad():
            model.voxel_head.layers[-1].bias += 5.0
        moved = (model(batch)["point"] - before["point"]).round(decimals=3)
        there = batch["view"][:, -1] > 0
        assert set(moved[there].unique().tolist()) == {0.0, 5.0}
        ahead = batch["view"][:, 1] * 30
        assert not moved[there & (ahead < 0)].any(), "the grid lies before the car"

    def test_the_voxel_term_has_labels_from_the_returns_of_each_voxel(self, data, batch):
        made, model = task(head="voxel"), settled(data, head="voxel")
        output = model(batch)
        flipped = {**batch, "view_labels": torch.where(batch["view_labels"] >= 0, 1 - batch["view_labels"], -1)}
        assert not torch.equal(made.losses(output, batch)["voxel"], made.losses(output, flipped)["voxel"])
        unknown = {**batch, "view_labels": torch.full_like(batch["view_labels"], -1)}
        assert not made.losses(output, unknown)["voxel"].any() and not made.term_counts(unknown)["voxel"].any()
        assert made.term_counts(batch)["voxel"].all()


class TestFreezing:
    @pytest.mark.parametrize("freeze", ["image", "points", "both"])
    def test_a_frozen_tower_stays_bit_for_bit_through_training(self, freeze, batch):
        made, model = task(freeze=freeze), network(freeze=freeze)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
        for _ in range(2):
            model.train()
            optimiser.zero_grad()
            torch.stack([term.mean() for term in made.losses(model(batch), batch).values()]).sum().backward()
            optimiser.step()
        towers = {"image": ("image_encoder",), "points": ("point_encoder",), "both": ("image_encoder", "point_encoder")}
        for name, value in model.state_dict().items():
            frozen = name.split(".")[0] in towers[freeze]
            assert torch.equal(value, before[name]) or not frozen, name
        moving = {"image": "point_encoder", "points": "image_encoder"}.get(freeze, "point_head")
        changed = [n for n, v in model.state_dict().items() if n.startswith(moving) and not torch.equal(v, before[n])]
        assert changed and all(n in changed for n in before if n.startswith(moving) and "running_mean" in n)

    def test_a_frozen_resnet_leaves_its_merge_to_train(self):
        model = network(freeze="image", image_tower="resnet18").train()
        assert not any(p.requires_grad for p in model.image_encoder.parameters())
        assert all(p.requires_grad for p in model.image_neck.parameters())
        assert not any(module.training for module in model.image_encoder.modules())
        assert all(module.training for module in model.image_neck.modules())

    def test_what_is_unfrozen_trains_with_its_statistics(self):
        model = network(freeze="image")
        model.image_encoder.blocks[1].requires_grad_(True)
        model.train()
        assert model.image_encoder.blocks[1].first_norm.training
        assert not model.image_encoder.blocks[0].first_norm.training
        assert not model.eval().image_encoder.blocks[1].first_norm.training


def test_weights_come_from_the_file_and_a_wrong_one_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "small.safetensors"
    source = {name: value + 1 for name, value in network().image_encoder.state_dict().items()}
    save_file(source, path)
    loaded = network(image_weights=str(path))
    assert all(torch.equal(value, source[name]) for name, value in loaded.image_encoder.state_dict().items())
    with pytest.raises(CheckpointError, match="another architecture"):
        network(image_weights=str(path), width=16)


class TestAttentionMaps:
    def test_rows_are_shares_over_the_neighbours(self, data, batch):
        model = settled(data)
        model.train()
        maps = model.attention_maps(batch)
        for name, mask in (("points_to_image", batch["window_mask"]), ("image_to_points", batch["neighbours_mask"])):
            weights = maps[name]
            assert weights.shape == (*mask.shape, 2) and not weights[~mask].any()
            torch.testing.assert_close(weights.sum(2), mask.any(2, keepdim=True).expand(-1, -1, 2).float())
        assert model.training and model.points_to_image.kept is None and not model.points_to_image.keeps

    def test_they_are_the_weights_that_the_pass_used(self, data, batch):
        """Moving the most looked-at cell's features moves the token more than moving the least looked-at ones."""
        model = settled(data)
        maps = model.attention_maps(batch)["points_to_image"]
        tokens, cells = torch.randn(4, maps.shape[1], 8), torch.randn(4, 96, 8)
        part = model.points_to_image
        part.keeps = True
        part(tokens, cells, batch["window"], batch["window_mask"])
        score = part.kept
        query = part.query(tokens).view(4, -1, 2, 2)
        key = part.key_value(cells)[..., :4].view(4, 96, 2, 2)
        for b, n in torch.nonzero(batch["window_mask"].all(2))[:20].tolist():
            logits = torch.einsum("hd,khd->kh", query[b, n], key[b, batch["window"][b, n]]) / 2**0.5
            torch.testing.assert_close(score[b, n], logits.softmax(0), rtol=1e-4, atol=1e-5)

    def test_without_attention_there_is_nothing_to_show(self, batch):
        with pytest.raises(ConfigError, match="no attention"):
            network(fusion="concat").attention_maps(batch)

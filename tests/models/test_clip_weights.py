"""Files of CLIP weights: strict unless asked, a report of every key, and nothing in a file is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.tiny_clip import tiny_clip, tiny_net
from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.clip import Clip
from veritrain.models.clip_weights import load_clip_file, network_of, plain_name
from veritrain.models.options import ClipOptions
from veritrain.record import sha256_of


@pytest.fixture
def clip(monkeypatch) -> Clip:
    return tiny_clip(monkeypatch, seed=1)


def options(path: Path, *, strict: bool = True) -> ClipOptions:
    return ClipOptions(name="ViT-B-32", weights=str(path), strict=strict)


def same(network: Clip, tensors: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, tensors[plain_name(name)]) for name, value in network.state_dict().items())


def changed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One tensor gone, one new, one of another shape."""
    state = dict(state)
    del state["ln_final.weight"]
    state["visual.more"] = torch.zeros(2)
    state["text_projection"] = torch.zeros(32, 7)
    return state


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("form", ["raw", "module", "custom_text", "ours", "half"])
def test_every_form_of_the_names_loads_strictly(clip, tmp_path, suffix, form):
    state = tiny_net(seed=2).state_dict()
    written = {
        "raw": state,
        "module": {f"module.{name}": value for name, value in state.items()},
        "custom_text": {
            name if name.startswith(("visual.", "logit")) else f"text.{name}": value for name, value in state.items()
        },
        "ours": {name: state[plain_name(name)] for name in clip.state_dict()},
        "half": {name: value.half() for name, value in state.items()},
    }[form]
    path = tmp_path / f"weights.{suffix}"
    (torch.save if suffix == "pt" else save_file)(written, path)
    report = load_clip_file(clip, options(path))
    assert report.taken == report.tensors == len(state) and not report.missing + report.unexpected + report.misshapen
    assert same(clip, {name: value.half().float() for name, value in state.items()} if form == "half" else state)
    assert report.sha256 == sha256_of(path) and report.file == path.name
    assert report.told().count("none") == 3 and "CLIP ViT-B-32, quick_gelu" in report.told()


def test_openais_numbers_that_are_no_weights_are_passed_over(clip, tmp_path):
    state = {**tiny_net().state_dict(), "input_resolution": torch.tensor(64), "vocab_size": torch.tensor(49408)}
    torch.save(state, tmp_path / "openai.pt")
    assert load_clip_file(clip, options(tmp_path / "openai.pt")).unexpected == ()


def test_a_file_that_does_not_fit_is_refused_with_its_keys_and_nothing_is_loaded(clip, tmp_path):
    torch.save(changed(tiny_net(seed=2).state_dict()), tmp_path / "other.pt")
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_clip_file(clip, options(tmp_path / "other.pt"))
    text = str(caught.value)
    assert "1 missing: ln_final.weight" in text and "1 unexpected: visual.more" in text
    assert "text_projection (32x16 here, 32x7 there)" in text and "not strict" in text
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())


def test_asked_not_to_be_strict_it_takes_what_fits_and_tells_the_rest(clip, tmp_path):
    state = tiny_net(seed=2).state_dict()
    torch.save(changed(state), tmp_path / "other.pt")
    own = clip.text.text_projection.clone()
    report = load_clip_file(clip, options(tmp_path / "other.pt", strict=False))
    assert report.missing == ("ln_final.weight",) and report.unexpected == ("visual.more",)
    assert report.misshapen == ("text_projection",) and report.taken == len(state) - 2
    assert torch.equal(clip.text.text_projection, own)
    assert torch.equal(clip.text.ln_final.bias, state["ln_final.bias"])
    assert torch.equal(clip.image.visual.conv1.weight, state["visual.conv1.weight"])
    told = report.told()
    assert "missing: 1 (ln_final.weight)" in told and "misshapen: 1 (text_projection)" in told
    assert report.as_json()["taken"] == report.taken


def test_nothing_that_fits_is_refused_also_when_not_strict(clip, tmp_path):
    torch.save({"layer1.weight": torch.zeros(3)}, tmp_path / "resnet.pt")
    with pytest.raises(CheckpointError, match="1 unexpected: layer1"):
        load_clip_file(clip, options(tmp_path / "resnet.pt", strict=False))


def test_a_file_of_another_network_says_which(clip, tmp_path):
    torch.save({"visual.conv1.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "RN50.pt")
    with pytest.raises(CheckpointError, match="looks like RN50: choose that"):
        load_clip_file(clip, options(tmp_path / "RN50.pt"))
    assert network_of({"module.visual.conv1.weight": torch.zeros(1024, 3, 14, 14)}) == "ViT-L-14"
    assert network_of({"visual.conv1.weight": torch.zeros(1, 1)}) is None and network_of({}) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.fill_(float("nan")), "1 with NaN or infinity: ln_final.weight"),
        (lambda one: one.to(torch.int8), r"1 of whole numbers: ln_final.weight \(torch.int8\)"),
    ],
)
def test_numbers_that_are_no_weights_are_refused(clip, tmp_path, change, told):
    state = tiny_net().state_dict()
    state["ln_final.weight"] = change(state["ln_final.weight"])
    torch.save(state, tmp_path / "broken.pt")
    with pytest.raises(CheckpointError, match=told):
        load_clip_file(clip, options(tmp_path / "broken.pt"))


def test_a_tensor_that_is_there_twice_is_refused(clip, tmp_path):
    state = tiny_net().state_dict()
    torch.save({**state, "module.logit_scale": torch.tensor(1.0)}, tmp_path / "twice.pt")
    with pytest.raises(CheckpointError, match="several networks"):
        load_clip_file(clip, options(tmp_path / "twice.pt"))


def test_lost_counters_are_not_missed():
    names = ["visual.bn1.num_batches_tracked", "visual.bn1.running_mean"]
    assert [plain_name(f"image.{name}") for name in names] == names


def test_archives_of_code_and_training_checkpoints_are_refused_with_a_way_out(clip, tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "openai.pt")
    with pytest.raises(CheckpointError, match=r"torch\.jit\.load"):
        load_clip_file(clip, options(tmp_path / "openai.pt"))
    torch.save({"epoch": 3, "state_dict": tiny_net().state_dict()}, tmp_path / "epoch_3.pt")
    with pytest.raises(CheckpointError, match="a mapping with epoch, state_dict"):
        load_clip_file(clip, options(tmp_path / "epoch_3.pt"))
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        load_clip_file(clip, options(tmp_path / "none.pt"))

"""The normal-only reference: it sees normality scenarios alone, never a label, and stands beside a run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tiny_street import VIEWS, tiny_frame, tiny_frames
from veritrain import cli
from veritrain.audit.verdict import judge_all
from veritrain.data.frames import FrameSet
from veritrain.errors import ConfigError, DataError
from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.memory_bank import NAME, MemoryBankDetector, demand_reference, normal_frames
from veritrain.metrics.ranking import ranking_scores
from veritrain.record import RunFolder, read_run
from veritrain.tasks.options import AnomalyRecipe
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.options import DrivingOptions

SIZE = 60


def street(**options):
    return FrameSet([replace(one, kind=kind_of(one.group)) for one in tiny_frames(8, 3)], VIEWS, **options)


def kind_of(group: str) -> str:
    return "static" if int(group.split("/")[1]) % 2 == 0 else "normality"


@pytest.fixture(scope="module")
def detector():
    torch.set_num_threads(1)
    return MemoryBankDetector(street(), size=SIZE, seed=0)


@pytest.fixture(scope="module")
def frames():
    return [tiny_frame(f"{k}", f"other/{k}", anomalous=k % 2 == 0, seed=500 + k) for k in range(6)]


def equal(one, other):
    assert set(one) == set(other)
    return all(np.array_equal(one[key], other[key]) for key in one)


def test_the_banks_are_made_of_normality_scenarios_and_others_set_the_scale(detector):
    heads = street().heads
    normal = normal_frames(heads)
    kept, aside = ({heads[at].group for at in part} for part in (normal.kept, normal.held_out))
    assert kept | aside == {f"town/0{k}" for k in (1, 3, 5, 7)} and not kept & aside
    assert (normal.groups_kept, normal.groups_held_out) == (3, 1) == (len(kept), len(aside))
    assert normal_frames(heads[::-1]).groups_held_out == 1
    assert all(len(bank.entries) == SIZE for bank in detector.banks.values())


def test_frames_of_other_scenarios_change_nothing(detector, frames):
    others = [one for one in street().frames if one.kind == "normality"]
    alone = MemoryBankDetector(FrameSet(others, VIEWS), size=SIZE, seed=0)
    assert all(torch.equal(alone.banks[name].entries, detector.banks[name].entries) for name in detector.banks)
    assert equal(alone.predict(FrameSet(frames, VIEWS)), detector.predict(FrameSet(frames, VIEWS)))


@pytest.mark.parametrize("how", ["flipped", "permuted"])
def test_labels_are_never_read(detector, frames, how):
    """Every label of the training split changed: banks, scale and scores are the same to the last bit."""
    if how == "flipped":
        spoilt = FrameSet(
            [
                replace(
                    one,
                    frame_label=1 - one.frame_label,
                    point_labels=1 - one.point_labels,
                    pixel_labels=1 - one.pixel_labels,
                    point_ids=one.point_ids[::-1].copy(),
                )
                for one in street().frames
            ],
            VIEWS,
        )
    else:
        spoilt = street(labels=how, label_seed=3, augment="flip")
    found = MemoryBankDetector(spoilt, size=SIZE, seed=0)
    for name, bank in detector.banks.items():
        assert torch.equal(bank.entries, found.banks[name].entries)
        assert torch.equal(bank.mean, found.banks[name].mean) and torch.equal(bank.scale, found.banks[name].scale)
    assert np.array_equal(detector.centre, found.centre) and np.array_equal(detector.spread, found.spread)
    blind = [replace(one, frame_label=0, pixel_labels=0 * one.pixel_labels) for one in frames]
    before, after = detector.predict(FrameSet(frames, VIEWS)), found.predict(FrameSet(blind, VIEWS))
    for key in ("frame_scores", "view_scores", "point_scores", "pixel_scores"):
        assert np.array_equal(before[key], after[key]), key
    assert not np.array_equal(before["pixel_labels"], after["pixel_labels"])


def test_another_seed_is_another_bank(detector):
    other = MemoryBankDetector(street(), size=SIZE, seed=1)
    assert not any(torch.equal(other.banks[name].entries, detector.banks[name].entries) for name in other.banks)


def test_something_bright_and_near_is_odd(detector, frames):
    """The disc of the tiny street, which both sensors see and no normal frame has."""
    found = detector.predict(FrameSet(frames, VIEWS))
    anomalous = found["frame_labels"] == 1
    assert ranking_scores(found["frame_scores"], anomalous.astype(np.int8)).auroc == 1
    for level, least in (("point", 0.7), ("pixel", 0.95)):
        scores, labels = found[f"{level}_scores"].reshape(-1), found[f"{level}_labels"].reshape(-1)
        known = labels >= 0
        auroc = ranking_scores(scores[known].astype(np.float32), labels[known]).auroc
        assert auroc is not None and auroc > least, (level, auroc)
    there = np.stack(
        [one["view"][-1] > 0 for one in (FrameSet(frames, VIEWS).sample(k, epoch=0, seed=0) for k in range(6))]
    )
    assert (found["view_scores"][~there] == 0).all() and (found["view_scores"][there] > 0).all()


def test_without_normal_scenarios_it_is_told():
    odd = [replace(one, kind="static") for one in tiny_frames(4, 2)]
    with pytest.raises(DataError, match=r"at least 2 scenarios of type normality(.|\n)*0 among 4"):
        MemoryBankDetector(FrameSet(odd, VIEWS), size=SIZE, seed=0)


def test_keys_that_nothing_would_read_are_refused():
    for idle in ({"reference_size": 50}, {"reference_weights": "some.safetensors"}):
        with pytest.raises(ConfigError, match="reference memory_bank beside them"):
            AnomalyRecipe(data="x", **idle)
    with pytest.raises(ConfigError, match="2 or more"):
        AnomalyRecipe(data="x", reference="memory_bank", reference_size=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """4 normality scenarios, 2 of them in the training split."""
    out = tmp_path_factory.mktemp("bank") / "world"
    DrivingWorld(DrivingOptions(scenarios=24, frames=2, height=32, width=48, seed=3, broken=0)).write(out)
    return out


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("bank_run") / "run")
    recipe = AnomalyRecipe(
        data=str(world), epochs=1, width=8, threads=1, controls="none", reference="memory_bank", reference_size=SIZE
    )
    anomaly.run(recipe, folder)
    return folder


def test_a_run_has_it_beside_its_own_scores_on_the_same_elements(run):
    results = json.loads(run.results.read_text(encoding="utf-8"))
    found = results["reference"][NAME]
    assert set(found["metrics"]) == set(results["metrics"])
    for name, entry in found["metrics"].items():
        own = results["metrics"][name]
        assert all(entry[key] == own[key] for key in ("n", "positives", "groups", "chance", "baselines")), name
        gain = found["model_gain"][name]
        sign = -1 if name.endswith("fpr95") else 1
        assert gain["value"] == pytest.approx(sign * (own["value"] - entry["value"])) and len(gain["ci95"]) == 2
    assert set(found["by_kind"]) == set(results["by_kind"])
    assert found["trainable"] == 0 and found["seconds"]["fit"] > 0
    assert found["normal"] == {"scenarios": 1, "frames": 2, "scenarios_held_out": 1, "frames_held_out": 2}
    assert found["banks"]["image"]["entries"] == SIZE and "random" in found["banks"]["points"]["features"]


def test_it_is_no_trivial_baseline_and_no_verdict_reads_it(run):
    results = json.loads(run.results.read_text(encoding="utf-8"))
    assert all(set(one["baselines"]) == {"prior", "position map", "range"} for one in results["metrics"].values())
    record = read_run(run.path)
    bare = replace(record, results={key: value for key, value in results.items() if key != "reference"})
    told = [[(one.word, one.sentence) for one in judge_all(which, ())] for which in (record, bare)]
    assert told[0] == told[1]


def test_alone_it_gives_the_same_scores_and_refuses_a_folder_in_use(run, world, tmp_path, capsys):
    words = ["baseline", "memory-bank", "--data", str(world), "--out", str(tmp_path / "out"), "--threads", "1"]
    assert cli.main([*words, "--bank", str(SIZE)]) == 0
    assert "a method that saw no labels" in capsys.readouterr().out
    alone = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    beside = json.loads(run.results.read_text(encoding="utf-8"))
    for key in ("metrics", "by_kind", "banks", "normal"):
        assert alone["reference"][NAME][key] == beside["reference"][NAME][key]
    assert alone["made_data"] is True and alone["reference"][NAME]["model_gain"] is None
    assert json.loads((tmp_path / "out" / "data.json").read_text()) == json.loads(run.data.read_text())
    assert cli.main(words) == 64 and "a new folder" in capsys.readouterr().err
    assert cli.main(["baseline", "memory-bunk"]) == 64 and "did you mean 'memory-bank'?" in capsys.readouterr().err


def test_a_run_that_could_not_have_it_ends_before_training(small_world, tmp_path, capsys):
    """The small world has one normality scenario in its training split."""
    out = tmp_path / "run"
    words = ["--data", str(small_world), "--cache", str(tmp_path / "cache"), "--reference", "memory_bank"]
    assert cli.main(["train", "anomaly", *words, "--run", str(out)]) == 65
    assert "normality" in capsys.readouterr().err and not out.exists()
    recipe = AnomalyRecipe(data=str(small_world), cache=str(tmp_path / "cache"))
    demand_reference(recipe, anomaly.prepare(recipe).data)

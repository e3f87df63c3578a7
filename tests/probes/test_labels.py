"""Labels that change between reads are found, wherever they are read from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.finished_run import finished_run
from veritrain.probes.labels import MOST, LabelsReadTwice


@pytest.mark.parametrize("labels", ["given", "permuted"])
def test_stable_labels_read_the_same_twice(tmp_path, labels):
    found = LabelsReadTwice().values(finished_run(tmp_path, labels=labels, trained=False))
    assert found == {"checked": 36 + 18 + 30, "differing": 0, "examples": []}


def test_redrawn_labels_are_found_and_the_test_split_is_cleared(tmp_path):
    found = LabelsReadTwice().values(finished_run(tmp_path, labels="redrawn", trained=False))
    assert 0 < found["differing"] <= 54 and 0 < len(found["examples"]) <= 5
    assert all(one.startswith(("train[", "val[")) for one in found["examples"])


def test_one_unstable_sample_is_named(tmp_path):
    run = finished_run(tmp_path, trained=False)
    reads = iter(range(1000))

    def label_of(split: str, index: int) -> bytes:
        return str(next(reads)).encode() if (split, index) == ("val", 4) else run.label_of(split, index)

    found = LabelsReadTwice().values(replace(run, label_of=label_of))
    assert (found["differing"], found["examples"]) == (1, ["val[4]"])


def test_labels_that_depend_on_the_order_of_reading_are_found(tmp_path):
    """A loader that draws from one seeded stream repeats itself as long as it is read in the same order."""
    run = finished_run(tmp_path, trained=False)
    reads = {"train": 0, "val": 0, "test": 0}

    def label_of(split: str, index: int) -> bytes:
        reads[split] += 1
        return bytes([reads[split] % len(getattr(run, split))])

    assert LabelsReadTwice().values(replace(run, label_of=label_of))["differing"] > 60


def test_a_large_set_is_sampled(tmp_path):
    run = finished_run(tmp_path, trained=False)
    asked = []

    def label_of(split: str, index: int) -> bytes:
        asked.append((split, index))
        return b"same"

    found = LabelsReadTwice().values(replace(run, train=range(MOST + 200), label_of=label_of))
    assert found["checked"] == MOST + 18 + 30
    assert len({index for split, index in asked if split == "train"}) == MOST

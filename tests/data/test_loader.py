"""Order is a pure function of (seed, epoch); ranks are disjoint; an epoch starts anywhere."""

from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiny_street import tiny_set
from training.toy import ToySet
from veritrain.data.loader import EpochLoader, epoch_batches, workers_explained
from veritrain.errors import BrokenFileError, DataError, SplitError

sizes = st.integers(1, 60)


@given(samples=sizes, batch=st.integers(1, 9), seed=st.integers(0, 5), epoch=st.integers(1, 5), world=st.integers(1, 3))
def test_ranks_share_each_epoch_without_overlap(samples, batch, seed, epoch, world):
    plan = {"batch_size": batch, "seed": seed, "epoch": epoch, "world": world, "drop_remainder": False}
    ranks = [epoch_batches(samples, rank=rank, **plan) for rank in range(world)]
    assert len({tuple(map(len, batches)) for batches in ranks}) == 1
    read = [index for batches in ranks for part in batches for index in part]
    assert len(read) == len(set(read)) == samples // world * world or samples % (batch * world) < world


@given(samples=sizes, batch=st.integers(1, 9))
def test_dropping_the_remainder_leaves_whole_batches_and_at_least_one(samples, batch):
    batches = epoch_batches(samples, batch_size=batch, seed=0, epoch=1)
    assert [len(part) for part in batches] == [batch] * max(samples // batch, 0) or batches == [batches[0]]
    assert batches


def test_epochs_and_seeds_differ_and_repeat():
    first = epoch_batches(40, batch_size=4, seed=0, epoch=1)
    assert first == epoch_batches(40, batch_size=4, seed=0, epoch=1)
    assert first != epoch_batches(40, batch_size=4, seed=0, epoch=2)
    assert first != epoch_batches(40, batch_size=4, seed=1, epoch=1)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_starts_later_gives_the_rest_of_the_same_batches(workers):
    loader = EpochLoader(ToySet(24), batch_size=4, seed=0, workers=workers, timeout=60)
    whole = list(loader.epoch(2))
    rest = list(loader.epoch(2, start=4))
    loader.close()
    assert len(whole) == loader.batches() == 6
    assert [batch["id"] for batch in rest] == [batch["id"] for batch in whole[4:]]
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(rest, whole[4:], strict=True))


def test_earlier_batches_are_not_read_again():
    data = ToySet(24)
    list(EpochLoader(data, batch_size=4, seed=0).epoch(1, start=5))
    assert len(data.read) == 4


def test_the_loader_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    list(EpochLoader(ToySet(8), batch_size=4, seed=0).epoch(1))
    assert torch.equal(torch.rand(3), expected)


class Troubled(ToySet):
    """Sample 5 raises or never comes."""

    def __init__(self, trouble: str) -> None:
        super().__init__(16)
        self.trouble = trouble

    def sample(self, index, *, epoch, seed):
        if index == 5 and self.trouble == "broken":
            raise BrokenFileError("truncated", expected="10 bytes", found="3", file="a/b.npy", line=7)
        if index == 5 and self.trouble == "bug":
            raise KeyError("no such key")
        if index == 5 and self.trouble == "hangs":
            signal.pause()
        return super().sample(index, epoch=epoch, seed=seed)

    def collate(self, samples):
        batch = super().collate(samples)
        del batch["index"]
        return batch


def test_the_index_is_there_even_if_collate_forgot_it():
    batches = list(EpochLoader(Troubled("none"), batch_size=4, seed=0).epoch(1))
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(16))


@pytest.mark.parametrize("workers", [0, 1])
def test_our_errors_keep_file_and_line_across_a_worker(workers):
    loader = EpochLoader(Troubled("broken"), batch_size=4, seed=0, workers=workers)
    with pytest.raises(BrokenFileError) as caught:
        list(loader.epoch(1))
    loader.close()
    assert (caught.value.file, caught.value.line, caught.value.found) == ("a/b.npy", 7, "3")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_the_data_set_names_the_sample(workers):
    loader = EpochLoader(Troubled("bug"), batch_size=4, seed=0, workers=workers)
    with pytest.raises(KeyError) as caught:
        list(loader.epoch(3))
    loader.close()
    assert "sample 5 in epoch 3" in str(caught.value) + str(getattr(caught.value, "__notes__", ""))


def test_a_worker_that_hangs_is_a_data_error(monkeypatch):
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.3)
    loader = EpochLoader(Troubled("hangs"), batch_size=4, seed=0, workers=1, timeout=1)
    with pytest.raises(DataError, match="no batch in time"), workers_explained():
        list(loader.epoch(1))
    loader.close()


def test_other_errors_are_not_explained_away():
    with pytest.raises(RuntimeError, match="shapes differ"), workers_explained():
        raise RuntimeError("shapes differ")


def test_too_few_samples_for_the_ranks_is_refused():
    with pytest.raises(SplitError):
        EpochLoader(ToySet(1), batch_size=4, seed=0, world=2)


@pytest.mark.parametrize("workers", [0, 1])
def test_packed_batches_are_for_those_who_ask(workers):
    def first(**options):
        loader = EpochLoader(tiny_set(), batch_size=4, seed=0, workers=workers, timeout=60, prefetch=1, **options)
        batch = next(iter(loader.epoch(1)))
        loader.close()
        return batch, loader.unpack

    (whole, _), (packed, unpack) = first(), first(packed=True)
    assert whole["image"].dtype == torch.float32 and packed["image"].dtype == torch.uint8
    assert torch.equal(unpack(packed)["image"], whole["image"])


def test_a_set_that_cannot_pack_is_read_as_ever():
    loader = EpochLoader(ToySet(8), batch_size=4, seed=0, packed=True)
    batch = next(iter(loader.epoch(1)))
    assert loader.unpack(batch) is batch

"""Frames held in memory or read when asked for: the same bits, and nothing kept that was not asked for."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from tiny_street import VIEWS, tiny_frame, tiny_frames, tiny_set
from veritrain.data.frame_cache import open_anovox
from veritrain.data.frames import LABEL_KEYS, ExchangedInput, FrameSet, arrays_of, bytes_held
from veritrain.data.held import StoredFrames, bytes_of, choose_hold, exchanged_groups, heads_of
from veritrain.data.loader import EpochLoader
from veritrain.data.paired_view import ViewOptions

SMALL_VIEWS = ViewOptions(rows=16, columns=36)


class Counted:
    """A source that counts what is read."""

    def __init__(self, source):
        self.source, self.reads = source, 0

    def read(self, key):
        self.reads += 1
        return self.source.read(key)

    def frame_label(self, key):
        return self.source.frame_label(key)


@pytest.fixture(scope="module")
def source(small_world, tmp_path_factory):
    return open_anovox(small_world, cache=tmp_path_factory.mktemp("decoded"))


@pytest.fixture
def stored(source) -> StoredFrames:
    return StoredFrames(Counted(source), source.keys()[8:24])


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("augment", ["none", "flip", "full"])
@pytest.mark.parametrize("labels", ["given", "permuted"])
def test_memory_and_disk_give_the_same_bits(stored, augment, labels):
    options = {"augment": augment, "labels": labels, "label_seed": 2}
    held, read = (FrameSet(stored, SMALL_VIEWS, hold=hold, **options) for hold in ("memory", "disk"))
    for index in (0, 5, 15):
        for epoch in (0, 1, 2):
            assert same(held.sample(index, epoch=epoch, seed=7), read.sample(index, epoch=epoch, seed=7))
        assert held.label_of(index) == read.label_of(index)
    assert held.heads == read.heads == heads_of(list(stored))


@pytest.mark.parametrize("hold", ["memory", "disk"])
@pytest.mark.parametrize("labels", ["given", "permuted"])
def test_labels_alone_are_those_of_the_sample(stored, hold, labels):
    data = FrameSet(stored, SMALL_VIEWS, hold=hold, labels=labels, augment="full")
    for index in range(len(data)):
        sample, alone = data.sample(index, epoch=3, seed=1), data.labels_at(index, epoch=3, seed=1)
        assert same({key: sample[key] for key in LABEL_KEYS}, alone)
        assert all(sample[key].dtype == alone[key].dtype for key in LABEL_KEYS)


def test_from_disk_nothing_is_read_before_it_is_asked_for_and_nothing_is_kept(stored):
    counter = stored._source
    data = FrameSet(stored, SMALL_VIEWS, hold="disk", labels="permuted", augment="flip")
    exchanged = ExchangedInput(data, "image")
    assert counter.reads == 0 and len(exchanged) == 16 and data.heads[3].group
    data.sample(3, epoch=0, seed=0)
    data.sample(3, epoch=0, seed=0)
    assert counter.reads == 4, "the frame and the donor of its labels, twice"
    assert not data._views
    assert data.with_permuted_labels(5).hold == "disk" and counter.reads == 4


def test_in_memory_everything_is_read_once(stored):
    data = FrameSet(stored, SMALL_VIEWS, augment="flip")
    for epoch in range(3):
        for index in range(len(data)):
            data.sample(index, epoch=epoch, seed=0)
    assert stored._source.reads == 16
    assert 16 < len(data._views) <= 32, "both sides, no more"


def test_what_never_comes_again_is_not_kept(stored):
    data = FrameSet(stored, SMALL_VIEWS, augment="full")
    for epoch in range(3):
        data.sample(0, epoch=epoch, seed=0)
    assert not data._views


def test_a_slice_and_the_order_are_those_of_the_keys(stored, source):
    assert [frame.id for frame in stored[2:5]] == [key.id for key in source.keys()[10:13]]
    assert len(stored[2:5]) == 3 and stored._source.reads == 3
    assert stored[-1].id == source.keys()[23].id and stored[np.int64(1)].id == source.keys()[9].id


def test_groups_are_exchanged_by_name_alone(stored):
    assert exchanged_groups(stored.heads(), 3) == exchanged_groups(list(stored), 3)
    assert exchanged_groups(stored.keys, 3) == exchanged_groups(list(stored), 3)


@pytest.mark.parametrize("hold", ["memory", "disk"])
def test_workers_read_what_this_process_reads(stored, hold):
    def batches(workers):
        data = FrameSet(stored, SMALL_VIEWS, hold=hold, augment="full")
        loader = EpochLoader(data, batch_size=4, seed=3, workers=workers, timeout=60)
        found = [batch for epoch in (1, 2) for batch in loader.epoch(epoch)]
        loader.close()
        return found

    for a, b in zip(batches(0), batches(2), strict=True):
        assert same(
            {k: v.numpy() for k, v in a.items() if not isinstance(v, list)},
            {k: v.numpy() for k, v in b.items() if not isinstance(v, list)},
        )


def drawn(data, pipe):
    pipe.send([data.sample(0, epoch=0, seed=0)["view_labels"].tobytes() for _ in range(60)])


def test_redrawn_labels_differ_between_processes_too():
    """The fault must be one in every worker: a forked generator would give all of them the same labels."""
    data = tiny_set(labels="redrawn")
    context = multiprocessing.get_context("fork")
    found = []
    for _ in range(2):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=drawn, args=(data, send))
        process.start()
        found.append(receive.recv())
        process.join()
    here = [data.sample(0, epoch=0, seed=0)["view_labels"].tobytes() for _ in range(60)]
    assert found[0] != found[1] and found[0] != here and len(set(here)) > 1


def test_memory_is_taken_where_it_suffices():
    assert choose_hold("auto", needed=5e6, budget_mb=5)[0] == "memory"
    assert choose_hold("auto", needed=5.1e6, budget_mb=5)[0] == "disk"
    assert choose_hold("memory", needed=1e12, budget_mb=5)[0] == "memory"
    assert choose_hold("disk", needed=0, budget_mb=5)[0] == "disk"
    _, told = choose_hold("auto", needed=44e9, budget_mb=4000)
    assert "44,000 MB" in told and "4,000" in told and "on disk" in told


def test_the_estimate_is_what_a_set_then_holds():
    frames = tiny_frames(2, 2)
    data = FrameSet(frames, VIEWS, augment="flip")
    for epoch in range(12):
        for index in range(4):
            data.sample(index, epoch=epoch, seed=0)
    assert len(data._views) == 8
    arrays = sum(array.nbytes for view in data._views.values() for array in view.values())
    shared = sum(2 * (f.point_labels.nbytes + f.point_ids.nbytes) + f.pixel_labels.nbytes for f in frames)
    held = arrays + sum(map(bytes_of, frames)) - shared
    estimate = sum(bytes_held(frame, VIEWS, augment="flip") for frame in frames)
    assert held <= estimate <= 1.25 * held, "labels that frame and arrays share are counted twice"
    one = tiny_frame("0", "a", anomalous=True, seed=1)
    alone = sum(array.nbytes for array in arrays_of(one, VIEWS).values())
    assert bytes_held(one, VIEWS, augment="none", copies=3) == bytes_of(one) + 3 * alone
    assert bytes_held(one, VIEWS, augment="full", copies=3) == bytes_of(one)

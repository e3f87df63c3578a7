"""A recipe's data that are not there, or that another task reads."""

from __future__ import annotations

import pytest

from veritrain import catalog, cli, config
from veritrain.errors import DataError, LayoutError
from veritrain.experiments.data_folder import opening
from veritrain.experiments.of_task import experiment_of
from veritrain.tasks.options import READS, RECIPES


def test_each_task_reads_formats_that_there_are():
    assert set(READS) == set(RECIPES) == set(catalog.TASKS)
    assert {name for formats in READS.values() for name in formats} == set(catalog.FORMATS)


@pytest.mark.parametrize("task", RECIPES)
def test_a_folder_that_does_not_exist_is_said_not_to(task, tmp_path, capsys):
    words = ["train", task, "--data", str(tmp_path / "nothere" / "set"), "--run", str(tmp_path / "r")]
    assert cli.main(words) == DataError.exit_code
    told = capsys.readouterr().err
    assert f"{tmp_path / 'nothere' / 'set'}: the data folder does not exist" in told
    assert f"no such folder; {tmp_path} is there" in told and "scenario" not in told
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("task", "world", "told"),
    [
        ("joint", "small_world", ("joint", "anovox", "veritrain train anomaly reads it")),
        ("anomaly", "small_echo", ("anomaly", "echo", "veritrain train joint reads it")),
        ("contrastive", "small_echo", ("contrastive", "echo", "veritrain train joint reads it")),
        ("openvocab", "small_world", ("openvocab", "anovox", "veritrain train anomaly reads it")),
        ("joint", "aerial_world", ("joint", "dior", "veritrain train contrastive or openvocab reads it")),
    ],
)
@pytest.mark.parametrize("tracked", [False, True])
def test_a_data_set_of_another_task_is_named_with_that_task(task, world, told, tracked, request):
    recipe = RECIPES[task](data=str(request.getfixturevalue(world)))
    with pytest.raises(LayoutError, match=f"another format than the task {told[0]} reads") as caught:
        experiment_of(task).prepare(config.Tracked(recipe) if tracked else recipe)
    assert caught.value.found == told[1] and told[2] in str(caught.value.fix)
    assert caught.value.expected == " or ".join(READS[task])


def test_what_is_wrong_inside_the_tasks_own_data_stays_as_it_is(small_world):
    with pytest.raises(DataError, match="broken in here"), opening(RECIPES["anomaly"](data=str(small_world))):
        raise DataError("broken in here")


def test_an_unknown_folder_keeps_the_words_of_the_task(tmp_path):
    with pytest.raises(LayoutError, match="no readable AnoVox scenario"):
        experiment_of("anomaly").prepare(RECIPES["anomaly"](data=str(tmp_path)))

from __future__ import annotations

import pytest

from veritrain import catalog
from veritrain.errors import RecordError
from veritrain.experiments.of_task import MODULES, experiment_of
from veritrain.tasks.options import QUICK, RECIPES

PARTS = ("run", "reopen", "plain_scores", "results_of", "scored", "make_evidence")


def test_every_task_has_an_experiment_a_recipe_and_a_quick_one():
    assert set(MODULES) == set(catalog.TASKS) == set(RECIPES) == set(QUICK)


@pytest.mark.parametrize("task", sorted(MODULES))
def test_an_experiment_offers_what_the_commands_ask_for(task):
    missing = [name for name in PARTS if not callable(getattr(experiment_of(task), name, None))]
    assert not missing


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(RecordError, match="no experiment") as caught:
        experiment_of("joynt")
    assert "joint" in str(caught.value)

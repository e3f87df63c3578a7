"""Test images with the boxes that an open-vocabulary detector gives, beside the labelled ones."""

from __future__ import annotations

from veritrain.experiments.openvocab_data import OpenVocabData
from veritrain.record import RunFolder
from veritrain.tasks.openvocab import OpenVocabTask
from veritrain.tasks.task import Predictions


def write_gallery(data: OpenVocabData, task: OpenVocabTask, predictions: Predictions, folder: RunFolder) -> None:
    """Pictures into ``figures/``."""
    folder.figures.mkdir(parents=True, exist_ok=True)

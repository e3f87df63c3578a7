"""Contrastive pre-training on captions, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from torch import nn

from veritrain.data.captioned_images import ExchangedInput, Input
from veritrain.errors import UsageError
from veritrain.experiments.caption_data import CaptionData, open_caption_data, trivial_scores
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.experiment import Experiment, Prepared
from veritrain.experiments.retrieval_pictures import write_gallery
from veritrain.experiments.run_folder import network_facts, valued
from veritrain.models.small_clip import SmallClip
from veritrain.probes.probe import hash_of
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.contrastive import ContrastiveTask, flip_labels
from veritrain.tasks.contrastive_options import ContrastiveRecipe
from veritrain.tasks.retrieval_tables import MEAN, RetrievalTables, same_for_all
from veritrain.tasks.task import Batch, Dataset, Predictions
from veritrain.training.evaluate import predict_set, scores_with_intervals
from veritrain.training.options import LoopOptions

VOCABULARY_NOTE = "caption_vocabulary"
"""Kind of the note in the record that says what the training captions named."""
OPEN = (
    "open-vocabulary: these towers have read captions that name the classes counted here; no class with a count above "
    "0 is new to them"
)

PreparedContrastive = Prepared[ContrastiveRecipe, CaptionData, ContrastiveTask]


class ContrastiveExperiment(Experiment[ContrastiveRecipe, CaptionData, ContrastiveTask]):
    """The steps of a run of contrastive pre-training."""

    RECIPE = ContrastiveRecipe

    def open(self, recipe: ContrastiveRecipe) -> tuple[CaptionData, ContrastiveTask]:
        """Read the data and set the task up."""
        network = recipe.shape_of_network()
        data = open_caption_data(recipe)
        return data, ContrastiveTask(network=network, vocabulary=data.vocabulary)

    def loop_options(self, recipe: ContrastiveRecipe) -> LoopOptions:
        """The recipe's, with a decay of weights alone, as CLIP has it."""
        return replace(super().loop_options(recipe), decayed="weights")

    def tell_more(self, prepared: PreparedContrastive, model: nn.Module, writer: RecordWriter) -> None:
        """How the split came about, what was left out, and what the captions name."""
        for sentence in prepared.data.told:
            writer.say(sentence)
        said = prepared.data.said
        text = f"{said['captions']} captions of {said['images']} images, {said['words']} words; {OPEN}"
        writer.event("note", kind=VOCABULARY_NOTE, text=text, **said)
        writer.say(text)

    def selected_by(self, task: ContrastiveTask) -> tuple[str, bool]:
        """The mean of all recalls: steadier than any of them."""
        return MEAN, True

    def about(self, prepared: PreparedContrastive) -> dict[str, Any]:
        task = prepared.task
        return {
            "network": asdict(task.network),
            "letterbox": list(prepared.data.card["image_size"]),
            "term_weights": dict(task.term_weights),
            "caption_vocabulary": dict(prepared.data.said),
            "left_out": dict(prepared.data.card["left_out"]),
        }

    def digest_of(self, card: Mapping[str, Any]) -> str:
        """SHA-256 of what a run's data are: the split, each decoded image, all captions, and the class names."""
        parts = {part: [content["contents"], content["labels_sha256"]] for part, content in card["splits"].items()}
        return hash_of(card["split_sha256"], json.dumps([parts, card["classes"]], sort_keys=True))

    def scored(self, prepared: PreparedContrastive, model: nn.Module) -> tuple[PreparedContrastive, Predictions]:
        """Nothing is chosen on validation but the checkpoint."""
        return prepared, predict_set(prepared.task, model, prepared.data.sets["test"])

    def results_of(self, prepared: PreparedContrastive, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""
        task, data = prepared.task, prepared.data
        validation = predict_set(task, model, data.sets["val"])
        predictions = predict_set(task, model, data.sets["test"])
        trivial = trivial_scores(data.sets["train"], data.sets["test"])
        baselines = {name: same_for_all(predictions, scores) for name, scores in trivial.items()}
        assert isinstance(model, SmallClip)
        return {
            "schema": 1,
            "task": task.name,
            "made_data": data.card["made_data"],
            "leaky_split": data.leaky,
            "metrics": scores_with_intervals(task, predictions, baselines, data.test_groups),
            "selection": {"split": "val", "metrics": valued(task.score(validation))},
            "samples": _samples(data),
            "caption_vocabulary": {"told": OPEN, **data.said},
            "left_out": data.card["left_out"],
            "temperature": 1 / float(model.temperature().detach()),
            **network_facts(model, data.sets["test"]),
        }, predictions

    def write_predictions(self, prepared: PreparedContrastive, predictions: Predictions, folder: RunFolder) -> None:
        """Where the first answer of each caption and of each image stands, as CSV, names as hashes; all as .npz."""
        folder.predictions.mkdir(exist_ok=True)
        keys = prepared.data.keys["test"]
        tables = RetrievalTables(predictions, prepared.data.test_groups)
        owners = np.repeat(np.arange(len(keys)), predictions["caption_counts"])
        for name, of, places, candidates in (
            ("captions", owners, tables.places("text_to_image"), len(keys)),
            ("images", np.arange(len(keys)), tables.places("image_to_text"), len(owners)),
        ):
            rows = ["id,group,place,candidates"]
            rows += [
                f"{short_hash(keys[at].id)},{short_hash(keys[at].group)},{place:g},{candidates}"
                for at, place in zip(of.tolist(), places, strict=True)
            ]
            (folder.predictions / f"test_{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        np.savez_compressed(folder.predictions / "test.npz", **dict(predictions))  # type: ignore[arg-type]

    def write_gallery(self, prepared: PreparedContrastive, predictions: Predictions, folder: RunFolder) -> None:
        write_gallery(prepared.data, predictions, folder)

    def flip_labels(self, batch: Batch, data: CaptionData) -> Batch:
        return flip_labels(batch)

    def exchanged(self, data: CaptionData, name: str) -> Dataset:
        return ExchangedInput(data.sets["test"], _input(name))


def _input(name: str) -> Input:
    if name == "image":
        return "image"
    if name == "text":
        return "text"
    raise UsageError(f"no input '{name}'", expected="image or text", found=name)


def _samples(data: CaptionData) -> dict[str, Any]:
    """What n stands for."""
    test = data.sets["test"]
    texts = [text for those in test.captions for text in those]
    return {
        "images": len(test),
        "captions": len(texts),
        "different_captions": len(set(texts)),
        "scenes": len(set(data.test_groups)),
    }


EXPERIMENT = ContrastiveExperiment()

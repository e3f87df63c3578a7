"""Open-vocabulary detection from above, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from veritrain import config
from veritrain.data.asked_frames import AskedFrames
from veritrain.data.open_vocabulary import Asked
from veritrain.errors import CheckpointError, UsageError
from veritrain.experiments.aerial_windows import NAME as WINDOWS
from veritrain.experiments.aerial_windows import WindowBaseline, window_baseline
from veritrain.experiments.box_rows import write_box_rows
from veritrain.experiments.experiment import Experiment, Prepared
from veritrain.experiments.openvocab_data import OpenVocabData, open_openvocab_data, pretraining_told
from veritrain.experiments.openvocab_pictures import write_gallery, write_inside
from veritrain.experiments.openvocab_results import openvocab_results, text_controls
from veritrain.experiments.run_folder import FREE_ON_RESUME, demand_same_data, network_facts
from veritrain.losses.report002 import DECLARED
from veritrain.losses.set_detection import WEIGHTS
from veritrain.models.named_detector import NamedDetector
from veritrain.models.options import DetectorOptions
from veritrain.models.tower_start import TowerStart, remembered
from veritrain.models.window_options import WindowOptions
from veritrain.probes.probe import hash_of
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.openvocab import NOTHING_CALLED, OpenVocabTask, flip_labels
from veritrain.tasks.openvocab_options import OpenVocabRecipe
from veritrain.tasks.origin002 import Report002Task
from veritrain.tasks.task import Batch, Predictions
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set
from veritrain.training.options import LoopOptions

VOCABULARY_NOTE = "vocabulary"
"""Kind of the note in the record that holds the prompts, word for word, and what the towers' captions named."""

OTHER_WORDS = {"names shuffled": "texts:shuffled:0", "nonsense words": "texts:nonsense"}
"""Control to the input of ``exchanged`` that makes it."""

PreparedOpenVocab = Prepared[OpenVocabRecipe, OpenVocabData, OpenVocabTask]


class OpenVocabExperiment(Experiment[OpenVocabRecipe, OpenVocabData, OpenVocabTask]):
    """The steps of a run of open-vocabulary detection."""

    RECIPE = OpenVocabRecipe
    FREE_ON_RESUME = (*FREE_ON_RESUME, "towers")
    """The towers may lie elsewhere; that they are the same is told by their digest."""

    def open(self, recipe: OpenVocabRecipe) -> tuple[OpenVocabData, OpenVocabTask]:
        """Read the data, embed the words and set the task up."""
        return self._open(recipe, None)

    def _open(self, recipe: OpenVocabRecipe, start: TowerStart | None) -> tuple[OpenVocabData, OpenVocabTask]:
        data = open_openvocab_data(recipe, start)
        rows = len(data.words.vocabulary.names)
        texts = torch.zeros(rows, data.start.pair.embed_dim) if data.texts is None else data.texts.vectors
        if recipe.network == "origin002":
            return data, Report002Task(
                options=DetectorOptions(),
                words=data.words,
                texts=texts,
                tower=data.start.image,
                term_weights=DECLARED,
                max_detections=recipe.max_detections,
            )
        weights = {name: WEIGHTS[name] for name in WEIGHTS if name != "contrast"}
        return data, OpenVocabTask(
            options=recipe.shape_of_detector(),
            words=data.words,
            texts=texts,
            tower=data.start.image,
            tower_scale=float(data.start.pair.temperature().detach()),
            term_weights={**weights, "contrast": WEIGHTS["contrast"] * recipe.contrast_weight},
            class_loss=recipe.class_loss,
            max_detections=recipe.max_detections,
        )

    def loop_options(self, recipe: OpenVocabRecipe) -> LoopOptions:
        """The recipe's, with a decay of weights alone."""
        return replace(super().loop_options(recipe), decayed="weights")

    def refuse_changes(self, prepared: PreparedOpenVocab, recipe: OpenVocabRecipe, folder: RunFolder) -> None:
        """Neither may the towers that the run started from."""
        super().refuse_changes(prepared, recipe, folder)
        newest = checkpoints.newest(folder)
        before = None if newest is None else newest.state["recipe"].get("towers")
        now = prepared.data.start.sha256
        if newest is not None and before != now:
            raise CheckpointError(
                "the towers that the run starts from changed",
                expected="no towers" if before is None else f"towers with sha256 {before}",
                found="no towers" if now is None else f"towers with sha256 {now}",
                fix="resume with the file that the run started from, or train a new run",
                file=recipe.towers or folder.recipe,
            )

    def tell_more(self, prepared: PreparedOpenVocab, model: nn.Module, writer: RecordWriter) -> None:
        """How the split came about, what is novel, the towers, and every prompt word for word."""
        data = prepared.data
        told = pretraining_told(data)
        for sentence in (data.aerial.split.told(), data.aerial.vocabulary.told(), data.start.told(), told["told"]):
            writer.say(sentence)
        vocabulary = data.words.vocabulary
        for line in vocabulary.told():
            writer.say(line)
        tower = None if data.texts is None else data.texts.tower
        writer.event("note", kind=VOCABULARY_NOTE, text=told["told"], text_tower=tower, **vocabulary.as_json())

    def about(self, prepared: PreparedOpenVocab) -> dict[str, Any]:
        task, data = prepared.task, prepared.data
        return {
            "network": asdict(task.options),
            "towers": data.start.shape(),
            "base": list(task.words.base),
            "novel": list(task.words.novel),
            "prompts": task.words.vocabulary.as_json(),
            "letterbox": list(data.card["image_size"]),
            "term_weights": dict(task.term_weights),
        }

    def start_digests(self, prepared: PreparedOpenVocab) -> dict[str, str | None]:
        return {"towers": prepared.data.start.sha256}

    def digest_of(self, card: Mapping[str, Any]) -> str:
        """SHA-256 of what a run's data are: the split, each decoded image, all labels, the classes, the protocol."""
        parts = {part: [content["contents"], content["labels_sha256"]] for part, content in card["splits"].items()}
        told = [parts, card["classes"], card["open_vocabulary"]["novel"], card["open_vocabulary"]["protocol"]]
        return hash_of(card["split_sha256"], json.dumps(told, sort_keys=True))

    def reopen(self, folder: RunFolder) -> tuple[PreparedOpenVocab, nn.Module]:
        """As ever. The checkpoint holds the words and all weights: where the towers' file has gone, their shape is
        taken from it, and nothing but fresh networks is out of reach.

        Raises:
            RecordError: the folder is no run, or its data are not those it was trained on.
        """
        recipe: OpenVocabRecipe = config.load(self.RECIPE, folder.recipe)
        best = checkpoints.best(folder)
        start = self._start_again(recipe, best.state["about"]["towers"], best.state["recipe"].get("towers"))
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        data, task = self._open(recipe, start)
        demand_same_data(folder, data.card, self.digest_of)
        model = replace(task, tower=data.start.blank).model()
        checkpoints.load_weights(best, model)
        task = replace(task, texts=model.words.clone())  # type: ignore[operator]
        return Prepared(recipe=recipe, data=data, task=task), model

    @staticmethod
    def _start_again(recipe: OpenVocabRecipe, shape: Mapping[str, Any], sha256: str | None) -> TowerStart | None:
        """The towers' shape where their file has gone or is another one now; None: they can be read again."""
        if not recipe.towers:
            return None
        try:
            start = TowerStart.of(recipe.towers, activation=recipe.activation)
        except (UsageError, CheckpointError, OSError):
            return remembered(shape)
        return start if start.sha256 == sha256 else remembered(shape)

    def scored(self, prepared: PreparedOpenVocab, model: nn.Module) -> tuple[PreparedOpenVocab, Predictions]:
        """The task with its threshold, and the test predictions."""
        task, _ = _with_threshold(prepared, model)
        return replace(prepared, task=task), predict_set(task, model, prepared.data.sets["test"])

    def results_of(self, prepared: PreparedOpenVocab, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""
        data = prepared.data
        task, validation = _with_threshold(prepared, model)
        predictions: dict[Asked, Predictions] = {
            asked: predict_set(task, model, frames) for asked, frames in data.asked.items()
        }
        words = {name: predict_set(task, model, self.exchanged(data, way)) for name, way in OTHER_WORDS.items()}
        windows = _windows(data)
        return {
            **openvocab_results(
                task,
                data,
                predictions,
                validation,
                {asked: {WINDOWS: one.predictions} for asked, one in windows.items()},
            ),
            "text_controls": text_controls(task, data, predictions["all"], words),
            "windows": {asked: dict(one.about) for asked, one in windows.items()} or None,
            **network_facts(model, data.sets["test"]),
        }, predictions["all"]

    def as_scored(self, prepared: PreparedOpenVocab, results: Mapping[str, Any]) -> PreparedOpenVocab:
        """The task with the threshold of validation."""
        chosen = results["selection"]["threshold"]
        return replace(prepared, task=replace(prepared.task, threshold=NOTHING_CALLED if chosen is None else chosen))

    def write_predictions(self, prepared: PreparedOpenVocab, predictions: Predictions, folder: RunFolder) -> None:
        """One row a box as CSV, names as hashes; everything as .npz (no pickles)."""
        folder.predictions.mkdir(exist_ok=True)
        keys, names = prepared.data.keys["test"], prepared.task.words.names
        np.savez_compressed(folder.predictions / "test.npz", **dict(predictions))  # type: ignore[arg-type]
        write_box_rows(folder.predictions / "test_boxes.csv", predictions, keys, names)

    def write_gallery(self, prepared: PreparedOpenVocab, predictions: Predictions, folder: RunFolder) -> None:
        write_gallery(prepared.data, prepared.task, predictions, folder)

    def write_inside(self, prepared: PreparedOpenVocab, model: nn.Module, folder: RunFolder) -> None:
        assert isinstance(model, NamedDetector)
        write_inside(prepared.data, prepared.task, model, folder)

    def flip_labels(self, batch: Batch, data: OpenVocabData) -> Batch:
        return flip_labels(batch, classes=len(data.words.base))

    def exchanged(self, data: OpenVocabData, name: str) -> AskedFrames:
        """``image``: of another scene; ``texts``: each class has the name of another one; ``texts:shuffled:K``: in
        the K-th other way; ``texts:nonsense``: each class has a word that means nothing."""
        test, words = data.sets["test"], data.words
        if name == "image":
            return test.with_exchanged_images()
        kind, _, seed = name.removeprefix("texts").strip(":").partition(":")
        known: dict[str, Callable[[], tuple[int, ...]]] = {
            "": partial(words.shuffled_rows, 0),
            "nonsense": words.nonsense_rows,
        }
        if seed.isdecimal():
            known["shuffled"] = partial(words.shuffled_rows, int(seed))
        if not name.startswith("texts") or kind not in known:
            raise UsageError(f"no input '{name}'", expected="image or texts", found=name)
        return test.with_asked(known[kind]())


def _windows(data: OpenVocabData) -> dict[Asked, WindowBaseline]:
    """What the towers find without training, by vocabulary; nothing where their numbers are not known any more."""
    if not data.start.known:
        return {}
    options = WindowOptions()
    return {
        asked: window_baseline(data.start.pair, frames.frames, data.aerial.names_of(asked), options)
        for asked, frames in data.asked.items()
    }


def _with_threshold(prepared: PreparedOpenVocab, model: nn.Module) -> tuple[OpenVocabTask, Predictions]:
    """The task with the score threshold that is best on validation, and the predictions it was chosen on."""
    task = replace(prepared.task, threshold=None)
    validation = predict_set(task, model, prepared.data.sets["val"])
    chosen = replace(task, asked="base").tables(validation, ["all"] * len(validation["index"])).best_threshold()
    return replace(task, threshold=NOTHING_CALLED if chosen is None else float(chosen.threshold)), validation


EXPERIMENT = OpenVocabExperiment()

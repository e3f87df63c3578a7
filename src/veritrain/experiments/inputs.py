"""A finished network on frames of its own data or of folders that it never saw, labelled or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import nn

from veritrain import catalog, config
from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_index import scenario_folders
from veritrain.data.options import AnoVoxOptions
from veritrain.data.paired_view import ViewOptions
from veritrain.data.sample import Frame, FrameKey
from veritrain.data.sensors import read_rgb
from veritrain.errors import BrokenFileError, DataError, RecordError, UsageError
from veritrain.experiments.anomaly import EXPERIMENT
from veritrain.experiments.evaluation import open_source
from veritrain.experiments.networks import network_options, view_options
from veritrain.models.origin_facts import returns_of
from veritrain.record import RunFolder
from veritrain.tasks.anomaly import AnomalyTask, claims_of
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training import checkpoint as checkpoints

ASPECT = 0.02
"""How much the shape of a foreign image may differ from that of the run's (share of width over height)."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A finished run as far as predicting needs it: the network with its best weights and what it reads."""

    task: AnomalyTask
    model: nn.Module
    views: ViewOptions
    cloud: int
    size: tuple[int, int]


@dataclass(kw_only=True)
class Selected:
    """Frames to predict, read one at a time.

    Attributes:
        own: whether they are of the run's own data (their names then stay out of what is written in the run).
        broken: id and reason of frames that could not be read so far.
        resized: id of each frame whose image is given in the run's size -> its stored (height, width), as far as read.
    """

    source: AnoVoxFormat
    keys: Sequence[FrameKey]
    own: bool
    size: tuple[int, int]
    broken: list[dict[str, str]] = field(default_factory=list)
    resized: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[FrameKey, Frame]]:
        for key in self.keys:
            try:
                if not self.own:
                    self._demand_shape(key)
                yield key, self.source.read(key)
            except BrokenFileError as error:
                if self.source.options.on_broken == "error":
                    raise
                self.broken.append({"frame": key.id, "reason": error.message})

    def _demand_shape(self, key: FrameKey) -> None:
        """Refuses an image that would be distorted in the run's size."""
        file = self.source.file(key, "RGB-CAM")
        assert file is not None  # a frame has an image, or it would be none
        height, width = read_rgb(file).shape[:2]
        if abs(width / height / (self.size[1] / self.size[0]) - 1) > ASPECT:
            raise DataError(
                "the image has another shape than those the network was trained on",
                file=file,
                expected=f"{self.size[0]} x {self.size[1]} (height x width), or larger or smaller in the same ratio",
                found=f"{height} x {width}",
                fix="cut the images and adapt their field of view, or train a run on images of this shape",
            )
        if (height, width) != self.size:
            self.resized[key.id] = (height, width)


def open_samples(folder: RunFolder, split: str, count: int) -> tuple[Opened, Selected]:
    """Evenly spaced frames of a split of the run's own data, which must be those it was trained on."""
    prepared, model = EXPERIMENT.reopen(folder)
    keys = spaced(prepared.data.keys[split], count)
    first = prepared.data.sets[split].frames[0].image.shape
    size = (int(first[0]), int(first[1]))
    opened = Opened(
        task=prepared.task,
        model=model,
        views=prepared.data.sets[split].views,
        cloud=prepared.data.sets[split].cloud,
        size=size,
    )
    return opened, Selected(source=open_source(prepared.recipe), keys=keys, own=True, size=size)


def open_inputs(folder: RunFolder, path: str, count: int, layout: str = "auto") -> tuple[Opened, Selected]:
    """The frames of a folder that a driving format recognises (evenly spaced ones with a count above 0).

    The run's own data are not needed. Images of another size are given in the run's (area means), labels and
    calibration with them. ``layout`` says which scenarios are meant where those of both AnoVox layouts lie.

    Raises:
        DataError: no such folder, or none that is recognised; both layouts and "auto"; an image of another shape.
        RecordError: the run does not say how large its images were.
    """
    recipe = config.load(AnomalyRecipe, folder.recipe)
    size = _stored_size(folder)
    known = [name for name in catalog.FORMATS if catalog.resolve("formats", name).recognises(path)]
    if not known:
        raise DataError(
            "no frames are recognised here",
            file=path,
            expected=f"a folder of a known format: {', '.join(catalog.FORMATS)} (a data set, an archive or a scenario)",
            found=_what_is_there(Path(path)),
            fix="give the folder that holds the extracted scenarios",
        )
    options = AnoVoxOptions(on_broken=recipe.on_broken, layout=layout, image_height=size[0], image_width=size[1])
    source = AnoVoxFormat(path, options)
    return _opened(folder, recipe, size), Selected(
        source=source, keys=spaced(source.keys(), count), own=False, size=size
    )


def _what_is_there(folder: Path) -> str:
    """In words, where no format recognises a folder."""
    if not folder.is_dir():
        return "no such folder"
    scenarios = scenario_folders(folder)
    if not scenarios:
        return "a folder without scenarios"
    return f"{len(scenarios)} scenario folders, none with a sensor_setup.json, or with RGB_IMG and PCD"


def _opened(folder: RunFolder, recipe: AnomalyRecipe, size: tuple[int, int]) -> Opened:
    """As ``reopen``, without the data: what only losses need (weights of classes) is left at 1."""
    task = AnomalyTask(
        network=replace(network_options(recipe), image_weights=""),
        loss=recipe.loss,
        pos_weights={},
        term_weights={},
        claims=claims_of(recipe.model),
        model_name=recipe.model,
    )
    model = task.model()
    checkpoints.load_weights(checkpoints.best(folder), model)
    cloud = returns_of(recipe.model, recipe.cloud)
    return Opened(task=task, model=model, views=view_options(recipe), cloud=cloud, size=size)


def _stored_size(folder: RunFolder) -> tuple[int, int]:
    card = json.loads(folder.data.read_text(encoding="utf-8")) if folder.data.is_file() else {}
    if "image_size" not in card:
        raise RecordError(
            "the run does not say how large its images were",
            file=folder.data,
            expected="image_size, which runs of this version write",
            found="none",
            fix="train the run again, or predict --samples of its own data",
        )
    height, width = card["image_size"]
    return int(height), int(width)


def spaced(keys: Sequence[FrameKey], count: int) -> list[FrameKey]:
    """``count`` evenly spaced keys, all with 0.

    Raises:
        UsageError: fewer than none.
    """
    if count < 0:
        raise UsageError("nothing to predict", expected="--samples of at least 1", found=str(count), fix="--samples 8")
    if count == 0 or count >= len(keys):
        return list(keys)
    return [keys[i] for i in np.unique(np.linspace(0, len(keys) - 1, count).round().astype(int))]

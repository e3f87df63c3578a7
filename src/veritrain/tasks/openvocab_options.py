"""The recipe of open-vocabulary detection from above. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from veritrain.data.open_vocabulary import NOVEL_DIOR
from veritrain.data.options import AerialDataOptions, BoxChanges
from veritrain.errors import ConfigError
from veritrain.models.options import Activation, CellLabels, DetectorOptions, MemoryAttention, QuerySource
from veritrain.tasks.recipe import Recipe

Head = Literal["dense", "detr"]
OF_DETECTOR = (
    "tower", "class_loss", "contrast_weight", "head", "gate", "text_conditioning", "context_anchor", "finest", "width",
    "base_vote", "novel_vote",
    "heads", "encoder_layers", "queries", "query_source", "cell_labels", "decoder_layers", "attention", "points",
)  # fmt: skip
"""Keys that report 002's classifier does not read."""


@dataclass(frozen=True, kw_only=True)
class OpenVocabRecipe(Recipe):
    """Boxes of whatever classes words name on images from above, from a folder of images to a judged run.

    Attributes:
        data: a folder in DIOR's layout, or COCO's JSON; which of them, the content tells.
        labels: given; permuted (scenes exchange their boxes) or redrawn (random boxes at every read): spoilt on
            purpose.
        split: published (the data set's own parts), given (by scene), or val=train (spoilt on purpose).
        novel: classes that are not learned and are asked for afterwards.
        protocol: images-removed (no image with a novel object trains or selects: leak-free) or boxes-removed (their
            boxes alone go; the objects are seen, as background).
        boxes: auto, horizontal or oriented, where DIOR's layout has both.
        block: ids that make a group where DIOR's layout declares no scenes.
        imgsz: pixels of the longer side of an image, a multiple of 32.
        towers: a run of `veritrain train contrastive`, or a local CLIP or RemoteCLIP file: image and text tower. Empty
            is a small pair that nobody trained: its words tell classes apart and mean nothing.
        activation: quick_gelu or gelu: of a CLIP file's transformers, which the file does not tell.
        prompts: ensemble (three sentences a class, averaged) or bare (the name alone).
        network: detector, or origin002 (report 002's image classifier, which answers with no box: spoilt on purpose).
        head: dense (each cell of each level answers with a box) or detr (queries, refined layer by layer).
        tower: what moves of the image tower: frozen, low_rate (a tenth of the rate), trainable, or scratch (statistics
            too); auto is low_rate with towers and scratch without.
        gate: features are scaled and shifted by the embedding of the whole image.
        text_conditioning: features attend to the texts of all classes.
        context_anchor: the embedding of the whole image is one more column that objects learn not to be.
        finest: 8, or 4: pixels a cell of the finest level.
        base_vote: share that the towers' own opinion of a box has in the score of a class with boxes in training (a
            geometric mean; 0 is none).
        novel_vote: the same for every other word.
        width: channels of the memory and of the queries.
        heads: of every attention.
        encoder_layers: of self-attention on the tower's coarsest map.
        queries: of detr: answers an image.
        query_source: of detr: memory (cells with the best class score) or learned.
        cell_labels: of detr from memory: many cells an object learn to be chosen, or one.
        decoder_layers: of detr.
        attention: of detr: deformable or full.
        points: of deformable attention: places a level and head.
        class_loss: varifocal (the score is to be the box's overlap) or focal (it is to be 1).
        contrast_weight: of the contrast among classes and context; 0 leaves it out of the total.
        max_detections: of one image and class that are scored, the surest ones (COCO 100, DIOR 500).
        flip: share of training images mirrored.
        turn: share turned by 90, 180 or 270 degrees.
        scale: largest change of their size: factors from 1 - scale to 1 + scale.
        crop: share that are cut to a window.
        colour: largest change of brightness and contrast.
        mosaic: share that are made of four images.
        on_broken: error, or skip (listed and counted), for files that cannot be meant and images that are missing.
    """

    epochs: int = 40
    batch_size: int = 8
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    validate_every: int = 4
    control_steps: int = 200
    split: Literal["published", "given", "val=train"] = "published"
    novel: list[str] = field(default_factory=lambda: list(NOVEL_DIOR))
    protocol: Literal["images-removed", "boxes-removed"] = "images-removed"
    boxes: Literal["auto", "horizontal", "oriented"] = "auto"
    block: int = 10
    imgsz: int = 256
    towers: str = ""
    activation: Activation = "quick_gelu"
    prompts: Literal["ensemble", "bare"] = "ensemble"
    network: Literal["detector", "origin002"] = "detector"
    head: Head = "dense"
    tower: Literal["auto", "scratch", "frozen", "low_rate", "trainable"] = "auto"
    gate: bool = True
    text_conditioning: bool = True
    context_anchor: bool = True
    finest: int = 8
    base_vote: float = 0.0
    novel_vote: float = 0.0
    width: int = 128
    heads: int = 8
    encoder_layers: int = 1
    queries: int = 300
    query_source: QuerySource = "memory"
    cell_labels: CellLabels = "many"
    decoder_layers: int = 6
    attention: MemoryAttention = "deformable"
    points: int = 4
    class_loss: Literal["varifocal", "focal"] = "varifocal"
    contrast_weight: float = 1.0
    max_detections: int = 100
    flip: float = 0.5
    turn: float = 0.5
    scale: float = 0.2
    crop: float = 0.0
    colour: float = 0.1
    mosaic: float = 0.0
    on_broken: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if self.max_detections < 1:
            found = str(self.max_detections)
            raise ConfigError("max_detections is too small", expected="1 or more", found=found)
        if self.contrast_weight < 0:
            found = str(self.contrast_weight)
            raise ConfigError("contrast_weight is out of its range", expected="0 or more", found=found)
        if not self.towers and self.tower in ("frozen", "low_rate"):
            raise ConfigError(
                f"tower {self.tower} needs towers that know something",
                expected="towers, or tower auto, scratch or trainable",
                found="no towers",
                fix="--towers RUN|FILE, or leave --tower out",
            )
        if not self.towers and (self.base_vote or self.novel_vote):
            raise ConfigError(
                "a vote needs towers that know something",
                expected="towers, or base_vote 0 and novel_vote 0",
                found="no towers",
                fix="--towers RUN|FILE, or leave the votes out",
            )
        self._refuse_idle_keys()
        self.shape_of_detector()
        self.data_options()

    def _refuse_idle_keys(self) -> None:
        """A key that changes nothing beside the others must keep its default."""
        idle = [key for key in OF_DETECTOR if self.network == "origin002" and getattr(self, key) != _default_of(key)]
        if not self.towers and self.activation != _default_of("activation"):
            idle.append("activation")
        if idle:
            raise ConfigError(
                f"{', '.join(idle)} changes nothing here",
                expected=", ".join(f"{key} = {_default_of(key)} (its default)" for key in idle),
                found=f"network {self.network}, towers '{self.towers}'",
                fix="leave it out",
            )

    @property
    def bare(self) -> bool:
        """Whether the text tower reads names alone, as in report 002."""
        return self.prompts == "bare" or self.network == "origin002"

    @property
    def tuning(self) -> Literal["scratch", "frozen", "low_rate", "trainable"]:
        """What moves of the image tower."""
        if self.tower == "auto":
            return "low_rate" if self.towers else "scratch"
        return self.tower

    def shape_of_detector(self) -> DetectorOptions:
        """The network's options; refuses what does not fit together."""
        return DetectorOptions(
            kind="query" if self.head == "detr" else "dense",
            tower=self.tuning,
            width=self.width,
            heads=self.heads,
            encoder_layers=self.encoder_layers,
            gate=self.gate,
            text_conditioning=self.text_conditioning,
            context_anchor=self.context_anchor,
            finest=self.finest,
            base_vote=self.base_vote,
            novel_vote=self.novel_vote,
            queries=self.queries,
            query_source=self.query_source,
            cell_labels=self.cell_labels,
            decoder_layers=self.decoder_layers,
            attention=self.attention,
            points=self.points,
        )

    def data_options(self) -> AerialDataOptions:
        """Which images train, select and test, and how training images are changed."""
        return AerialDataOptions(
            data=self.data,
            cache=self.cache,
            split=self.split,
            novel=tuple(self.novel),
            protocol=self.protocol,
            imgsz=self.imgsz,
            boxes=self.boxes,
            block=self.block,
            on_broken=self.on_broken,
            labels=self.labels,
            label_seed=self.seed,
            changes=BoxChanges(
                flip=self.flip,
                turn=self.turn,
                scale=self.scale,
                crop=self.crop,
                colour=self.colour,
                mosaic=self.mosaic,
            ),
            hold=self.hold,
            memory_mb=self.memory_mb,
            workers=self.workers,
        )


def _default_of(key: str) -> Any:
    return getattr(OpenVocabRecipe, key)

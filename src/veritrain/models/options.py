"""What can be chosen about the networks. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Fusion = Literal["attention", "concat", "late", "image_only", "points_only"]
ImageTower = Literal["small", "resnet18", "resnet50"]
PointsTower = Literal["range_view", "raw"]
Freeze = Literal["none", "image", "points", "both"]
Positional = Literal["none", "sincos", "learned", "hybrid"]
Alignment = Literal["nearest", "bilinear", "network"]
Head = Literal["mlp", "multiscale", "voxel"]
FrameJoin = Literal["mean", "smooth_max", "noisy_or"]
YoloSize = Literal["n", "s", "m", "l", "x"]
ViewHead = Literal["none", "p3", "p5", "pooled"]
ClipName = Literal["RN50", "ViT-B-32", "ViT-L-14"]
Activation = Literal["quick_gelu", "gelu"]
Tuning = Literal["frozen", "low_rate", "trainable"]
Pooling = Literal["attention", "mean"]
DetectorKind = Literal["dense", "query"]
TowerTuning = Literal["scratch", "frozen", "low_rate", "trainable"]
QuerySource = Literal["memory", "learned"]
MemoryAttention = Literal["deformable", "full"]
CellLabels = Literal["many", "one"]
Anchors = tuple[tuple[tuple[float, float], ...], ...]
"""Width and height in pixels, of each anchor of P3, P4 and P5."""

COCO_ANCHORS: Anchors = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
STRIDES = (8, 16, 32)
"""Pixels a cell of P3, P4 and P5."""


@dataclass(frozen=True, kw_only=True)
class FusionOptions:
    """The fusion detector's shape.

    Attributes:
        fusion: how image and LiDAR meet: attention, concat (features), late (logits), or one of them alone.
        width: channels of both encoders' feature maps.
        blocks: residual blocks of each encoder, at least 1; a ResNet has its own.
        heads: attention heads; divides half of ``width``.
        dropout: share of feature channels dropped before the dense heads, in [0, 1).
        modality_dropout: share of training samples whose views are not fused, in [0, 1) (ModDrop; Neverova et al.
            2016, section 3.3): without it the easier sensor leaves the other one untrained.
        image_tower: small, or torchvision's resnet18 or resnet50 with a top-down merge to stride 4.
        points_tower: range_view (convolutions on the sensor's grid), or raw (features of every return, max-pooled).
        image_weights: a local .safetensors file for the image tower; empty starts from scratch.
        freeze: towers whose parameters and batch statistics never change (unless training unfreezes a part).
        positional: what tells tokens where they are, in metres of the LiDAR frame.
        alignment: how a LiDAR token reads the image where it projects: cells by index (nearest), interpolated at
            the sub-pixel place (bilinear), or cells of a map refined by a gated network (network).
        head: mlp (a logit a cell), multiscale (logits at 1, 2 and 4 times the cell), or voxel (a 3-D network on a
            grid before the car, beside the mlp).
        frame_join: how the frame's logit is made of the evidence of both views: their mean, a smooth maximum, or a
            noisy OR (trained by the mean).

    Raises:
        ConfigError: an unknown word, or choices that mean nothing together.
    """

    fusion: Fusion = "attention"
    width: int = 32
    blocks: int = 2
    heads: int = 4
    dropout: float = 0.1
    modality_dropout: float = 0.5
    image_tower: ImageTower = "small"
    points_tower: PointsTower = "range_view"
    image_weights: str = ""
    freeze: Freeze = "none"
    positional: Positional = "none"
    alignment: Alignment = "nearest"
    head: Head = "mlp"
    frame_join: FrameJoin = "noisy_or"

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            _known(name, getattr(self, name), get_args(words))
        if self.blocks < 1:
            raise ConfigError("blocks is a number of residual blocks", expected="1 or more", found=str(self.blocks))
        for name, value, needs, met in self._demands():
            if not met:
                raise ConfigError(
                    f"{name} {value} means nothing here",
                    expected=needs,
                    found=f"fusion {self.fusion}, points_tower {self.points_tower}",
                    fix=f"leave {name} out, or change the other choice",
                )

    @property
    def sees_image(self) -> bool:
        return self.fusion != "points_only"

    @property
    def sees_points(self) -> bool:
        return self.fusion != "image_only"

    def freezes(self, tower: str) -> bool:
        """Whether ``tower`` ("image" or "points") is frozen."""
        return self.freeze in (tower, "both")

    def _demands(self) -> list[tuple[str, str, str, bool]]:
        """Option, value, what it needs, whether it has it; only of what differs from the default."""
        image = "a fusion that reads the image"
        points = "a fusion that reads the points"
        return [
            ("image_tower", self.image_tower, image, self.sees_image or self.image_tower == "small"),
            (
                "blocks",
                str(self.blocks),
                "an encoder of our own: the small image tower or a points tower",
                self.blocks == 2 or has_own_encoder(self.fusion, self.image_tower),
            ),
            ("image_weights", self.image_weights, image, self.sees_image or not self.image_weights),
            ("points_tower", self.points_tower, points, self.sees_points or self.points_tower == "range_view"),
            ("freeze", self.freeze, image, self.sees_image or not self.freezes("image")),
            ("freeze", self.freeze, points, self.sees_points or not self.freezes("points")),
            (
                "alignment",
                self.alignment,
                "two sensors that meet: attention, concat or late",
                self.alignment == "nearest" or (self.sees_image and self.sees_points),
            ),
            (
                "alignment",
                self.alignment,
                "features that meet (attention or concat): late fusion joins logits, for which there is no network",
                not (self.alignment == "network" and self.fusion == "late"),
            ),
            (
                "frame_join",
                self.frame_join,
                "two views whose features meet: attention or concat (late fusion averages)",
                self.frame_join == "noisy_or" or self.fusion in ("attention", "concat"),
            ),
            ("head", self.head, points + ", because a picture has no depth", self.head != "voxel" or self.sees_points),
            (
                "head",
                self.head,
                "points_tower range_view: raw returns lie on no grid that could be made coarser",
                not (self.head == "multiscale" and self.points_tower == "raw"),
            ),
        ]


def has_own_encoder(fusion: str, image_tower: str) -> bool:
    """Whether an encoder of the fusion detector is ours, with residual blocks to count; a ResNet is not."""
    return fusion != "image_only" or image_tower == "small"


def _known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"no {name} '{value}'", expected=", ".join(known), found=str(value), fix=did_you_mean(str(value), known)
        )


_WORDS = {
    "fusion": Fusion,
    "image_tower": ImageTower,
    "points_tower": PointsTower,
    "freeze": Freeze,
    "positional": Positional,
    "alignment": Alignment,
    "head": Head,
    "frame_join": FrameJoin,
}


@dataclass(frozen=True, kw_only=True)
class YoloOptions:
    """The shape of a YOLOv5 network, of its view head, or of two networks that share nothing.

    Attributes:
        size: n, s, m, l or x: depth and width multiples (``models.yolo.MULTIPLES``).
        classes: of boxes; 0 leaves the detector out, which is the view alone (a single-task control).
        views: classes of the whole image; 0 for none.
        view_head: what the view is read from: p3 or p5 (that level of the neck), pooled (all three levels, each
            averaged, side by side), or none.
        dual: the view has a network of its own, and detector and view share no parameter.
        anchors: three levels with equally many anchors each.

    Raises:
        ConfigError: an unknown word, a number out of its range, or choices that mean nothing together.
    """

    size: YoloSize = "s"
    classes: int = 80
    views: int = 0
    view_head: ViewHead = "none"
    dual: bool = False
    anchors: Anchors = COCO_ANCHORS

    def __post_init__(self) -> None:
        for name, words in (("size", YoloSize), ("view_head", ViewHead)):
            _known(name, getattr(self, name), get_args(words))
        for name, value, needs, met in self._demands():
            if not met:
                raise ConfigError(
                    f"{name} {value} means nothing here",
                    expected=needs,
                    found=f"classes {self.classes}, views {self.views}, view_head {self.view_head}, dual {self.dual}",
                    fix=f"leave {name} out, or change the other choice",
                )
        _check_anchors(self.anchors)

    @property
    def detects(self) -> bool:
        return self.classes > 0

    @property
    def sees_view(self) -> bool:
        return self.views > 0

    def _demands(self) -> list[tuple[str, str, str, bool]]:
        """Option, value, what it needs, whether it has it."""
        headed = self.view_head != "none"
        return [
            ("classes", str(self.classes), "1 or more, or 0 beside a view head", self.classes > 0 or
             (self.classes == 0 and headed)),
            ("views", str(self.views), "2 or more views, or 0 for none", self.views == 0 or self.views > 1),
            ("views", str(self.views), "a view_head (p3, p5 or pooled) to tell views", self.views == 0 or headed),
            ("view_head", self.view_head, "views: how many there are to tell apart", self.views > 0 or not headed),
            ("dual", str(self.dual), "a detector and a view head: two networks", not self.dual or
             (headed and self.classes > 0)),
        ]  # fmt: skip


def _check_anchors(anchors: Anchors) -> None:
    per_level = {len(level) for level in anchors}
    fits = len(anchors) == len(STRIDES) and len(per_level) == 1 and 0 not in per_level
    if not fits or not all(len(pair) == 2 and min(pair) > 0 for level in anchors for pair in level):
        raise ConfigError(
            "these are no anchors",
            expected="for each of P3, P4 and P5 the same number of (width, height) pairs in pixels, above 0",
            found=str(anchors),
            fix="leave anchors out for those of COCO, or fit them to the boxes (data.autoanchor)",
        )


def named_yolo() -> dict[str, YoloOptions]:
    """The YOLOv5 networks of the catalogue, in its order."""
    plain = {
        f"yolov5{size}-nc{classes}": YoloOptions(size=size, classes=classes)
        for classes in (80, 4)
        for size in get_args(YoloSize)
    }
    return {**plain, "yolov5s-nc4-view": YoloOptions(size="s", classes=4, views=3, view_head="p3")}


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """A CLIP image tower and its text tower (Radford et al. 2021).

    ``activation`` is that of the transformers' hidden layers. A state dict does not tell it, and a wrong one makes no
    error, only worse answers. ``quick_gelu`` (x sigmoid(1.702 x)) is what OpenAI's weights were trained with.
    RemoteCLIP was trained on from those, and its authors' own retrieval script builds OpenAI's networks, so it is the
    default for both. RemoteCLIP's read-me builds plain names, which in open_clip mean ``gelu``. With which of the two
    RemoteCLIP's published weights answer better has not been tried here, where the weights are not: with the weights at
    hand compare both on labelled images. In RN50 only the text tower has such layers; its image tower has ReLU.

    Attributes:
        name: RN50, ViT-B-32 or ViT-L-14.
        activation: quick_gelu, or gelu (weights that open_clip's own project trained under a plain name).
        weights: a local file: a raw state dict as .pt, or .safetensors; empty is random numbers.
        strict: every tensor of the network in the file and no other; else what fits is taken, and the rest told.

    Raises:
        ConfigError: an unknown word.
    """

    name: ClipName = "RN50"
    activation: Activation = "quick_gelu"
    weights: str = ""
    strict: bool = True

    def __post_init__(self) -> None:
        for field_name, words in (("name", ClipName), ("activation", Activation)):
            _known(field_name, getattr(self, field_name), get_args(words))


def named_clip() -> dict[str, ClipOptions]:
    """The CLIP networks of the catalogue, in its order."""
    return {f"clip-{name.lower()}": ClipOptions(name=name) for name in get_args(ClipName)}


@dataclass(frozen=True, kw_only=True)
class SmallClipOptions:
    """The shape of a CLIP that trains from scratch in minutes.

    Attributes:
        width: channels of the image tower at stride 4; twice as many at strides 8, 16 and 32 each.
        blocks: residual blocks at each of the strides 8, 16 and 32.
        pooling: attention (CLIP's attention pool, without positions) or mean (of the dense map).
        embed_dim: numbers of an embedding.
        text_width: channels of the text tower. text_layers: its blocks.
        heads: of attention, in both towers; divides 8 times ``width`` and ``text_width``.
        context_length: tokens of a text, its first and last mark among them.

    Raises:
        ConfigError: an unknown word, or a number out of its range.
    """

    width: int = 32
    blocks: int = 1
    pooling: Pooling = "attention"
    embed_dim: int = 128
    text_width: int = 128
    text_layers: int = 2
    heads: int = 4
    context_length: int = 48

    def __post_init__(self) -> None:
        _known("pooling", self.pooling, get_args(Pooling))
        least = {"width": 1, "blocks": 1, "embed_dim": 1, "text_width": 1, "text_layers": 1, "heads": 1}
        for name, bound in {**least, "context_length": 3}.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} is too small", expected=f"{bound} or more", found=str(getattr(self, name)))
        for name, channels in (("width", 8 * self.width), ("text_width", self.text_width)):
            if channels % self.heads:
                raise ConfigError(
                    f"heads {self.heads} does not divide the channels of the attention",
                    expected=f"a divisor of {channels}",
                    found=f"{name} {getattr(self, name)}",
                    fix="change one of the two",
                )


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """The shape of the open-vocabulary detector (``models.detr``).

    Attributes:
        kind: dense (each cell of each level answers with one box), or query (N queries, refined layer by layer).
        tower: what moves of the image tower: scratch (all of it, statistics too), or as ``Tower.tune`` says.
        width: channels of the memory and of the queries, a multiple of 4 and of ``heads``.
        heads: of every attention.
        encoder_layers: of self-attention on the tower's coarsest map; 0 leaves it out.
        gate: scale and shift of features by the context, the embedding of the whole image (FiLM); 1 and 0 at start.
        text_conditioning: features attend to the texts of all classes.
        context_anchor: the context is one more column beside the classes, which objects learn not to be.
        finest: pixels a cell of the finest level: 8 (the tower's own), or 4 (its finest map enlarged, beside two
            convolutions on the image itself).
        base_vote: share that the towers' own opinion of a box has in the score of a class that boxes are learned
            of, in [0, 1) (``models.tower_opinion``).
        novel_vote: that of any other word. With both 0 nobody asks the towers.

        Of query alone:

        queries: N, or as many as there are cells, if those are fewer.
        query_source: memory (the cells with the best class score), or learned (the same for every image).
        cell_labels: how the cells learn which of them are chosen: many cells an object, as dense ones do, or one cell
            an object, as Deformable DETR's first stage does (then the chosen cells are the first of the layers).
        decoder_layers: 1 or more.
        attention: how queries read the memory: deformable (``points`` places a level and head), or full.
        points: places a level and head.

    Raises:
        ConfigError: an unknown word, a number out of its range, or a choice that nothing would read.
    """

    kind: DetectorKind = "dense"
    tower: TowerTuning = "scratch"
    width: int = 256
    heads: int = 8
    encoder_layers: int = 1
    gate: bool = True
    text_conditioning: bool = True
    context_anchor: bool = True
    finest: int = 8
    base_vote: float = 0.0
    novel_vote: float = 0.0
    queries: int = 300
    query_source: QuerySource = "memory"
    cell_labels: CellLabels = "many"
    decoder_layers: int = 6
    attention: MemoryAttention = "deformable"
    points: int = 4

    def __post_init__(self) -> None:
        for name, words in _DETECTOR_WORDS.items():
            _known(name, getattr(self, name), get_args(words))
        for name in ("base_vote", "novel_vote"):
            vote = getattr(self, name)
            if not 0 <= vote < 1:
                raise ConfigError(f"{name} is out of its range", expected="0 or more, below 1", found=str(vote))
        least = {"width": 4, "heads": 1, "encoder_layers": 0, "queries": 1, "decoder_layers": 1, "points": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} is too small", expected=f"{bound} or more", found=str(getattr(self, name)))
        for name, met, needs in self._demands():
            if not met:
                raise ConfigError(
                    f"{name} {getattr(self, name)} means nothing here",
                    expected=needs,
                    found=str(self),
                    fix=f"leave {name} out, or change the other choice",
                )

    @property
    def asks_towers(self) -> bool:
        """Whether the towers' own opinion of a box is part of any score."""
        return self.base_vote > 0 or self.novel_vote > 0

    @property
    def has_cells(self) -> bool:
        """Whether cells answer: as the whole answer, or to choose queries among them."""
        return self.kind == "dense" or self.query_source == "memory"

    def _demands(self) -> list[tuple[str, bool, str]]:
        """Option, whether it can be read, what it needs."""
        query = self.kind == "query"
        plain = {name: type(self).__dataclass_fields__[name].default for name in _OF_QUERIES}
        of_queries = [
            (name, query or getattr(self, name) == default, "kind query: dense cells have none")
            for name, default in plain.items()
        ]
        return [
            ("width", self.width % 4 == 0, "a multiple of 4: sines and cosines of two directions"),
            ("heads", self.width % self.heads == 0, f"a divisor of the width, {self.width}"),
            ("finest", self.finest in (4, 8), "4 or 8"),
            *of_queries,
            ("cell_labels", self.query_source == "memory" or self.cell_labels == "many", "query_source memory"),
            ("points", self.attention == "deformable" or self.points == plain["points"], "attention deformable"),
        ]


_DETECTOR_WORDS = {
    "kind": DetectorKind,
    "tower": TowerTuning,
    "query_source": QuerySource,
    "cell_labels": CellLabels,
    "attention": MemoryAttention,
}
_OF_QUERIES = ("queries", "query_source", "cell_labels", "decoder_layers", "attention", "points")

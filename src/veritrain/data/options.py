"""How data sets on disk are read; torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

POLICIES = ("skip", "error")
LAYOUTS = ("auto", "2024", "2023")

Augment = Literal["none", "flip", "full"]
"""none; flip: half of the samples left to right; full: what ``data/augment.py`` draws, the flip among it."""

Hold = Literal["memory", "disk"]
"""Where the frames of a split are between two reads: decoded in memory, or in the cache on disk."""


@dataclass(frozen=True, kw_only=True)
class AnoVoxOptions:
    """How an AnoVox folder becomes frames.

    Attributes:
        minimum_visible: k: a frame is anomalous if at least k points or k pixels carry an anomaly id.
        point_radius: metres within which the nearest SEMANTIC-LIDAR point gives a LIDAR point its label.
        on_broken: "skip" lists and counts what cannot be read and goes on; "error" stops at the first.
        layout: "auto" takes the layout that the folder holds and refuses a folder with both; "2024" or "2023" reads the
            scenarios of that one and lists the others as left out.
        image_height: rows of the image as given; None keeps the stored size. Give both or neither.
        image_width: columns of the image as given.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    minimum_visible: int = 12
    point_radius: float = 0.5
    on_broken: str = "skip"
    layout: str = "auto"
    image_height: int | None = None
    image_width: int | None = None

    def __post_init__(self) -> None:
        _demand_known(self, on_broken=POLICIES, layout=LAYOUTS)
        if self.minimum_visible < 1 or not 0 < self.point_radius < 10:
            raise ConfigError(
                "labels cannot be made with these limits",
                expected="minimum_visible of at least 1, point_radius between 0 and 10 m",
                found=f"minimum_visible {self.minimum_visible}, point_radius {self.point_radius}",
                fix="keep the defaults: 12 and 0.5",
            )
        if (self.image_height is None) != (self.image_width is None) or (self.image_height or 1) < 1:
            raise ConfigError(
                "half an image size",
                expected="image_height and image_width of at least 1, or neither",
                found=f"{self.image_height} x {self.image_width}",
                fix="give both",
            )


Geometry = Literal["auto", "polygon", "mixed"]
"""What five numbers of a label line are: polygon: a polygon of two points, an error; mixed: a box as centre and size,
also beside polygons; auto: mixed, but polygon where at least three of four objects of the data set are polygons."""

SplitPolicy = Literal["group", "published"]


@dataclass(frozen=True, kw_only=True)
class EchoOptions:
    """How a folder of images with label files becomes samples.

    Attributes:
        on_broken: "error" stops at the first file that cannot be meant (a label line, an image that does not decode, an
            image without label file or the other way round, a repeated line); "skip" leaves it out, lists and counts.
        geometry: what five numbers of a line are: "auto", "polygon" or "mixed".
        names: class names, in order; empty takes those of data.yaml.
        views: view names, in the order of the ones and zeros; empty takes those of data.yaml, else what is assumed.
        group_pattern: regular expression for the file name without its ending, with a group "patient" and, where there
            are any, "video" and "frame"; empty takes ``<patient>-<series>.mp4-<frame>``.
        longest_side: images are made smaller by area means until their longer side has this many pixels; 0 keeps them.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    on_broken: str = "error"
    geometry: str = "auto"
    names: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    group_pattern: str = ""
    longest_side: int = 0

    def __post_init__(self) -> None:
        _demand_known(self, on_broken=POLICIES, geometry=get_args(Geometry))
        _demand_longest_side(self.longest_side)
        self._demand_pattern()

    def _demand_pattern(self) -> None:
        try:
            found = set(re.compile(self.group_pattern).groupindex)
        except re.error as error:
            raise ConfigError(
                "group_pattern is no regular expression",
                expected="for example (?P<patient>[^_]+)_(?P<video>\\d+)_(?P<frame>\\d+)",
                found=str(error),
                fix="correct the pattern",
            ) from error
        if self.group_pattern and ("patient" not in found or found - {"patient", "video", "frame"}):
            raise ConfigError(
                "group_pattern does not say who the patient is",
                expected="a named group (?P<patient>...); video and frame may be named too",
                found=", ".join(sorted(found)) or "no named group",
                fix="name the part of the file name that is the patient",
            )


BoxKind = Literal["auto", "horizontal", "oriented"]
"""auto: horizontal where the data set has any, else oriented."""
Malformed = Literal["drop", "error"]


@dataclass(frozen=True, kw_only=True)
class BoxOptions:
    """How images with boxes in pixels (DIOR's XML, COCO's JSON) become samples.

    Attributes:
        on_broken: "error" stops at what cannot be meant of a file or an image (cut off, an unknown class, another size
            than stated, a split line or an image without its counterpart, an image that is missing or does not decode);
            "skip" leaves the image out, lists and counts.
        on_malformed: of single boxes (without area, outside of the image, not numbers): "drop" leaves the box out,
            lists and counts, its image stays; "error" stops at the first.
        longest_side: images are made smaller by area means until their longer side has this many pixels; 0 keeps them.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    on_broken: str = "error"
    on_malformed: str = "drop"
    longest_side: int = 0

    def __post_init__(self) -> None:
        _demand_known(self, on_broken=POLICIES, on_malformed=get_args(Malformed))
        _demand_longest_side(self.longest_side)


@dataclass(frozen=True, kw_only=True)
class DiorOptions(BoxOptions):
    """How a folder in DIOR's layout becomes samples.

    Attributes:
        boxes: which annotations are read: "auto", "horizontal" or "oriented" (the box around their four corners).
        block: neighbouring image ids that make one group where no scenes.json says which images show the same ground.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    boxes: str = "auto"
    block: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        _demand_known(self, boxes=get_args(BoxKind))
        if self.block < 1:
            raise ConfigError(
                "no block of image ids", expected="block of at least 1", found=str(self.block), fix="for example 10"
            )


def _demand_known(options: object, **known: tuple[str, ...]) -> None:
    for name, words in known.items():
        value = str(getattr(options, name))
        if value not in words:
            expected, fix = " or ".join(words), did_you_mean(value, words)
            raise ConfigError(f"unknown {name} '{value}'", expected=expected, found=value, fix=fix)


def _demand_longest_side(longest_side: int) -> None:
    if longest_side and not 16 <= longest_side <= 16384:
        raise ConfigError(
            "images of that size cannot be made",
            expected="longest_side from 16 to 16384 pixels, or 0 to keep the stored size",
            found=str(longest_side),
            fix="for example 320",
        )


@dataclass(frozen=True, kw_only=True)
class ImageChanges:
    """How far training images are changed, drawn anew for each sample and epoch; at 0 nothing is drawn.

    Attributes:
        flip: share of the samples that are mirrored left to right.
        shift: largest shift across and down, as a share of the letterbox.
        zoom: largest change of the size: factors from 1 - zoom to 1 + zoom.
        light: largest change of the brightness: factors from 1 - light to 1 + light.

    Raises:
        ConfigError: a value is out of its range.
    """

    flip: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    light: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("flip", 1.0), ("shift", 0.5), ("zoom", 0.9), ("light", 0.9)):
            if not 0 <= getattr(self, name) <= most:
                found = str(getattr(self, name))
                raise ConfigError(f"{name} is out of its range", expected=f"from 0 to {most:g}", found=found)


@dataclass(frozen=True, kw_only=True)
class BoxChanges:
    """How far training images from above are changed, boxes with them, drawn anew for each sample and epoch.

    At 0 nothing is drawn. From above there is no up and no down: mirrored and turned pictures are as true as they were.

    Attributes:
        flip: share of the samples that are mirrored left to right.
        turn: share of the samples that are turned by 90, 180 or 270 degrees, each as often.
        scale: largest change of the size: factors from 1 - scale to 1 + scale. A smaller image lies anywhere in grey,
            of a larger one any part is seen.
        crop: share of the samples that are cut to a window, each side half to the whole of theirs, anywhere; it is
            then enlarged until it fits.
        colour: largest change of brightness and of contrast, as factors; of red, green and blue a quarter of it.
        mosaic: share of the samples that are made of four images around a point near the middle.
        least_visible: share of its area that an object must keep in the picture to keep its box, which is cut at the
            border. What is left of other objects has no box.

    Raises:
        ConfigError: a value is out of its range.
    """

    flip: float = 0.0
    turn: float = 0.0
    scale: float = 0.0
    crop: float = 0.0
    colour: float = 0.0
    mosaic: float = 0.0
    least_visible: float = 0.25

    def __post_init__(self) -> None:
        for name in ("flip", "turn", "scale", "crop", "colour", "mosaic", "least_visible"):
            most = 0.9 if name in ("scale", "colour") else 1.0
            if not 0 <= getattr(self, name) <= most:
                found = str(getattr(self, name))
                raise ConfigError(f"{name} is out of its range", expected=f"from 0 to {most:g}", found=found)

    @property
    def any(self) -> bool:
        """Whether anything is drawn at all."""
        return any((self.flip, self.turn, self.scale, self.crop, self.colour, self.mosaic))


@dataclass(frozen=True, kw_only=True)
class AerialDataOptions:
    """Which images from above train, select and test an open-vocabulary detector, and what is hidden from it.

    Attributes:
        data: a folder in DIOR's layout, or COCO's JSON; which of them, the content tells.
        cache: where decoded images are kept; empty is beside the data set.
        split: published (the data set's own parts), given (by scene), or val=train (spoilt on purpose).
        novel: the classes that are not learned.
        protocol: boxes-removed or images-removed (``data/open_vocabulary.py``).
        imgsz: pixels of the longer side of an image, a multiple of 32.
        boxes: auto, horizontal or oriented; block: ids that make a group without scenes: both of DIOR's layout.
        on_broken: error, or skip (listed and counted), for files that cannot be meant and images that are missing.
        labels: given, permuted or redrawn, of train and val; label_seed: which permutation.
        changes: what is drawn for each training image.
        hold: auto, memory or disk; memory_mb: what auto may use; workers: processes that make samples.

    Raises:
        ConfigError: imgsz does not fit the networks' cells.
    """

    data: str
    cache: str = ""
    split: Literal["published", "given", "val=train"] = "published"
    novel: tuple[str, ...]
    protocol: Literal["boxes-removed", "images-removed"] = "images-removed"
    imgsz: int = 256
    boxes: str = "auto"
    block: int = 10
    on_broken: str = "error"
    labels: Literal["given", "permuted", "redrawn"] = "given"
    label_seed: int = 0
    changes: BoxChanges = BoxChanges()
    hold: Literal["auto", "memory", "disk"] = "auto"
    memory_mb: int = 2_000
    workers: int = 0

    def __post_init__(self) -> None:
        if self.imgsz < 32 or self.imgsz % 32:
            raise ConfigError(
                "imgsz does not fit the network's cells",
                expected="a multiple of 32",
                found=str(self.imgsz),
                fix=f"--imgsz {max(32, self.imgsz // 32 * 32)}",
            )

"""What a made world consists of; torch-free, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Density = Literal["default", "official"]

DENSITIES: dict[Density, tuple[int, int, float]] = {
    "default": (64, 115_200, 10.0),
    "official": (64, 1_000_000, 200.0),
}
"""density -> (channels, points_per_second, rotation_frequency in Hz), the words of ``sensor_setup.json``.

CARLA casts ``round(points_per_second * tick / channels)`` rays per channel and tick while it turns
``rotation_frequency * tick`` times. With AnoVox's tick of 0.1 s the official values give 1,563 rays spread
over 20 turns (coprime, so 1,563 distinct azimuths, 100,032 rays); the default gives 180 rays in one turn.
"""

TICK_SECONDS = 0.1
"""AnoVox's FIXED_DELTA_SECONDS: one frame per tick, 10 Hz."""

VoxelSource = Literal["semantic_lidar", "union"]
WorldLayout = Literal["2024", "2023"]
Variant = Literal["standard", "held_out"]
Anomalies = Literal["mixed", "pairs"]
VOXEL_SOURCES: tuple[VoxelSource, ...] = get_args(VoxelSource)
WORLD_LAYOUTS: tuple[WorldLayout, ...] = get_args(WorldLayout)
VARIANTS: tuple[Variant, ...] = get_args(Variant)
ANOMALIES: tuple[Anomalies, ...] = get_args(Anomalies)


@dataclass(frozen=True, kw_only=True)
class DrivingOptions:
    """A street world in AnoVox's layout.

    Attributes:
        scenarios: whole scenarios written (the broken ones come on top).
        frames: frames per scenario, 10 Hz.
        height: image height in pixels.
        width: image width in pixels; the field of view is 90 degrees across it.
        seed: seed of the world; equal options give equal bytes.
        density: "default" (64 x 180 rays) or "official" (64 x 1563 rays).
        voxels_from: "semantic_lidar" as the published generator does, or "union" with the depth image.
        anomalies: "mixed", or "pairs": only things that look like a car and measure like a board or the other way
            round, among things that do not, at the same places (``worlds/pairs.py``).
        pair_cue: in a world of pairs, how much each sensor alone sees of an odd one, from 0 (nothing) to 1.
        broken: scenarios without ``sensor_setup.json``, as one published scenario is (2023: without clouds).
        layout: "2024" as the published archives lie, or "2023" as the older sample does (colours, ``.pcd``); the same
            streets either way.
        variant: "standard", or "held_out": other palettes and shapes, which nobody tunes on.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    scenarios: int = 72
    frames: int = 12
    height: int = 96
    width: int = 144
    seed: int = 0
    density: Density = "default"
    voxels_from: VoxelSource = "semantic_lidar"
    broken: int = 1
    layout: WorldLayout = "2024"
    variant: Variant = "standard"
    anomalies: Anomalies = "mixed"
    pair_cue: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            _demand_range("driving", name, getattr(self, name), low, high)
        _demand_choice("density", self.density, tuple(DENSITIES))
        _demand_choice("voxels_from", self.voxels_from, VOXEL_SOURCES)
        _demand_choice("layout", self.layout, WORLD_LAYOUTS)
        _demand_choice("variant", self.variant, VARIANTS)
        _demand_choice("anomalies", self.anomalies, ANOMALIES)
        self._demand_cue()

    def _demand_cue(self) -> None:
        most = 1.0 if self.anomalies == "pairs" else 0.0
        if not 0.0 <= self.pair_cue <= most:
            raise ConfigError(
                f"the driving world cannot be made with pair_cue = {self.pair_cue!r}",
                expected="0 to 1 with anomalies = pairs, else 0",
                found=repr(self.pair_cue),
                fix="give --anomalies pairs as well" if most == 0 else "give a value from 0 to 1",
            )

    @property
    def channels(self) -> int:
        """Vertical channels of the LiDAR."""
        return DENSITIES[self.density][0]

    @property
    def azimuth_steps(self) -> int:
        """Rays per channel and sweep, rounded half up as CARLA does."""
        channels, points_per_second, _ = DENSITIES[self.density]
        return int(points_per_second * TICK_SECONDS / channels + 0.5)


EchoLabels = Literal["polygon", "xywh"]
EchoPublished = Literal["frames", "patients"]
ECHO_LABELS: tuple[EchoLabels, ...] = get_args(EchoLabels)
ECHO_PUBLISHED: tuple[EchoPublished, ...] = get_args(EchoPublished)


@dataclass(frozen=True, kw_only=True)
class EchoWorldOptions:
    """Made echocardiograms with leaking valves, in YOLO folders with a view line.

    Attributes:
        patients: number of them; each has a heart, a machine and a window of its own.
        videos: recordings of a patient; each shows one view and one leaking valve.
        frames: neighbouring frames of a recording.
        height: image height in pixels.
        width: image width in pixels.
        seed: seed of the world; equal options give equal bytes.
        confounding: how far the valve decides the view: 0 not at all (but pulmonary jets are never in A4C), 1 wholly.
        unknown_views: share of the images whose label file has no view line.
        second_jet: share of the recordings with the jet of a second valve, where the plane shows one.
        empty: share of the recordings without any jet; their label files hold the view line alone.
        labels: "polygon" writes boxes as four corners, as the real set does, "xywh" as centre and size.
        published: "frames" deals frames out to train, valid and test as the real set does, so that patients are shared;
            "patients" deals patients out.
        variant: "standard", or "held_out": another machine and other hearts, which nobody tunes on.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    patients: int = 96
    videos: int = 4
    frames: int = 3
    height: int = 240
    width: int = 320
    seed: int = 0
    confounding: float = 0.5
    unknown_views: float = 0.004
    second_jet: float = 0.0
    empty: float = 0.0
    labels: EchoLabels = "polygon"
    published: EchoPublished = "frames"
    variant: Variant = "standard"

    def __post_init__(self) -> None:
        for name, low, high in _ECHO_RANGES:
            _demand_range("echo", name, getattr(self, name), low, high)
        for name in ("confounding", "unknown_views", "second_jet", "empty"):
            _demand_share("echo", name, getattr(self, name))
        _demand_choice("labels", self.labels, ECHO_LABELS)
        _demand_choice("published", self.published, ECHO_PUBLISHED)
        _demand_choice("variant", self.variant, VARIANTS)


FolderNames = Literal["spaces", "underscores"]
AerialSplit = Literal["scenes", "images"]
Balance = Literal["long_tail", "even"]
FOLDER_NAMES: tuple[FolderNames, ...] = get_args(FolderNames)
AERIAL_SPLITS: tuple[AerialSplit, ...] = get_args(AerialSplit)
BALANCES: tuple[Balance, ...] = get_args(Balance)


@dataclass(frozen=True, kw_only=True)
class AerialOptions:
    """Made pictures from above with the 20 classes of DIOR, in DIOR's layout, with captions.

    Attributes:
        images: number of them.
        height: image height in pixels.
        width: image width in pixels.
        seed: seed of the world; equal options give equal bytes.
        per_scene: images that are cut out of one scene; any two of them share ground.
        split_by: "scenes" deals whole scenes out to train, val and test; "images" deals images out, which leaks.
        train_share: of the images.
        val_share: of the images; the rest is test.
        balance: "long_tail" makes classes as uneven as in the real set, "even" chooses each kind of scene as often.
        captions: sentences for an image.
        folder_names: "spaces" as in the published archives, or "underscores" as in mirrors.
        variant: "standard", or "held_out": other ground and other looks, which nobody tunes on.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    images: int = 400
    height: int = 256
    width: int = 256
    seed: int = 0
    per_scene: int = 4
    split_by: AerialSplit = "scenes"
    train_share: float = 0.6
    val_share: float = 0.15
    balance: Balance = "long_tail"
    captions: int = 5
    folder_names: FolderNames = "spaces"
    variant: Variant = "standard"

    def __post_init__(self) -> None:
        for name, low, high in _AERIAL_RANGES:
            _demand_range("aerial", name, getattr(self, name), low, high)
        for name in ("train_share", "val_share"):
            _demand_share("aerial", name, getattr(self, name))
        _demand_choice("split_by", self.split_by, AERIAL_SPLITS)
        _demand_choice("balance", self.balance, BALANCES)
        _demand_choice("folder_names", self.folder_names, FOLDER_NAMES)
        _demand_choice("variant", self.variant, VARIANTS)
        if max(self.height, self.width) > 2 * min(self.height, self.width):
            raise ConfigError(
                "the images of the aerial world are too narrow",
                expected="a side at most twice as long as the other",
                found=f"{self.height} x {self.width}",
                fix="give --size 256 or another size nearer to a square",
            )
        if self.train_share + self.val_share > 1:
            raise ConfigError(
                "the parts of the aerial world are larger than the whole",
                expected="train_share + val_share of at most 1",
                found=f"{self.train_share} + {self.val_share}",
                fix="give smaller shares; what they leave is test",
            )


_RANGES = (
    ("scenarios", 1, 100_000),
    ("frames", 1, 10_000),
    ("height", 16, 4096),
    ("width", 16, 4096),
    ("seed", 0, 2**63 - 1),
    ("broken", 0, 1000),
)
_ECHO_RANGES = (
    ("patients", 1, 100_000),
    ("videos", 1, 1000),
    ("frames", 1, 1000),
    ("height", 96, 2048),
    ("width", 96, 2048),
    ("seed", 0, 2**63 - 1),
)
_AERIAL_RANGES = (
    ("images", 1, 99_999),
    ("height", 96, 800),
    ("width", 96, 800),
    ("seed", 0, 2**63 - 1),
    ("per_scene", 1, 64),
    ("captions", 1, 20),
)


def _demand_range(world: str, name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"the {world} world cannot be made with {name} = {value!r}",
            expected=f"a whole number from {low} to {high}",
            found=repr(value),
            fix=f"give --{name} a value in that range",
        )


def _demand_share(world: str, name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(
            f"the {world} world cannot be made with {name} = {value!r}",
            expected="a share from 0 to 1",
            found=repr(value),
            fix=f"give --{name} a value in that range",
        )


def _demand_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"unknown {name} {value!r}",
            expected=" or ".join(known),
            found=repr(value),
            fix=did_you_mean(str(value), known),
        )

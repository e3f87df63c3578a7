"""What a data set holds and what is wrong with it: ``veritrain data check``.

Names are looked through for every frame; files are decoded for a sample of frames, whose size is said. A finding of
level "error" means that nobody should train on the data as they are; "warning" is to be known; "note" is said for
completeness.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data import geometry
from veritrain.data.anovox import AnoVoxFormat, Inventory, sensor_hash
from veritrain.data.anovox_calibration import field_of_view
from veritrain.data.anovox_labels import NAMES, labels_from_ids, read_pairs
from veritrain.data.palette import REPRESENTATIVE, SHARED_IDS, UNKNOWN_COLOUR, without_distinction
from veritrain.data.pcd import read_pcd
from veritrain.data.sample import UNKNOWN, FrameKey
from veritrain.data.voxels import RoundTrip, compare, voxelise
from veritrain.errors import BrokenFileError, ConfigError

SAMPLE = 200
"""Frames that are decoded without another word."""
MOST_ANOMALOUS_VOXELS = 0.05
"""One object among a street is far below 1 %; 5.75 % and 21.4 % were once reported: cars and terrain taken for it."""
LEAST_IOU = 0.9
"""Cells of SEMANTIC-LIDAR, voxelised, that must be stored voxels and the other way round."""
LEAST_AGREEMENT = 0.9
MOST_UNKNOWN_COLOURS = 0.2
"""Above this share of pixels without a palette colour the palette is another one."""
NAMED = {
    "sensor_elsewhere": ("stands elsewhere",),
    "no_calibration": ("camera_fov", "image size is impossible", "cannot be read", "sensor_setup.json is missing"),
    "mixed_layouts": ("both layouts", "another layout"),
    "frame_counters": ("frame counter",),
}
"""Names of findings by parts of the reasons why something was left out."""
LEVELS = ("pixels", "points", "voxels")
LEVEL_ORDER = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One thing found: "error", "warning" or "note", a name for machines, a sentence, the file where there is one."""

    level: str
    name: str
    text: str
    file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found.

    Attributes:
        inventory: counts by type, town and scenario, and what was left out.
        pairing: sensor pairing over all frame numbers: "both", "camera_only", "lidar_only", and of the frames with both
            how many lack "SEMANTIC-CAM", "SEMANTIC-LIDAR", "VOXEL_GRID".
        sampled: "of" frames in the data set, "read" that decoded, "broken" that did not.
        files: "DEPTH", "INSTANCE", "ROUTE_MAP", "ACTION" -> frames read that have such a file.
        classes: level -> id name -> count, over the frames read.
        labels: level ("frames", "points", "pixels", "voxels") -> "anomalous", "normal", "unknown" -> count. Points are
            LIDAR returns with the label of their nearest labelled return.
        round_trip: SEMANTIC-LIDAR (or its union with the depth image, where that fits better) voxelised against the
            stored voxels: frames by source, median and least IoU, median label agreement; None where none has both.
        remarks: errors first.
    """

    inventory: Inventory
    pairing: dict[str, int]
    sampled: dict[str, int]
    files: dict[str, int]
    classes: dict[str, dict[str, int]]
    labels: dict[str, dict[str, int]]
    round_trip: dict[str, Any] | None
    remarks: list[Remark]

    @property
    def usable(self) -> bool:
        """No finding is an error."""
        return all(remark.level != "error" for remark in self.remarks)

    def as_json(self) -> dict[str, Any]:
        """The inventory's fields, and beside them what was found; shares are of their level, None of nothing."""
        return {
            "format": "anovox",
            **asdict(self.inventory),
            "pairing": self.pairing,
            "sampled": self.sampled,
            "files": self.files,
            "classes": {level: _with_shares(counts) for level, counts in self.classes.items()},
            "labels": {level: _with_shares(counts) for level, counts in self.labels.items()},
            "round_trip": self.round_trip,
            "findings": [asdict(remark) for remark in self.remarks],
            "usable": self.usable,
        }


def share(count: int, total: int) -> float | None:
    """``count`` of ``total``; None of nothing."""
    return count / total if total else None


def _with_shares(counts: dict[str, int]) -> dict[str, dict[str, float | int | None]]:
    total = sum(counts.values())
    return {name: {"count": count, "share": share(count, total)} for name, count in counts.items()}


@dataclass(kw_only=True)
class _Tally:
    """What the decoded frames add up to."""

    classes: dict[str, Counter[int]] = field(default_factory=lambda: {level: Counter() for level in LEVELS})
    labels: dict[str, Counter[int]] = field(default_factory=lambda: {level: Counter() for level in ("frames", *LEVELS)})
    trips: list[tuple[str, RoundTrip]] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    copies: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, BrokenFileError]] = field(default_factory=list)
    other_counters: list[str] = field(default_factory=list)
    without_intensity: int = 0
    files: Counter[str] = field(default_factory=Counter)
    read: int = 0


def inspect(source: AnoVoxFormat, *, sample: int | None = None) -> Inspection:
    """Looks through a data set.

    Args:
        source: the data set.
        sample: frames to decode, evenly spaced over all; None takes all up to SAMPLE.

    Raises:
        ConfigError: ``sample`` is below 1.
    """
    if sample is not None and sample < 1:
        raise ConfigError("nothing to read", expected="--sample of at least 1", found=str(sample), fix="--sample 20")
    keys = source.keys()
    tally = _Tally()
    for key in evenly(keys, sample or SAMPLE):
        try:
            _take(tally, source, key)
        except BrokenFileError as error:
            tally.broken.append((key.id, error))
    inventory, pairing = source.inventory(), _pairing(source)
    trip = _round_trip(tally)
    remarks = [*_from_names(inventory, pairing), *_from_contents(tally, trip), *_from_layout(inventory, tally)]
    return Inspection(
        inventory=inventory,
        pairing=pairing,
        sampled={"of": len(keys), "read": tally.read, "broken": len(tally.broken)},
        files=dict(sorted(tally.files.items())),
        classes={level: _by_name(counts, source.layout) for level, counts in tally.classes.items()},
        labels={level: _by_label(counts) for level, counts in tally.labels.items()},
        round_trip=trip,
        remarks=sorted(remarks, key=lambda remark: LEVEL_ORDER.index(remark.level)),
    )


def evenly(keys: list[FrameKey], count: int) -> list[FrameKey]:
    """At most ``count`` of ``keys``, evenly spaced, the first and the last among them where there are two or more."""
    if len(keys) <= count:
        return list(keys)
    places = np.unique(np.rint(np.linspace(0, len(keys) - 1, count)).astype(np.int64))
    return [keys[place] for place in places]


def _take(tally: _Tally, source: AnoVoxFormat, key: FrameKey) -> None:
    """Adds one frame; a frame with a broken file adds nothing."""
    frame, (pixel_ids, cloud) = source.read(key), source.read_ids(key)
    stored = source.read_voxels(key)
    depth, action, route = source.read_depth(key), source.read_action(key), source.read_route(key)
    tally.files.update(
        name
        for name, content in (
            ("DEPTH", depth),
            ("ACTION", action),
            ("ROUTE_MAP", route),
            ("INSTANCE", source.read_instance(key)),
        )
        if content is not None
    )
    ids = {
        "pixels": pixel_ids,
        "points": None if cloud is None else cloud[:, 3],
        "voxels": None if stored is None else stored[0][:, 3],
    }
    for level, values in ids.items():
        if values is not None:
            _add(tally.classes[level], values)
    tally.labels["frames"][frame.frame_label] += 1
    _add(tally.labels["points"], frame.point_labels)
    if pixel_ids is not None:
        _add(tally.labels["pixels"], labels_from_ids(pixel_ids))
    if stored is not None:
        _add(tally.labels["voxels"], stored[1])
        if cloud is not None:
            _compare(tally, source, key, cloud, stored[0], pixel_ids, depth)
    content = sensor_hash(frame.image, frame.points)
    if content in tally.contents:
        tally.copies.append((tally.contents[content], key.id))
    tally.contents.setdefault(content, key.id)
    tally.other_counters += _other_counters(source, key)
    lidar = source.file(key, "LIDAR")
    tally.without_intensity += int(lidar is not None and lidar.suffix == ".pcd" and "intensity" not in read_pcd(lidar))
    tally.read += 1


def _add(counts: Counter[int], values: NDArray[Any]) -> None:
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        counts[int(value)] += int(count)


def _compare(
    tally: _Tally,
    source: AnoVoxFormat,
    key: FrameKey,
    cloud: NDArray[np.float64],
    stored: NDArray[np.uint16],
    pixel_ids: NDArray[np.uint8] | None,
    depth: NDArray[np.float32] | None,
) -> None:
    """Voxels of SEMANTIC-LIDAR against the stored ones, then of its union with the depth image where that fails.

    Ids are compared as colours leave them, because the 2023 layout cannot tell some apart. Only an unturned LiDAR is
    compared: the published generator was checked on the mono rig.
    """
    sensors = source.scenario(key).sensors
    lidar, camera = sensors["SEMANTIC-LIDAR"], sensors["RGB-CAM"]
    if any(lidar.rotation):
        return
    theirs = stored.copy()
    theirs[:, 3] = without_distinction(stored[:, 3])

    def met(rows: NDArray[np.float64]) -> RoundTrip:
        ids = without_distinction(rows[:, 3].astype(np.int64))
        return compare(voxelise(rows, ids, location=lidar.location), theirs)

    best = ("semantic_lidar", met(cloud))
    together = (camera.location, camera.rotation) == (lidar.location, lidar.rotation)
    if best[1].iou < LEAST_IOU and together and depth is not None and pixel_ids is not None:
        points, seen = geometry.cloud_from_depth(
            depth, geometry.intrinsics(depth.shape[0], depth.shape[1], field_of_view(camera))
        )
        if depth.shape == pixel_ids.shape:
            union = met(np.concatenate([cloud, np.column_stack([points, pixel_ids[seen]])]))
            best = ("union", union) if union.iou > best[1].iou else best
    tally.trips.append(best)


def _other_counters(source: AnoVoxFormat, key: FrameKey) -> list[str]:
    """ACTION and ANOMALY files that name another frame inside than in their name."""
    number = key.id.rsplit("/", 1)[-1]
    files = [file for kind in ("ACTION", "ANOMALY") if (file := source.file(key, kind)) is not None]
    return [str(file) for file in files if read_pairs(file).get("frame_id", number) != number]


def _pairing(source: AnoVoxFormat) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for scenario in source.scenarios.values():
        camera, lidar = (set(scenario.sensors[kind].files) for kind in ("RGB-CAM", "LIDAR"))
        both = camera & lidar
        counts["both"] += len(both)
        counts["camera_only"] += len(camera - lidar)
        counts["lidar_only"] += len(lidar - camera)
        for kind in ("SEMANTIC-CAM", "SEMANTIC-LIDAR"):
            sensor = scenario.sensors.get(kind)
            counts[f"without {kind}"] += len(both - set(sensor.files if sensor else ()))
        counts["without VOXEL_GRID"] += len(both - set(scenario.others["VOXEL_GRID"]))
    return dict(counts)


def _round_trip(tally: _Tally) -> dict[str, Any] | None:
    trips = [trip for _, trip in tally.trips]
    if not trips:
        return None
    met = [trip.label_agreement for trip in trips if trip.common]
    return {
        "frames": dict(Counter(source for source, _ in tally.trips)),
        "iou_median": float(np.median([trip.iou for trip in trips])),
        "iou_least": min(trip.iou for trip in trips),
        "label_agreement_median": float(np.median(met)) if met else None,
    }


def _from_names(inventory: Inventory, pairing: dict[str, int]) -> list[Remark]:
    remarks = []
    for level, name, problems in (
        ("warning", "scenarios_left_out", inventory.skipped_scenarios),
        ("warning", "frames_left_out", inventory.skipped_frames),
    ):
        for reason, count in Counter(_without_numbers(problem.reason) for problem in problems).items():
            first = next(problem for problem in problems if _without_numbers(problem.reason) == reason)
            named = next((word for word, words in NAMED.items() if any(part in reason for part in words)), name)
            remarks.append(Remark(level=level, name=named, text=f"{count} left out: {first.reason}", file=first.file))
    for kind in ("SEMANTIC-CAM", "SEMANTIC-LIDAR"):
        lacking = pairing.get(f"without {kind}", 0)
        if lacking:
            text = f"{lacking} of {inventory.frames} frames have no {kind}: their labels are partly unknown"
            remarks.append(Remark(level="warning", name="label_sensor_missing", text=text))
    unpaired = pairing["camera_only"] + pairing["lidar_only"]
    if unpaired:
        text = f"{pairing['camera_only']} frames have only a camera, {pairing['lidar_only']} only a LiDAR"
        remarks.append(Remark(level="warning", name="sensors_unpaired", text=text))
    if "unknown" in inventory.by_type:
        text = f"{inventory.by_type['unknown'][0]} scenarios have no known type: no archive name and no configuration"
        remarks.append(Remark(level="warning", name="type_unknown", text=text))
    return remarks


def _without_numbers(text: str) -> str:
    return "".join("#" if letter.isdigit() else letter for letter in text)


def _from_contents(tally: _Tally, trip: dict[str, Any] | None) -> list[Remark]:
    remarks = []
    if not tally.read:
        first = f"; the first: {tally.broken[0][1].message}" if tally.broken else ""
        remarks.append(Remark(level="error", name="nothing_readable", text=f"no frame of the sample reads{first}"))
    for key, error in tally.broken:
        text = f"{key}: {error.message}" + (f" (found {error.found})" if error.found else "")
        remarks.append(Remark(level="warning", name="frame_broken", text=text, file=error.file))
    voxels = tally.labels["voxels"]
    anomalous = share(voxels[1], sum(voxels.values()))
    if anomalous is not None and anomalous > MOST_ANOMALOUS_VOXELS:
        text = (
            f"{anomalous:.1%} of the voxels are anomalous, more than {MOST_ANOMALOUS_VOXELS:.0%}: no single object "
            "fills that much of a street; the ids mean something else than their table says"
        )
        remarks.append(Remark(level="error", name="anomaly_share", text=text))
    if trip is not None and trip["iou_median"] < LEAST_IOU:
        text = (
            f"SEMANTIC-LIDAR, voxelised, meets the stored voxels with a median IoU of {trip['iou_median']:.2f}, below "
            f"{LEAST_IOU}: clouds and voxels are not of the same place, or of another grid"
        )
        remarks.append(Remark(level="error", name="voxel_round_trip", text=text))
    agreement = None if trip is None else trip["label_agreement_median"]
    if agreement is not None and agreement < LEAST_AGREEMENT:
        text = f"voxels that both have carry the same id in {agreement:.1%} of cases only"
        remarks.append(Remark(level="warning", name="voxel_labels", text=text))
    frames = tally.labels["frames"]
    for label, word in ((1, "anomalous"), (0, "normal")):
        if tally.read and not frames[label]:
            text = f"none of the {tally.read} frames read is {word}: alone they cannot be trained or tested on"
            remarks.append(Remark(level="warning", name="one_class", text=text))
    if tally.copies:
        text = f"{len(tally.copies)} frames read hold the sensors of another: {' = '.join(tally.copies[0])}"
        remarks.append(Remark(level="warning", name="copies", text=text))
    if tally.other_counters:
        text = f"{len(tally.other_counters)} ACTION or ANOMALY files name another frame inside than in their name"
        remarks.append(Remark(level="warning", name="frame_counters", text=text, file=tally.other_counters[0]))
    return remarks


def _from_layout(inventory: Inventory, tally: _Tally) -> list[Remark]:
    remarks = [Remark(level="note", name="assumed", text=text) for text in inventory.assumed]
    if tally.without_intensity:
        text = (
            f"{tally.without_intensity} clouds read have no intensity: it is taken as exp(-0.004 x metres), CARLA's own"
        )
        remarks.append(Remark(level="note", name="intensity_assumed", text=text))
    pixels = tally.classes["pixels"]
    unknown = share(pixels[UNKNOWN_COLOUR], sum(pixels.values())) if inventory.layout == "2023" else None
    if unknown:
        level = "error" if unknown > MOST_UNKNOWN_COLOURS else "warning"
        text = f"{pixels[UNKNOWN_COLOUR]:,} pixels ({unknown:.2%}) have a colour of no palette: their label is unknown"
        remarks.append(Remark(level=level, name="unknown_colours", text=text))
    returns = tally.classes["points"][UNKNOWN_COLOUR] if inventory.layout == "2023" else 0
    if returns:
        text = f"{returns:,} labelled returns have a colour of no palette: their label is unknown"
        remarks.append(Remark(level="warning", name="unknown_colours", text=text))
    return remarks


def _by_name(counts: Counter[int], layout: str) -> dict[str, int]:
    """Id name -> count, the most frequent first; unofficial ids by their number, a shared colour by what it may be."""
    shared = {REPRESENTATIVE: " or ".join(NAMES[number] for number in SHARED_IDS)} if layout == "2023" else {}
    names: Counter[str] = Counter()
    for number, count in counts.items():
        names[
            shared.get(number) or NAMES.get(number, "unknown colour" if number == UNKNOWN_COLOUR else f"id {number}")
        ] += count
    return dict(names.most_common())


def _by_label(counts: Counter[int]) -> dict[str, int]:
    return {"anomalous": counts[1], "normal": counts[0], "unknown": counts[UNKNOWN]}

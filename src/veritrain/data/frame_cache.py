"""Frames of an AnoVox data set, decoded once: an entry holds all of a frame, its labels and its calibration too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from veritrain.data.anovox import AnoVoxFormat, Inventory, sensor_hash
from veritrain.data.anovox_index import Problem
from veritrain.data.cache import Broken, Packed, SampleCache
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import Calibration, Frame, FrameKey

ARRAYS = ("image", "points", "point_labels", "point_ids", "pixel_labels")
"""Arrays of a frame as they stand in an entry; the calibration's two come behind them."""

CALIBRATION = ("intrinsics", "camera_from_lidar")


class CachedFrames(SampleCache[AnoVoxFormat, FrameKey, Frame]):
    """The frames of an AnoVox data set that read well, decoded at most once; arguments: :class:`SampleCache`.

    Raises:
        BrokenFileError: a file is broken and the source's policy is "error".
        LayoutError: no frame reads well.
    """

    one, broken_ones = "frame", "broken frames"
    none_reads, advice = "no frame of the data set can be read", "extract the archives again"

    def frame_label(self, key: FrameKey) -> int:
        """The frame's label, without reading its sensors again."""
        label: int = self._entry(key).about["frame_label"]
        return label

    def inventory(self) -> Inventory:
        """The source's inventory with the frames that turned out broken."""
        inventory = self.source.inventory()
        return replace(inventory, skipped_frames=inventory.skipped_frames + [_problem(one) for one in self.broken])

    def _root(self) -> Path:
        return self.source.path

    def _parts(self) -> list[tuple[AnoVoxFormat, list[FrameKey]]]:
        by_group: dict[str, list[FrameKey]] = {}
        for key in self.source.keys():  # noqa: SIM118 - a format is no mapping
            by_group.setdefault(key.group, []).append(key)
        return [(self.source.only(group), members) for group, members in by_group.items()]

    @staticmethod
    def _packed(frame: Frame) -> Packed:
        arrays = {name: getattr(frame, name) for name in ARRAYS}
        arrays |= {name: getattr(frame.calibration, name) for name in CALIBRATION}
        return arrays, {"content_hash": sensor_hash(frame.image, frame.points), "frame_label": frame.frame_label}

    def _unpacked(self, key: FrameKey, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> Frame:
        return Frame(
            id=key.id,
            group=key.group,
            kind=key.kind,
            frame_label=about["frame_label"],
            calibration=Calibration(**{name: arrays[name] for name in CALIBRATION}),
            **{name: arrays[name] for name in ARRAYS},
        )


def open_anovox(
    path: Path | str,
    options: AnoVoxOptions | None = None,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedFrames:
    """The AnoVox data set at ``path``, decoded once and cached."""
    return CachedFrames(AnoVoxFormat(path, options), folder=cache, progress=progress)


def _problem(broken: Broken) -> Problem:
    number = int(broken.key.id.rsplit("/", 1)[-1])
    return Problem(scenario=broken.key.group, frame=number, file=broken.file, reason=broken.reason)

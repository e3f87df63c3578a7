"""Who and which recording a file name tells: ``<patient>-<series>.mp4-<frame>``."""

from __future__ import annotations

import re
from dataclasses import dataclass

PATTERN = re.compile(
    r"(?P<patient>[^-]+)-(?P<video>.+)\.(?:mp4|avi|mov|mkv|dcm)-(?P<frame>\d+)(?:\(\d+\))?", re.IGNORECASE
)
"""A copy's number in brackets ("-12(1)"), as operating systems add it, is no part of the frame number."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an image comes from.

    Attributes:
        patient: who; None where the name does not say.
        video: patient and recording; None where the name does not say.
        frame: number of the frame; -1 where the name does not say.
    """

    patient: str | None
    video: str | None
    frame: int


NOBODY = Origin(patient=None, video=None, frame=-1)


def origin_of(stem: str, pattern: re.Pattern[str] = PATTERN) -> Origin:
    """What a file name without its ending says.

    Args:
        stem: the name, such as ``p7-unnamed_1_1.mp4-12``.
        pattern: with a group "patient" and, where there are any, "video" and "frame"; it must match the whole name.
    """
    match = pattern.fullmatch(stem)
    if match is None or not match["patient"]:
        return NOBODY
    found = match.groupdict()
    patient, video, frame = found["patient"], found.get("video"), found.get("frame")
    return Origin(
        patient=patient,
        video=None if video is None else f"{patient}/{video}",
        frame=int(frame) if frame is not None and frame.isdecimal() else -1,
    )

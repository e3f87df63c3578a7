"""What is to be said about a set of images with boxes and views, from what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.data.detection_inventory import DetectionInventory
from veritrain.data.inspection import LEVEL_ORDER, Remark
from veritrain.errors import BrokenFileError

LARGE_GROUP = 0.1
"""Share of all frames above which one patient weighs on every mean over frames."""
FEW_GROUPS = 15
"""Patients of a class below which an interval over patients says little."""
NAMED = 8
"""Names that a sentence lists."""
TELLING_VALVE = 0.1
"""By how much the class must tell the view better than the most frequent view does, to be worth a word."""


def remarks_of(
    found: Mapping[str, Any], *, broken: Sequence[BrokenFileError], foreign: Sequence[str], strict: bool
) -> list[Remark]:
    """Sentences from the counts of :func:`veritrain.data.echo_inspection.inspect_echo`, errors first."""
    inventory: DetectionInventory = found["inventory"]
    remarks = [
        *_from_files(inventory, broken, "error" if strict else "warning"),
        *_from_objects(found["objects"], found["classes"]),
        *_from_groups(found["concentration"], found["leaks"], found["copies"]),
        *_from_views(found),
        *(Remark(level="note", name="assumed", text=text) for text in inventory.assumed),
    ]
    if len(found["sizes"]) > 1:
        told = ", ".join(f"{count} of {size}" for size, count in list(found["sizes"].items())[:NAMED])
        remarks.append(Remark(level="note", name="sizes", text=f"images are of {len(found['sizes'])} sizes: {told}"))
    if foreign:
        text = f"{len(foreign)} cache files of other programs are not read: they may be stale, and reading runs code"
        remarks.append(Remark(level="note", name="foreign_cache", text=text, file=foreign[0]))
    return sorted(remarks, key=lambda remark: LEVEL_ORDER.index(remark.level))


def _from_files(inventory: DetectionInventory, broken: Sequence[BrokenFileError], level: str) -> list[Remark]:
    remarks = []
    for name in dict.fromkeys(problem.name for problem in inventory.problems):
        those = [problem for problem in inventory.problems if problem.name == name]
        first = those[0]
        place = first.file + ("" if first.line is None else f":{first.line}")
        done = "left out" if first.left_out else "counted once"
        remarks.append(Remark(level=level, name=name, text=f"{len(those)} {done}; first: {first.reason}", file=place))
    for error in broken:
        found = f" (found {error.found})" if error.found else ""
        remarks.append(Remark(level=level, name="image_broken", text=f"{error.message}{found}", file=error.file))
    return remarks


def _from_objects(objects: Mapping[str, Any], classes: Mapping[str, Mapping[str, int]]) -> list[Remark]:
    remarks = []
    given, lines = objects["instances"], objects["label_lines"] - objects["repeated"]
    if given != lines:
        text = f"the reader gives {given} boxes, the label files hold {lines} lines of objects"
        remarks.append(Remark(level="error", name="instances_differ", text=text))
    if not given:
        remarks.append(Remark(level="error", name="no_objects", text="no image has any box"))
    if objects["thin"]:
        text = f"{objects['thin']} boxes have a side below 2 pixels of the stored image"
        remarks.append(Remark(level="warning", name="thin_boxes", text=text))
    if objects["empty_frames"]:
        text = f"{objects['empty_frames']} images have an empty label file: they count as background"
        remarks.append(Remark(level="note", name="background", text=text))
    absent = [name for name, one in classes.items() if not one["objects"]]
    if absent and given:
        text = f"{len(absent)} classes have no object: {', '.join(absent[:NAMED])}"
        remarks.append(Remark(level="warning", name="classes_absent", text=text))
    few = {
        name: one["groups"] for name, one in classes.items() if 0 < one["groups"] < min(FEW_GROUPS, one["frames"])
    }  # where each image is its own group, as many groups as images, nothing is known of patients
    if few:
        told = ", ".join(f"{name} {groups}" for name, groups in list(few.items())[:NAMED])
        text = (
            f"{len(few)} classes come from fewer than {FEW_GROUPS} groups: {told}; intervals over groups will be wide"
        )
        remarks.append(Remark(level="note", name="few_groups", text=text))
    return remarks


def _from_groups(
    concentration: Mapping[str, Any], leaks: Mapping[str, Mapping[str, int]], copies: Mapping[str, Any]
) -> list[Remark]:
    remarks = []
    shared = {pair: leak for pair, leak in leaks.items() if leak["groups"]}
    if shared:
        told = "; ".join(
            f"{pair} {leak['groups']} of {leak['of_groups']} groups and {leak['videos']} of {leak['of_videos']} videos"
            for pair, leak in shared.items()
        )
        text = f"the published parts share {told}: scores on them say nothing about new patients; split by group"
        remarks.append(Remark(level="warning", name="published_split_leaks", text=text))
    largest = concentration["largest"][0]
    if largest["share"] > LARGE_GROUP and concentration["groups"] > 1:
        text = (
            f"one of {concentration['groups']} groups holds {largest['share']:.0%} of the frames: in a mean over "
            f"frames they weigh like {concentration['effective']:.1f} groups of equal size"
        )
        remarks.append(Remark(level="warning", name="large_group", text=text))
    if copies["sets"]:
        met = "" if copies["box_iou_median"] is None else f" (median IoU {copies['box_iou_median']:.2f})"
        text = (
            f"{copies['files']} images are {copies['sets']} pictures under several names, {copies['across_parts']} of "
            f"them in several published parts; labels differ in view {copies['other_views']} times, in classes "
            f"{copies['other_classes']} times, in boxes {copies['other_boxes']} times{met}"
        )
        remarks.append(Remark(level="warning", name="copies", text=text))
    return remarks


def _from_views(found: Mapping[str, Any]) -> list[Remark]:
    remarks = []
    unknown = found["views"].get("unknown", {}).get("frames", 0)
    if unknown:
        text = f"{unknown} images name no view: it is unknown, and no default takes its place"
        remarks.append(Remark(level="warning", name="views_missing", text=text))
    told = found["valve_views"]
    if told and told["overall"] > told["most_frequent_view"] + TELLING_VALVE:
        text = (
            f"the class alone gives the view of {told['overall']:.1%} of the frames (macro {told['macro']:.1%}; the "
            f"most frequent view {told['most_frequent_view']:.1%}): report view accuracy given the class"
        )
        remarks.append(Remark(level="warning", name="view_given_class", text=text))
    within = found["within_videos"]
    if within and within["with_several_views"]:
        share = within["most_frequent_of_their_video"] / within["frames"]
        text = (
            f"{within['with_several_views']} of {within['videos']} videos have several views; {share:.1%} of the "
            f"frames have the most frequent view of their video, and {within['neighbours_that_differ']} of "
            f"{within['neighbours']} neighbouring frames differ: if recordings keep their view, labels are wrong"
        )
        remarks.append(Remark(level="warning", name="views_within_videos", text=text))
    return remarks

"""What is to be said about a set of aerial images with boxes, from what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.data.boxed_images import MALFORMED
from veritrain.data.detection_inventory import DetectionInventory, FileProblem
from veritrain.data.inspection import LEVEL_ORDER, Remark

NAMED = 8
"""Names that a sentence lists."""
USUAL = "100"
"""Detections of an image and a class that COCO's evaluation keeps where nobody says another number."""


def remarks_of(found: Mapping[str, Any], *, strict: bool, strict_boxes: bool) -> list[Remark]:
    """Sentences from the counts of :func:`veritrain.data.box_inspection.inspect_boxes`, errors first."""
    inventory: DetectionInventory = found["inventory"]
    remarks = [
        *_from_files(inventory.problems, "error" if strict else "warning"),
        *_from_malformed(found["malformed"], "error" if strict_boxes else "warning"),
        *_from_images(found["images"], found["copies"]),
        *_from_objects(found),
        *_from_splits(found),
        *_from_oriented(found["oriented"]),
        *(Remark(level="note", name="assumed", text=text) for text in inventory.assumed),
    ]
    return sorted(remarks, key=lambda remark: LEVEL_ORDER.index(remark.level))


def _from_files(problems: list[FileProblem], level: str) -> list[Remark]:
    remarks = []
    others = [one for one in problems if one.name not in MALFORMED]
    for name in dict.fromkeys(one.name for one in others):
        those = [one for one in others if one.name == name]
        done = "left out" if those[0].left_out else "counted once"
        text = f"{len(those)} {done}; first: {_told(those[0])}"
        remarks.append(Remark(level=level, name=name, text=text, file=_place(those[0])))
    return remarks


def _from_malformed(malformed: list[FileProblem], level: str) -> list[Remark]:
    if not malformed:
        return []
    text = f"{len(malformed)} boxes cannot be meant and are left out, their images stay; first: {_told(malformed[0])}"
    return [Remark(level=level, name="malformed_boxes", text=text, file=_place(malformed[0]))]


def _from_images(images: Mapping[str, int], copies: Mapping[str, int]) -> list[Remark]:
    remarks = []
    if images["missing"]:
        text = f"{images['missing']} of {images['annotated']} images are not there: boxes are counted, training refuses"
        remarks.append(Remark(level="note", name="images_missing", text=text))
    if copies["sets"]:
        several = f"{copies['across_splits']} of them in several splits"
        text = f"{copies['files']} images are {copies['sets']} pictures under several names, {several}"
        remarks.append(Remark(level="warning", name="copies", text=text))
    return remarks


def _from_objects(found: Mapping[str, Any]) -> list[Remark]:
    remarks = []
    classes, further = found["classes"], found["further"]
    if not further["kept"]:
        remarks.append(Remark(level="error", name="no_objects", text="no image has any box"))
    absent = [name for name, one in classes.items() if not one["objects"]]
    if absent and found["objects"]:
        text = f"{len(absent)} classes have no object: {', '.join(absent[:NAMED])}"
        remarks.append(Remark(level="warning", name="classes_absent", text=text))
    beyond = found["max_dets"][USUAL]["all"]
    if beyond["unreachable"]:
        text = (
            f"{beyond['pairs']} pairs of image and class have more than {USUAL} objects: {beyond['unreachable']} "
            f"objects ({beyond['share']:.1%}) are out of reach of maxDets={USUAL}; name the maxDets of a score"
        )
        remarks.append(Remark(level="warning", name="max_dets", text=text))
    if further["repeated"]:
        text = f"{further['repeated']} boxes repeat class and box of another in their image; they are kept"
        remarks.append(Remark(level="note", name="repeated_boxes", text=text))
    if further.get("filenames_differ"):
        text = f"{further['filenames_differ']} files name another image in <filename> than their own name does"
        remarks.append(Remark(level="warning", name="filenames_differ", text=text))
    if len(found["sizes"]) > 1:
        told = ", ".join(f"{count} of {size}" for size, count in list(found["sizes"].items())[:NAMED])
        remarks.append(Remark(level="note", name="sizes", text=f"images are of {len(found['sizes'])} sizes: {told}"))
    return remarks


def _from_splits(found: Mapping[str, Any]) -> list[Remark]:
    remarks = []
    shared = {pair: one for pair, one in found["leaks"].items() if one["groups"]}
    if shared:
        told = "; ".join(
            f"{pair} {one['groups']} of {one['of_groups']} groups, {one['images']} of {one['of_images']} images"
            + (f", {one['same_images']} of them the same image" if one["same_images"] else "")
            for pair, one in shared.items()
        )
        text = f"the published splits share {told}: scores on them say little about new ground; split by group"
        remarks.append(Remark(level="warning", name="published_split_leaks", text=text))
    if found["further"]["unlisted"]:
        text = f"{found['further']['unlisted']} annotated images are in no split"
        remarks.append(Remark(level="warning", name="unlisted", text=text))
    return remarks


def _from_oriented(oriented: Mapping[str, Any] | None) -> list[Remark]:
    if oriented is None:
        return []
    remarks = []
    if oriented.get("images_that_differ"):
        text = f"{oriented['images_that_differ']} images have other objects horizontally than oriented"
        remarks.append(Remark(level="warning", name="oriented_differ", text=text))
    if oriented["malformed"] and "images_that_differ" in oriented:
        text = f"{oriented['malformed']} oriented boxes cannot be meant and are left out"
        remarks.append(Remark(level="warning", name="malformed_oriented", text=text))
    if oriented["overhanging"]:
        text = f"{oriented['overhanging']} oriented boxes have a corner outside of their image: that is usual, and kept"
        remarks.append(Remark(level="note", name="overhanging", text=text))
    return remarks


def _told(problem: FileProblem) -> str:
    return f"{problem.element}: {problem.reason}" if problem.element else problem.reason


def _place(problem: FileProblem) -> str:
    return problem.file + ("" if problem.line is None else f":{problem.line}")

"""What ``veritrain data check`` prints of a set of aerial images with boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from veritrain.data.box_inspection import ALL, BoxInspection
from veritrain.data.inspection import share

SHOWN = 40
"""Classes, and malformed boxes, that the terminal lists."""


def print_boxes(inspection: BoxInspection, console: Console) -> None:
    """The inspection as tables; a value of nothing is a dash."""
    images, further = inspection.images, inspection.further
    console.print(
        f"format {inspection.format_name}, {inspection.annotation} boxes: {images['annotated']} images, "
        f"{inspection.objects} objects ({further['kept']} kept), {further['groups']} groups"
    )
    console.print(_classes(inspection))
    if len(inspection.classes) > SHOWN:
        console.print(f"  and {len(inspection.classes) - SHOWN} more (--json lists them)")
    if inspection.splits:
        console.print(_splits(inspection.splits))
        console.print(f"groups in several splits: {inspection.shared_groups}")
    console.print(f"stated sizes: {_pairs(inspection.sizes)}", markup=False)
    total = sum(inspection.object_sizes.values())
    sizes = ", ".join(f"{name} {count} ({_percent(count, total)})" for name, count in inspection.object_sizes.items())
    console.print(f"objects by size (below 32^2, up to 96^2, larger, in stored pixels): {sizes}")
    console.print(_by_objects(inspection.images_by_objects))
    console.print(_reach(inspection.max_dets))
    if inspection.oriented is not None:
        oriented = inspection.oriented
        console.print(
            f"oriented: {oriented['files']} files, {oriented['objects']} objects, {oriented['malformed']} malformed, "
            f"{oriented['overhanging']} with a corner outside; sizes {_pairs(oriented['sizes'])}",
            markup=False,
        )
    console.print(f"malformed boxes: {len(inspection.malformed)}")
    for problem in inspection.malformed[:SHOWN]:
        place = problem.file + ("" if problem.line is None else f":{problem.line}")
        console.print(f"  {place}: {problem.element}: {problem.reason}", markup=False, soft_wrap=True)
    if len(inspection.malformed) > SHOWN:
        console.print(f"  and {len(inspection.malformed) - SHOWN} more (--json lists them)")
    console.print(
        f"images: {images['present']} there, {images['missing']} missing, {images['decoded']} looked through, "
        f"{images['broken']} broken, {images['other_size']} of another size than stated"
    )
    for remark in inspection.remarks:
        place = f" ({remark.file})" if remark.file else ""
        console.print(f"{remark.level} {remark.name}: {remark.text}{place}", markup=False, soft_wrap=True)
    console.print("usable" if inspection.usable else "not usable as it is: see the errors above")


def _classes(inspection: BoxInspection) -> Table:
    """Objects and images of each class, and its objects in each split."""
    table = Table("class", "objects", "images", *inspection.splits)
    for name, one in list(inspection.classes.items())[:SHOWN]:
        parts = (str(split["classes"][name]) for split in inspection.splits.values())
        table.add_row(name, str(one["objects"]), str(one["images"]), *parts)
    return table


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = ("images", "objects", "groups", "several_classes", "most_objects")
    table = Table("split", *(column.replace("_", " ") for column in columns))
    for name, one in splits.items():
        table.add_row(name, *(str(one[column]) for column in columns))
    return table


def _by_objects(counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Images of each split by how many objects they have."""
    table = Table("images with objects", *counts[ALL])
    for name, one in counts.items():
        table.add_row(name, *map(str, one.values()))
    return table


def _reach(max_dets: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """What a limit of detections makes unreachable; splits in which it leaves out nothing are not listed."""
    table = Table("maxDets", "split", "image-class pairs above", "out of reach", "share", "images above")
    for limit, splits in max_dets.items():
        for name, one in splits.items():
            if name != ALL and not one["images"]:
                continue
            part = "-" if one["share"] is None else f"{one['share']:.2%}"
            table.add_row(limit, name, str(one["pairs"]), str(one["unreachable"]), part, str(one["images"]))
    return table


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _percent(count: int, total: int) -> str:
    part = share(count, total)
    return "-" if part is None else f"{part:.1%}"

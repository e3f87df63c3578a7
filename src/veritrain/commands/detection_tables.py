"""What ``veritrain data check`` prints of a set of images with boxes and views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from veritrain.data.echo_inspection import EchoInspection

SHOWN = 24
"""Classes that the terminal lists."""


def print_echo(inspection: EchoInspection, console: Console) -> None:
    """The inspection as tables; a value of nothing is a dash."""
    inventory, objects = inspection.inventory, inspection.objects
    console.print(
        f"{inventory.frames} images, {inventory.objects} objects, {inventory.groups} groups, {inventory.videos} videos"
    )
    console.print(_counts("class", inspection.classes, ("objects", "frames", "groups", "videos")))
    if len(inspection.classes) > SHOWN:
        console.print(f"  and {len(inspection.classes) - SHOWN} more (--json lists them)")
    if inspection.views:
        console.print(_counts("view", inspection.views, ("frames", "groups", "videos")))
    if inspection.parts:
        console.print(_counts("published part", inspection.parts, ("frames", "objects", "groups", "videos")))
    if inspection.valve_views is not None:
        console.print(_rule(inspection.valve_views))
    console.print(
        f"boxes: {objects['instances']} instances, {objects['label_lines']} lines of objects, "
        f"{objects['polygons']} from polygons"
    )
    sides = ", ".join(f"{side} {_middle(objects[side])}" for side in ("width", "height"))
    console.print(f"boxes in shares of the image (5 %, 50 %, 95 %): {sides}")
    largest = ", ".join(f"{one['group']} {one['frames']}" for one in inspection.concentration["largest"])
    console.print(f"largest groups: {largest}")
    sampled = inspection.sampled
    console.print(f"decoded {sampled['read']} of {sampled['of']} images, {sampled['broken']} broken")
    for remark in inspection.remarks:
        place = f" ({remark.file})" if remark.file else ""
        console.print(f"{remark.level} {remark.name}: {remark.text}{place}", markup=False, soft_wrap=True)
    console.print("usable" if inspection.usable else "not usable as it is: see the errors above")


def _counts(title: str, counts: Mapping[str, Mapping[str, Any]], columns: tuple[str, ...]) -> Table:
    table = Table(title, *columns)
    for name, one in list(counts.items())[:SHOWN]:
        table.add_row(name, *(str(one[column]) for column in columns))
    return table


def _rule(valve_views: Mapping[str, Any]) -> Table:
    """Views of each class, and how often the most frequent one is right."""
    views = list(next(iter(valve_views["table"].values())))
    table = Table("class", *views, "most frequent", "right")
    for name, row in list(valve_views["table"].items())[:SHOWN]:
        rule = valve_views["rule"][name]
        right = "-" if rule["accuracy"] is None else f"{rule['accuracy']:.3f}"
        table.add_row(name, *(str(row[view]) for view in views), rule["view"], right)
    return table


def _middle(quantiles: list[float] | None) -> str:
    return "-" if quantiles is None else " / ".join(f"{value:.2f}" for value in quantiles[1:4])

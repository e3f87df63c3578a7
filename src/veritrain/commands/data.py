"""``veritrain data make``, ``check``, ``subset`` and ``export``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from veritrain import catalog, config
from veritrain.commands.box_tables import print_boxes
from veritrain.commands.detection_tables import print_echo
from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.box_inspection import BoxInspection, inspect_boxes
from veritrain.data.box_subset import BoxSubsetOptions, BoxSubsetSummary, write_box_subset
from veritrain.data.boxes_out import export_boxes
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.dior import DiorFormat
from veritrain.data.draw_boxes import write_drawn
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_inspection import EchoInspection, inspect_echo
from veritrain.data.echo_subset import EchoSubsetOptions, EchoSubsetSummary, write_echo_subset
from veritrain.data.inspection import SAMPLE, Inspection, inspect, share
from veritrain.data.labels_out import FORMS, export_labels
from veritrain.data.options import POLICIES, AnoVoxOptions, BoxOptions, DiorOptions, EchoOptions
from veritrain.data.subset import SubsetOptions, SubsetSummary, write_subset
from veritrain.errors import DataError, LayoutError, UsageError, did_you_mean

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]
Options = TypeVar("Options", bound=BoxOptions)

SIZE_FIELDS = ("height", "width")
BOTH_OPTIONS = frozenset({"on_broken", "longest_side"})
"""Options that all formats of images with boxes share."""
SIZE_HELP = "image height x width in pixels"
SHOWN = 40
"""Scenarios that the terminal lists."""


def make(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data make WORLD OUT: write a made data set in a real format."""
    world = words[0] if words and not words[0].startswith("-") else ""
    if world not in catalog.WORLDS and (world or "--help" not in words):
        fix = did_you_mean(world, catalog.WORLDS)
        raise UsageError(f"no world '{world}'" if world else "no world is named", found=world or "nothing", fix=fix)
    chosen = catalog.resolve("worlds", world or next(iter(catalog.WORLDS)))
    usual = chosen.options_type()
    square = usual.height == usual.width
    size = str(usual.height) if square else f"{usual.height}x{usual.width}"
    parser = new_parser(
        f"data make {world or 'WORLD'}",
        f"{make.__doc__}\nworlds: {', '.join(catalog.WORLDS)}; veritrain data make WORLD --help shows its options.",
        f"veritrain data make {world or 'driving'} data/made --size {size} --seed 7",
    )
    parser.add_argument("out", type=str, help="a folder that does not exist yet")
    parser.add_argument("--size", type=str, default=size, help=SIZE_HELP + (", or a side" if square else ""))
    config.add_recipe(parser, chosen.options_type, skip=set(SIZE_FIELDS))
    given = parse(parser, words[1:] if world else words)
    height, width = _size(given.size, square=square)
    options = replace(config.build(chosen.options_type, given), height=height, width=width)
    summary = chosen(options).write(Path(given.out))
    print(json.dumps({**asdict(summary), "path": str(summary.path), "made_data": True}, indent=1))
    return 0


def _size(text: str, *, square: bool) -> tuple[int, int]:
    """Height and width; worlds of square images also take one side."""
    height, cross, width = text.lower().partition("x")
    if square and not cross:
        width = height
    if not (height.isdigit() and width.isdigit()):
        raise UsageError(
            "not an image size",
            expected="HxW, such as 96x144" + (", or N" if square else ""),
            found=text,
            fix="--size 96x144",
        )
    return int(height), int(width)


def check(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data check PATH: what a data set holds, and what is wrong with it; exit code 65 where a finding is an error."""
    parser = new_parser("data check", check.__doc__ or "", "veritrain data check data/streets --json")
    parser.add_argument("path", type=str)
    most = f"frames to decode; 0 is all up to {SAMPLE} (2000 of images with boxes)"
    parser.add_argument("--sample", type=int, default=0, help=most)
    parser.add_argument("--format", type=str, default="auto", help=f"auto, or {' or '.join(catalog.FORMATS)}")
    parser.add_argument("--layout", type=str, default="auto", help="anovox: auto, or 2024 or 2023 where both lie there")
    config.add_recipe(parser, EchoOptions)
    config.add_recipe(parser, DiorOptions, skip=set(BOTH_OPTIONS))
    parser.add_argument("--draw", nargs=2, metavar=("OUT", "N"), help="N images with their boxes drawn on")
    parser.add_argument("--json", action="store_true")
    given = parse(parser, words)
    if given.sample < 0:
        raise UsageError(
            "nothing to read", expected="--sample of at least 1", found=str(given.sample), fix="--sample 20"
        )
    name = format_of(given.path) if given.format == "auto" else given.format
    if name not in CHECKS:
        raise UsageError(f"no format '{name}'", found=name, fix=did_you_mean(name, CHECKS))
    inspection, show = CHECKS[name](given)
    if given.json:
        print(json.dumps(inspection.as_json(), indent=1, allow_nan=False))
    else:
        show(inspection, Console())
    return 0 if inspection.usable else DataError.exit_code


def format_of(path: str) -> str:
    """The name of the format that recognises ``path`` by its content.

    Raises:
        LayoutError: none does.
    """
    for name in catalog.FORMATS:
        if catalog.resolve("formats", name).recognises(path):
            return name
    place = Path(path)
    raise LayoutError(
        "no format recognises what lies there",
        file=place,
        expected="scenarios with sensor_setup.json (anovox), data.yaml or images beside labels (echo), "
        "Annotations/Horizontal Bounding Boxes with XML (dior), or JSON with images, annotations, categories (coco)",
        found=f"{sum(1 for _ in place.iterdir())} entries" if place.is_dir() else "no folder",
        fix="give the data set's own folder; `veritrain data make WORLD OUT` makes one",
    )


def _check_anovox(given: Namespace) -> tuple[Inspection, Callable[[Inspection, Console], None]]:
    _demand_unset(given, "anovox", draw=None, **_usual(EchoOptions), **_usual(DiorOptions, skip=BOTH_OPTIONS))
    source = AnoVoxFormat(given.path, AnoVoxOptions(layout=given.layout))
    return inspect(source, sample=given.sample or None), print_inspection


def _check_echo(given: Namespace) -> tuple[EchoInspection, Callable[[EchoInspection, Console], None]]:
    _demand_unset(given, "echo", layout="auto", **_usual(DiorOptions, skip=BOTH_OPTIONS))
    options = config.build(EchoOptions, given)
    source = EchoFormat(given.path, replace(options, on_broken="skip"))
    inspection = inspect_echo(source, sample=given.sample or None, strict=options.on_broken == "error")
    _draw(source, given)
    return inspection, print_echo


def _check_dior(given: Namespace) -> tuple[BoxInspection, Callable[[BoxInspection, Console], None]]:
    _demand_unset(given, "dior", layout="auto", **_usual(EchoOptions, skip=BOTH_OPTIONS))
    return _check_boxes(DiorFormat(given.path, _lenient(config.build(DiorOptions, given))), given)


def _check_coco(given: Namespace) -> tuple[BoxInspection, Callable[[BoxInspection, Console], None]]:
    _demand_unset(given, "coco", layout="auto", **_only_dior(), **_usual(EchoOptions, skip=BOTH_OPTIONS))
    return _check_boxes(CocoBoxes(given.path, _lenient(config.build(BoxOptions, given))), given)


def _check_boxes(
    source: DiorFormat | CocoBoxes, given: Namespace
) -> tuple[BoxInspection, Callable[[BoxInspection, Console], None]]:
    inspection = inspect_boxes(
        source,
        sample=given.sample or None,
        strict=given.on_broken == "error",
        strict_boxes=given.on_malformed == "error",
    )
    _draw(source.with_images(), given)
    return inspection, print_boxes


def _lenient(options: Options) -> Options:
    """So that everything is listed; whether it is an error is said afterwards."""
    return replace(options, on_broken="skip", on_malformed="drop")


def _draw(source: EchoFormat | DiorFormat | CocoBoxes, given: Namespace) -> None:
    if given.draw is None:
        return
    out, count = given.draw
    if not count.isdigit():
        raise UsageError("not a number of pictures", expected="--draw OUT N", found=count, fix="--draw OUT 24")
    write_drawn(source, Path(out), int(count))


CHECKS: dict[str, Callable[[Namespace], tuple[Any, Any]]] = {
    "anovox": _check_anovox,
    "echo": _check_echo,
    "dior": _check_dior,
    "coco": _check_coco,
}
"""Format -> its inspection and what prints it; a test holds the names against the catalogue's."""


def _demand_unset(given: Namespace, name: str, **usual: Any) -> None:
    """Refuses an option that would change nothing for this format."""
    for option, value in usual.items():
        said = given[option]
        listed = isinstance(said, list | tuple) and isinstance(value, list | tuple)
        if said != value and not (listed and list(said) == list(value)):
            raise UsageError(
                f"--{option} means nothing for the format {name}",
                expected=f"options of {name}",
                found=f"--{option} {given[option]}",
                fix=f"leave --{option} out",
            )


def _only_dior() -> dict[str, Any]:
    return _usual(DiorOptions, skip=frozenset(asdict(BoxOptions())))


def _usual(options: type[Any], *, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the options of a format are when nobody says them."""
    return {name: value for name, value in asdict(options()).items() if name not in skip}


def subset(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data subset PATH OUT: a part of a data set as a data set of its own; whole scenarios, patients or scenes."""
    parser = new_parser(
        "data subset", subset.__doc__ or "", "veritrain data subset data/streets data/part --share 0.25 --frames 4"
    )
    parser.add_argument("path", type=str)
    parser.add_argument("out", type=str, help="a folder that does not exist yet, outside PATH")
    parser.add_argument("--layout", type=str, default="auto", help="anovox: auto, or 2024 or 2023 where both lie there")
    parser.add_argument("--link", action="store_true", help="hard links instead of copies: a change in one is in both")
    config.add_recipe(parser, SubsetOptions, skip={"link"})
    config.add_recipe(parser, EchoSubsetOptions, skip=set(BOTH_SUBSETS))
    config.add_recipe(parser, BoxSubsetOptions, skip={*BOTH_SUBSETS, "classes"})
    config.add_recipe(parser, EchoOptions, skip=set(COPIED))
    config.add_recipe(parser, DiorOptions, skip=set(BOTH_OPTIONS))
    given = parse(parser, words)
    taken = SUBSETS[_known_format(given.path, SUBSETS)](given)
    print(json.dumps({**asdict(taken), "path": str(taken.path)}, indent=1))
    return 0


COPIED = frozenset({"longest_side"})
"""Options of images that are decoded; files are copied as they are."""
BOTH_SUBSETS = frozenset({"share", "frames", "seed", "link"})


def _subset_anovox(given: Namespace) -> SubsetSummary:
    _demand_unset(given, "anovox", **_usual(EchoSubsetOptions, skip=BOTH_SUBSETS), **_usual(EchoOptions, skip=COPIED))
    _demand_unset(given, "anovox", groups="", **_usual(DiorOptions, skip=BOTH_OPTIONS))
    source = AnoVoxFormat(given.path, AnoVoxOptions(layout=given.layout))
    return write_subset(source, Path(given.out), config.build(SubsetOptions, given))


def _subset_echo(given: Namespace) -> EchoSubsetSummary:
    _demand_unset(given, "echo", layout="auto", **_usual(SubsetOptions, skip=BOTH_SUBSETS))
    _demand_unset(given, "echo", groups="", **_usual(DiorOptions, skip=BOTH_OPTIONS))
    source = EchoFormat(given.path, config.build(EchoOptions, given))
    return write_echo_subset(source, Path(given.out), config.build(EchoSubsetOptions, given))


def _subset_dior(given: Namespace) -> BoxSubsetSummary:
    _demand_boxes_alone(given, "dior")
    source = DiorFormat(given.path, config.build(DiorOptions, {**given.as_dict(), "longest_side": 0}))
    return write_box_subset(source, Path(given.out), config.build(BoxSubsetOptions, given))


def _subset_coco(given: Namespace) -> BoxSubsetSummary:
    _demand_boxes_alone(given, "coco", **_only_dior())
    source = CocoBoxes(given.path, config.build(BoxOptions, {**given.as_dict(), "longest_side": 0}))
    return write_box_subset(source, Path(given.out), config.build(BoxSubsetOptions, given))


def _demand_boxes_alone(given: Namespace, name: str, **more: Any) -> None:
    """Refuses what a part of a DIOR or COCO set cannot be asked for."""
    echo = _usual(EchoSubsetOptions, skip=BOTH_SUBSETS | {"classes"}) | _usual(EchoOptions, skip=BOTH_OPTIONS)
    streets = _usual(SubsetOptions, skip=BOTH_SUBSETS - {"frames"})
    _demand_unset(given, name, layout="auto", **streets, **echo, **more)


SUBSETS: dict[str, Callable[[Namespace], Any]] = {
    "anovox": _subset_anovox,
    "echo": _subset_echo,
    "dior": _subset_dior,
    "coco": _subset_coco,
}
"""Format -> what takes a part of it; a test holds the names against the catalogue's."""


def _known_format(path: str, known: Mapping[str, object]) -> str:
    """The format at ``path``, refused by name where the command has nothing for it."""
    name = format_of(path)
    if name not in known:
        raise UsageError(
            f"this command has nothing for the format {name}",
            expected=" or ".join(known),
            found=name,
            fix="`veritrain data --help` lists what there is",
        )
    return name


def export(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data export PATH OUT: the labels of a data set for other programs."""
    parser = new_parser("data export", export.__doc__ or "", "veritrain data export data/streets labels --as coco")
    parser.add_argument("path", type=str)
    parser.add_argument("out", type=str, help="a new or empty folder")
    parser.add_argument(
        "--as",
        choices=FORMS,
        required=True,
        help="coco: masks, or boxes; anovox: a csv of frames, or npy arrays",
    )
    parser.add_argument("--layout", type=str, default="auto", help="anovox: auto, or 2024 or 2023 where both lie there")
    broken = "skip counts what cannot be read, error stops; skip without it (anovox), error (images with boxes)"
    parser.add_argument("--on_broken", choices=("", *POLICIES), default="", help=broken)
    config.add_recipe(parser, EchoOptions, skip={"on_broken", *COPIED})
    config.add_recipe(parser, DiorOptions, skip=set(BOTH_OPTIONS))
    given = parse(parser, words)
    print(json.dumps(EXPORTS[_known_format(given.path, EXPORTS)](given), indent=1))
    return 0


def _export_anovox(given: Namespace) -> dict[str, Any]:
    _demand_unset(given, "anovox", **_usual(EchoOptions, skip=BOTH_OPTIONS), **_usual(DiorOptions, skip=BOTH_OPTIONS))
    options = AnoVoxOptions(layout=given.layout, on_broken=given.on_broken or "skip")
    return export_labels(AnoVoxFormat(given.path, options), Path(given.out), given["as"])


def _export_echo(given: Namespace) -> dict[str, Any]:
    _demand_unset(given, "echo", layout="auto", **_usual(DiorOptions, skip=BOTH_OPTIONS))
    options = config.build(EchoOptions, {**given.as_dict(), "on_broken": given.on_broken or "error"})
    return export_boxes(EchoFormat(given.path, options), Path(given.out), given["as"])


def _export_dior(given: Namespace) -> dict[str, Any]:
    _demand_unset(given, "dior", layout="auto", **_usual(EchoOptions, skip=BOTH_OPTIONS))
    return export_boxes(DiorFormat(given.path, _of_export(DiorOptions, given)), Path(given.out), given["as"])


def _export_coco(given: Namespace) -> dict[str, Any]:
    _demand_unset(given, "coco", layout="auto", **_only_dior(), **_usual(EchoOptions, skip=BOTH_OPTIONS))
    return export_boxes(CocoBoxes(given.path, _of_export(BoxOptions, given)), Path(given.out), given["as"])


def _of_export(kind: type[Options], given: Namespace) -> Options:
    return config.build(kind, {**given.as_dict(), "on_broken": given.on_broken or "error", "longest_side": 0})


EXPORTS: dict[str, Callable[[Namespace], dict[str, Any]]] = {
    "anovox": _export_anovox,
    "echo": _export_echo,
    "dior": _export_dior,
    "coco": _export_coco,
}
"""Format -> what writes its labels; a test holds the names against the catalogue's."""


def print_inspection(inspection: Inspection, console: Console) -> None:
    """The inspection as tables; a value of nothing is a dash."""
    inventory = inspection.inventory
    console.print(f"{inventory.scenarios} scenarios, {inventory.frames} frames, layout {inventory.layout}")
    console.print(_counts("type", inventory.by_type), _counts("town", inventory.by_town))
    shown = list(inventory.by_scenario.items())[:SHOWN]
    console.print("frames by scenario: " + ", ".join(f"{group.split('_')[-1]} {count}" for group, count in shown))
    if len(inventory.by_scenario) > SHOWN:
        console.print(f"  and {len(inventory.by_scenario) - SHOWN} more (--json lists them)")
    pairing = ", ".join(f"{name} {count}" for name, count in inspection.pairing.items())
    console.print(f"sensor pairing in frames: {pairing}", markup=False)
    sampled = inspection.sampled
    console.print(f"decoded {sampled['read']} of {sampled['of']} frames, {sampled['broken']} broken")
    console.print(_shares("class", inspection.classes), _shares("label", inspection.labels))
    if inspection.round_trip is not None:
        trip = inspection.round_trip
        console.print(f"voxel round trip: median IoU {trip['iou_median']:.3f}, least {trip['iou_least']:.3f}")
    for title in ("skipped_scenarios", "skipped_frames", "unlabelled"):
        problems = getattr(inventory, title)
        console.print(f"{title.replace('_', ' ')}: {len(problems)}")
        for problem in problems:
            console.print(f"  {problem.file}: {problem.reason}", markup=False, soft_wrap=True)
    for remark in inspection.remarks:
        place = f" ({remark.file})" if remark.file else ""
        console.print(f"{remark.level} {remark.name}: {remark.text}{place}", markup=False, soft_wrap=True)
    console.print("usable" if inspection.usable else "not usable: see the errors above")


def _counts(title: str, counts: dict[str, tuple[int, int]]) -> Table:
    table = Table(title, "scenarios", "frames")
    for name, (scenarios, frames) in counts.items():
        table.add_row(name, str(scenarios), str(frames))
    return table


def _shares(title: str, levels: dict[str, dict[str, int]]) -> Table:
    """One row a name, one column a level: the share of the level."""
    table = Table(title, *levels)
    for name in dict.fromkeys(name for counts in levels.values() for name in counts):
        cells = [share(counts.get(name, 0), sum(counts.values())) for counts in levels.values()]
        table.add_row(name, *("-" if cell is None else f"{cell:.3%}" for cell in cells))
    return table

"""The captioned images of one recipe: read, split by scene, some left out, spoilt where the recipe asks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veritrain import catalog
from veritrain.data.boxed_images import BoxedImages
from veritrain.data.caption_tokens import CaptionTokens
from veritrain.data.caption_vocabulary import count_names, names_any
from veritrain.data.captioned_images import CaptionedImages
from veritrain.data.captions import Captions, find_captions, problem_counts, read_captions
from veritrain.data.detection_cache import CachedDetections, open_boxed
from veritrain.data.detection_frames import DetectionFrames, letterbox_shape
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.detection_splits import DetectionSplit, split_detections
from veritrain.data.held import choose_hold
from veritrain.data.options import BoxOptions, DiorOptions
from veritrain.data.splits import PARTS
from veritrain.errors import ConfigError, DataError, LayoutError, did_you_mean
from veritrain.experiments.driving_data import LICENCES, MADE_DATA_FILE, short_hash
from veritrain.models.language import AERIAL_WORDS
from veritrain.tasks.contrastive_options import ContrastiveRecipe
from veritrain.tasks.options import READS

FORMATS = READS["contrastive"]
"""Formats of images with boxes that captions may lie beside."""
LEAST_IMAGES = 2
"""Of a part: with one, nothing is told apart from anything."""


@dataclass(frozen=True, kw_only=True)
class CaptionData:
    """Three sets and what is known about them.

    Attributes:
        sets: part to its images, captions as this run reads them.
        keys: part to their keys, in the order of the set.
        classes: names of the boxes' classes.
        vocabulary: learned from the training captions.
        said: what the training captions name, for ``caption_vocabulary`` in the results.
        leaky: a scene is in two parts. told: how the split came about, and what was left out, in sentences.
        card: the content of ``data.json``.
        held: a sentence: where the images are held, and why.
    """

    sets: Mapping[str, CaptionedImages]
    keys: Mapping[str, Sequence[DetectionKey]]
    classes: tuple[str, ...]
    vocabulary: CaptionTokens
    said: Mapping[str, Any]
    leaky: bool
    told: tuple[str, ...]
    card: Mapping[str, Any]
    held: str

    @property
    def test_groups(self) -> list[str]:
        return [key.group for key in self.keys["test"]]


def open_caption_data(recipe: ContrastiveRecipe) -> CaptionData:
    """Read, split, leave out and label.

    Raises:
        LayoutError: no captions file, or no format that recognises the folder.
        DataError: a caption of an image that is not there or without words, an image without captions or without a
            picture, a part with too few images.
        ConfigError: ``leave_out`` names a class that there is not.
    """
    source = open_boxed(_format(recipe), cache=Path(recipe.cache) if recipe.cache else None)
    captions = _captions(source, recipe)
    _demand_classes(recipe.leave_out, source.classes)
    split = split_detections(source, recipe.split, classes=source.classes)
    by_id = {key.id: key for key in source.keys()}  # noqa: SIM118 - a method of the data set
    members = {part: [by_id[name] for name in getattr(split.split, part) if name in captions.of] for part in PARTS}
    out = _left_out(source, members, captions, recipe.leave_out)
    keys = {part: [key for key in those if key.id not in out[part]] for part, those in members.items()}
    _demand_enough(keys, captions, Path(recipe.data))
    vocabulary = CaptionTokens.learn(text for key in keys["train"] for text in captions.of[key.id])
    shape = letterbox_shape((source.stored_size(key) for key in by_id.values()), recipe.imgsz)
    needed = 3 * shape[0] * shape[1] * len(by_id) * (1 + recipe.workers)
    hold, held = choose_hold(recipe.hold, needed=needed, budget_mb=recipe.memory_mb)
    sets = {}
    for part in PARTS:
        frames = DetectionFrames(source, keys[part], shape, classes=len(source.classes), views=0, hold=hold)
        sets[part] = CaptionedImages(
            frames,
            [captions.of[key.id] for key in keys[part]],
            vocabulary,
            context_length=recipe.context_length,
            every=part != "train",
            labels=recipe.labels if part != "test" else "given",
            label_seed=recipe.seed,
            turns=part == "train" and recipe.augment == "turns",
        )
    left_out = {part: {name: len(those) for name, those in _by_class(found).items()} for part, found in out.items()}
    card = _card(source, sets, split, captions, recipe) | {"left_out": left_out}
    return CaptionData(
        sets=sets,
        keys=keys,
        classes=source.classes,
        vocabulary=vocabulary,
        said=_said(sets, source.classes, vocabulary),
        leaky=split.leaky,
        told=tuple(_told(split, out, sets)),
        card=card,
        held=held,
    )


def _format(recipe: ContrastiveRecipe) -> BoxedImages:
    path = Path(recipe.data)
    for name in FORMATS:
        found = catalog.resolve("formats", name)
        if found.recognises(path):
            options = DiorOptions if name == "dior" else BoxOptions
            read: BoxedImages = found(path, options(on_broken=recipe.on_broken, longest_side=recipe.imgsz))
            return read
    raise LayoutError(
        "no images that captions can lie beside",
        file=path,
        expected=f"a data set in one of the formats {', '.join(FORMATS)}, with captions.json",
        found="another one" if path.is_dir() else "no folder",
        fix="`veritrain data make aerial OUT` makes one",
    )


def _captions(source: CachedDetections, recipe: ContrastiveRecipe) -> Captions:
    root = source.source.root
    home = getattr(getattr(source.source, "folders", None), "home", root)
    names = [key.id for key in source.keys()]  # noqa: SIM118 - a method of the data set
    return read_captions(find_captions(Path(recipe.data), home, root), names, on_broken=recipe.on_broken)


def _demand_classes(leave_out: Sequence[str], classes: Sequence[str]) -> None:
    for name in leave_out:
        if name not in classes:
            raise ConfigError(
                f"leave_out: no class '{name}'",
                expected=", ".join(classes),
                found=name,
                fix=did_you_mean(name, classes),
            )


def _left_out(
    source: CachedDetections, members: Mapping[str, Sequence[DetectionKey]], captions: Captions, classes: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Part -> image id -> the classes that it is left out for: by a box, or because a caption names it."""
    found: dict[str, dict[str, list[str]]] = {part: {} for part in members}
    for part in ("train", "val") if classes else ():
        for key in members[part]:
            boxed = {source.classes[number] for number in source.labels(key).classes}
            shown = [
                name
                for name in classes
                if name in boxed or names_any(captions.of[key.id], AERIAL_WORDS.get(name, name))
            ]
            if shown:
                found[part][key.id] = shown
    return found


def _by_class(found: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Image -> classes turned round; an image that shows two of them counts for both."""
    turned: dict[str, list[str]] = {}
    for image, names in found.items():
        for name in names:
            turned.setdefault(name, []).append(image)
    return turned


def _demand_enough(keys: Mapping[str, Sequence[DetectionKey]], captions: Captions, path: Path) -> None:
    for part, those in keys.items():
        texts = {text for key in those for text in captions.of[key.id]}
        if len(those) < LEAST_IMAGES or len(texts) < LEAST_IMAGES:
            raise DataError(
                f"the {part} split has too little to tell apart",
                expected=f"{LEAST_IMAGES} images and {LEAST_IMAGES} different captions, or more",
                found=f"{len(those)} images, {len(texts)} different captions",
                fix="add images, or leave out fewer classes",
                file=path,
            )


def _told(
    split: DetectionSplit, out: Mapping[str, Mapping[str, Sequence[str]]], sets: Mapping[str, CaptionedImages]
) -> list[str]:
    shared = [f"{pair}: {leak.groups} of {leak.of_groups}" for pair, leak in split.leaks.items() if leak.groups]
    told = [f"split {split.policy}: " + ("no scene is in two parts" if not shared else
            f"IT LEAKS, scores on it say nothing about new scenes (scenes in both, {'; '.join(shared)})")]  # fmt: skip
    for part, found in out.items():
        if found:
            counted = ", ".join(f"{name} {len(images)}" for name, images in sorted(_by_class(found).items()))
            told.append(f"left out of {part}: {len(found)} images that show or name {counted}")
    told += [f"{one.cut} captions of {part} are longer than context_length and lose their end"
             for part, one in sets.items() if one.cut]  # fmt: skip
    return told


def _said(sets: Mapping[str, CaptionedImages], classes: Sequence[str], vocabulary: CaptionTokens) -> dict[str, Any]:
    """What the captions of training contained: which classes they name, and which words of test they never had."""
    train = sets["train"]
    captions = {key.id: those for key, those in zip(train.keys, train.captions, strict=True)}
    named = count_names(captions, {name: AERIAL_WORDS.get(name, name) for name in classes})
    spelled = vocabulary.spelled(text for those in sets["test"].captions for text in those)
    return {
        "images": len(captions),
        "captions": sum(map(len, captions.values())),
        "different_captions": len({text for those in captions.values() for text in those}),
        "words": len(vocabulary.words),
        "classes": {name: asdict(one) for name, one in named.items()},
        "never_named": [name for name, one in named.items() if not one.captions],
        "words_of_test_not_in_training": dict(spelled.most_common()),
    }


def _card(
    source: CachedDetections,
    sets: Mapping[str, CaptionedImages],
    split: DetectionSplit,
    captions: Captions,
    recipe: ContrastiveRecipe,
) -> dict[str, Any]:
    """What lies where; names of scenes and files as hashes."""
    root = source.source.root
    made = any((folder / MADE_DATA_FILE).is_file() for folder in (root, Path(recipe.data), *root.parents[:2]))
    licence, commercial = LICENCES[made]
    inventory = source.inventory()
    problems = [*inventory.problems, *captions.problems]
    return {
        "schema": 1,
        "format": source.source.format_name if isinstance(source.source, BoxedImages) else "",
        "made_data": made,
        "licence": licence,
        "commercial_use": commercial,
        "split_sha256": _split_digest(sets),
        "split": split.as_json(),
        "image_size": list(sets["train"].frames.shape),
        "splits": {part: _part_card(source, one) for part, one in sets.items()},
        "classes": list(source.classes),
        "assumed": inventory.assumed,
        "problems": problem_counts(problems),
        "dropped": [
            {"file": short_hash(one.file), "element": one.element, "reason": one.name}
            for one in problems
            if one.left_out
        ],
    }


def _split_digest(sets: Mapping[str, CaptionedImages]) -> str:
    """SHA-256 of which images are in which part, those that were left out in none."""
    lines = [f"{part} {key.id} {key.group}" for part, one in sets.items() for key in one.keys]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _part_card(source: CachedDetections, images: CaptionedImages) -> dict[str, Any]:
    digest = hashlib.sha256()
    for those in images.captions:
        digest.update("\n".join((*those, "")).encode())
    texts = [text for those in images.captions for text in those]
    counts = Counter(key.group for key in images.keys)
    return {
        "groups": sorted({short_hash(key.group) for key in images.keys}),
        "frames": len(images),
        "captions": len(texts),
        "labelled": {"captions": {"captions": len(texts), "different captions": len(set(texts))}},
        "cut": images.cut,
        "largest_group": max(counts.values()),
        "labels_sha256": digest.hexdigest(),
        "contents": [source.content_hash(key)[:16] for key in images.keys],
    }


def caption_counts(images: CaptionedImages) -> Counter[bytes]:
    """How often each caption, as its tokens, stands among a set's own."""
    given = CaptionedImages(images.frames, images.captions, images.vocabulary,
                            context_length=images.context_length, every=True)  # fmt: skip
    return Counter(row.tobytes() for index in range(len(given)) for row in given.rows_of(index)[0])


def trivial_scores(train: CaptionedImages, asked: CaptionedImages) -> dict[str, np.ndarray]:
    """Baselines that look at no image: name -> a score for every caption of a set, in order (M,).

    The commonest caption of training first; and the shortest caption first (the longest would name most).
    """
    common = caption_counts(train)
    rows = [row for index in range(len(asked)) for row in asked.rows_of(index)[0]]
    return {
        "most frequent caption": np.array([common[row.tobytes()] for row in rows], np.float64),
        "shortest caption": -np.array([np.count_nonzero(row) for row in rows], np.float64),
    }

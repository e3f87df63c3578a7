"""Captioned images of a recipe: what is read, split, left out, counted and refused."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from dior_folders import coco_of, write_pictures
from tiny_captions import tiny_recipe
from veritrain.data.caption_vocabulary import names_any
from veritrain.data.captions import CAPTIONS
from veritrain.errors import ConfigError, DataError, LayoutError
from veritrain.experiments.caption_data import caption_counts, open_caption_data, trivial_scores
from veritrain.models.language import AERIAL_WORDS


@pytest.fixture(scope="module")
def data(aerial_world):
    return open_caption_data(tiny_recipe(aerial_world))


@pytest.fixture
def changed(aerial_world, tmp_path):
    """A copy whose captions may be changed."""
    shutil.copytree(aerial_world, tmp_path / "copy", ignore=shutil.ignore_patterns("veritrain_cache*"))
    return tmp_path / "copy"


def spoil(folder, change) -> None:
    content = json.loads((folder / CAPTIONS).read_text(encoding="utf-8"))
    change(content["images"])
    (folder / CAPTIONS).write_text(json.dumps(content), encoding="utf-8")


def stored(folder) -> dict[str, list[str]]:
    content = json.loads((folder / CAPTIONS).read_text(encoding="utf-8"))["images"]
    return {one["filename"].partition(".")[0]: [said["raw"] for said in one["sentences"]] for one in content}


def test_every_image_has_its_own_captions_in_its_own_part(aerial_world, data):
    captions = stored(aerial_world)
    for part, images in data.sets.items():
        ids = (aerial_world / "ImageSets" / "Main" / f"{part}.txt").read_text(encoding="utf-8").split()
        assert {key.id for key in images.keys} == set(ids)
        for key, said in zip(images.keys, images.captions, strict=True):
            assert list(said) == captions[key.id]
        assert images.every is (part != "train") and images.turns is (part == "train")
    assert not data.leaky and data.told[0] == "split published: no scene is in two parts"


def test_words_are_those_of_training_alone(data):
    train = {text for those in data.sets["train"].captions for text in those}
    assert set(data.vocabulary.words) == set(type(data.vocabulary).learn(train).words)


def test_what_captions_name_is_counted(aerial_world, data):
    said = data.said
    train = [key.id for key in data.keys["train"]]
    captions = stored(aerial_world)
    ships = [sum(bool(re.search(r"\bships?\b", text)) for text in captions[one]) for one in train]
    assert said["classes"]["ship"] == {"captions": sum(ships), "images": sum(one > 0 for one in ships)}
    assert said["images"] == len(train) and said["captions"] == 5 * len(train) and len(said["classes"]) == 20
    assert said["never_named"] == [name for name, one in said["classes"].items() if not one["captions"]]


def test_classes_can_be_left_out_of_what_is_learned_from(aerial_world, data):
    out = ["airport", "storagetank"]
    found = open_caption_data(tiny_recipe(aerial_world, leave_out=out))
    for part in ("train", "val"):
        left = {key.id for key in found.keys[part]}
        for key, said in zip(data.keys[part], data.sets[part].captions, strict=True):
            boxed = {data.classes[number] for number in data.sets[part].frames.source.labels(key).classes}
            named = any(names_any(said, AERIAL_WORDS.get(name, name)) for name in out)
            assert (key.id in left) is not (bool(boxed & set(out)) or named)
    assert found.keys["test"] == data.keys["test"], "test stays whole"
    assert found.said["classes"]["airport"] == {"captions": 0, "images": 0} and "airport" in found.said["never_named"]
    assert "tank" not in found.vocabulary.words and "tank" in data.vocabulary.words
    assert found.said["words_of_test_not_in_training"]["airport"] > 0
    counted = found.card["left_out"]
    assert counted["train"]["airport"] + counted["train"]["storagetank"] >= len(data.keys["train"]) - len(
        found.keys["train"]
    )
    assert counted["test"] == {} and any(one.startswith("left out of train: ") for one in found.told)
    assert found.card["split_sha256"] != data.card["split_sha256"]


def test_scenes_that_parts_share_are_told(changed):
    scenes = json.loads((changed / "scenes.json").read_text(encoding="utf-8"))
    ids = [(changed / "ImageSets" / "Main" / f"{part}.txt").read_text(encoding="utf-8").split()[0]
           for part in ("train", "test")]  # fmt: skip
    scenes[ids[1]] = scenes[ids[0]]
    (changed / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")
    found = open_caption_data(tiny_recipe(changed))
    assert found.leaky and "IT LEAKS" in found.told[0] and "train/test: 1" in found.told[0]
    dealt = open_caption_data(tiny_recipe(changed, split="group"))
    assert not dealt.leaky
    groups = [{key.group for key in those} for those in dealt.keys.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_labels_are_spoilt_in_train_and_val_alone(aerial_world, data):
    for labels in ("permuted", "redrawn"):
        found = open_caption_data(tiny_recipe(aerial_world, labels=labels))
        for part, same in (("train", False), ("val", False), ("test", True)):
            read = [found.sets[part].label_of(index) for index in range(10)]
            assert (read == [data.sets[part].label_of(index) for index in range(10)]) is same, (labels, part)


def test_the_card_names_no_scene_and_no_file(data):
    text = json.dumps(data.card)
    keys = [key for those in data.keys.values() for key in those]
    assert not any(f'"{name}"' in text for key in keys for name in (key.id, key.group))
    for part in data.card["splits"].values():
        assert len(part["contents"]) == part["frames"] and part["labelled"]["captions"]["captions"] == part["captions"]
    assert data.card["made_data"] and data.card["format"] == "dior"


def test_baselines_look_at_no_image(data):
    scores = trivial_scores(data.sets["train"], data.sets["test"])
    texts = [text for those in data.sets["test"].captions for text in those]
    train = [text for those in data.sets["train"].captions for text in those]
    assert scores["most frequent caption"].tolist() == [train.count(text) for text in texts]
    lengths = np.array([len(data.vocabulary.ids(text)) for text in texts])
    assert (np.argsort(scores["shortest caption"]) == np.argsort(-lengths)).all()
    assert sum(caption_counts(data.sets["train"]).values()) == len(train)


def test_captions_may_lie_beside_boxes_in_coco_s_form(tmp_path):
    entries = []
    for part in ("train", "val", "test"):
        names = {number: (f"{part}/{number}.jpg", (40, 32)) for number in (1, 2)}
        write_pictures(tmp_path, dict(names.values()))
        document = coco_of(names, [(1, 3, (2, 2, 20, 20))], {3: "boat", 7: "bus"})
        (tmp_path / f"instances_{part}.json").write_text(json.dumps(document), encoding="utf-8")
        entries += [
            {"filename": f"{part}/{number}.jpg", "sentences": [{"raw": f"{number} buses"}]} for number in (1, 2)
        ]
    (tmp_path / CAPTIONS).write_text(json.dumps({"images": entries}), encoding="utf-8")
    found = open_caption_data(tiny_recipe(tmp_path))
    assert found.card["format"] == "coco" and not found.card["made_data"]
    assert {part: len(those) for part, those in found.keys.items()} == {"train": 2, "val": 2, "test": 2}
    assert found.said["classes"] == {"boat": {"captions": 0, "images": 0}, "bus": {"captions": 2, "images": 2}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda images: images[3].update(filename="99999.jpg"), "not there"),
        (lambda images: images[3]["sentences"][1].update(raw=" "), "a caption without words"),
        (lambda images: images.pop(5), "an image without captions"),
    ],
)
def test_captions_that_cannot_be_meant_are_refused_or_left_out(changed, change, told):
    spoil(changed, change)
    with pytest.raises(DataError, match=told):
        open_caption_data(tiny_recipe(changed))
    found = open_caption_data(tiny_recipe(changed, on_broken="skip"))
    assert sum(found.card["problems"].values()) >= 1 and found.card["dropped"]
    assert sum(len(those) for those in found.keys.values()) == 120 - ("without captions" in told or "not there" in told)


def test_without_captions_pictures_or_classes_nothing_is_trained(changed, aerial_world, tmp_path):
    picture = next((changed / "JPEGImages-trainval").glob("*.jpg"))
    picture.rename(tmp_path / "away.jpg")
    with pytest.raises(LayoutError, match="images are missing"):
        open_caption_data(tiny_recipe(changed))
    (changed / CAPTIONS).unlink()
    (tmp_path / "away.jpg").rename(picture)
    with pytest.raises(LayoutError, match="no captions"):
        open_caption_data(tiny_recipe(changed))
    with pytest.raises(LayoutError, match="no images that captions can lie beside"):
        open_caption_data(tiny_recipe(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="no class 'airprot'") as caught:
        open_caption_data(tiny_recipe(aerial_world, leave_out=["airprot"]))
    assert "airport" in str(caught.value)
    with pytest.raises(DataError, match="too little to tell apart"):
        open_caption_data(tiny_recipe(aerial_world, leave_out=[*AERIAL_WORDS, "vehicle", "ship", "harbor", "dam",
            "bridge", "airplane", "airport", "chimney", "overpass", "stadium", "windmill"]))  # fmt: skip

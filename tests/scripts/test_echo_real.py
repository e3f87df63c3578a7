"""The script of the real echo frames, on made ones: what it makes, what it keeps, and what it must never tell."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from scripts.scripts_loaded import script
from veritrain import cli, config
from veritrain.data.echo import EchoFormat
from veritrain.experiments.driving_data import short_hash
from veritrain.record import RunFolder
from veritrain.tasks.options import JointRecipe

echo_real = script("echo_real")
ROOT = Path(__file__).resolve().parents[2]
SMALL = {"epochs": 1, "controls": "none", "imgsz": 64, "batch_size": 6, "view_weight": 0.2, "precision": "auto"}
ENTRY = {"value": 0.5, "ci95": [0.4, 0.6], "chance": 0.1, "baseline": 0.2, "baseline_name": "a rule",
         "baselines": {echo_real.RULE: 0.7}}  # fmt: skip


def in_this_process(made: list[list[str]]):
    """Stands for a process of its own."""

    def trained(folder: RunFolder, words: list[str]) -> None:
        made.append([folder.path.name, *words])
        assert cli.main([*words]) == 0

    return trained


@pytest.fixture(scope="module")
def runs(small_echo, tmp_path_factory):
    """(the words of the script, its folder, the words of each training): both splits, one seed; read only."""
    here = tmp_path_factory.mktemp("echo_real")
    (here / "recipe.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    words = [str(small_echo), "--recipe", str(here / "recipe.yaml"), "--runs", str(here / "runs"),
             "--out", str(here / "results.json")]  # fmt: skip
    made: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(echo_real, "trained", in_this_process(made))
        assert echo_real.main(words) == 0
    return SimpleNamespace(words=words, here=here, made=made, content=read(here / "results.json"))


@pytest.fixture
def copied(runs, tmp_path):
    """The same in a folder of its own, to change."""
    shutil.copytree(runs.here, tmp_path / "copy")
    words = [word.replace(str(runs.here), str(tmp_path / "copy")) for word in runs.words]
    return SimpleNamespace(words=words, here=tmp_path / "copy")


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_number_is_that_of_its_run(runs):
    assert [(row["split"], row["seed"]) for row in runs.content["runs"]] == [("given", 0), ("published", 0)]
    for row in runs.content["runs"]:
        folder = RunFolder(runs.here / "runs" / f"{row['split']}-0")
        results, card = read(folder.results), read(folder.data)
        assert set(row["metrics"]) == set(echo_real.SCORES)
        for name, entry in row["metrics"].items():
            assert entry == {key: results["metrics"][name][key] for key in echo_real.KEPT}
            assert entry["groups"] == row["data"]["test"]["patients"], "intervals resample patients"
        assert echo_real.RULE in row["metrics"]["view_accuracy_given_valve"]["baselines"]
        for part in ("train", "val", "test"):
            counted = row["data"][part]
            assert counted["frames"] == card["splits"][part]["frames"]
            assert counted["boxes"] == sum(card["splits"][part]["labelled"]["boxes"].values()) == counted["frames"]
        assert sum(row["data"][part]["frames"] for part in ("train", "val", "test")) == 36
        assert set(row["by_valve"]) <= {"AR", "MR", "PR", "TR"} and row["by_valve"]
        assert row["precision"] in ("32-true", "bf16-mixed"), "what auto became"
        assert row["steps"] > 0 and row["seconds"] >= row["training_seconds"] > 0
        verdict = read(folder.verdict)
        assert row["verdict"] == verdict["verdict"] and len(row["claims"]) == 2
        failed = [one["check"] for one in verdict["findings"] if one["status"] == "fail"]
        assert [one["check"] for one in row["failed"]] == failed
    given, published = runs.content["runs"]
    assert given["leaks"]["train/test"]["groups"] == 0 < published["leaks"]["train/test"]["groups"]
    assert "splits_disjoint" in {one["check"] for one in published["failed"]}


def test_what_is_kept_names_nobody_and_no_place(runs, small_echo):
    text = (runs.here / "results.json").read_text(encoding="utf-8")
    for key in EchoFormat(small_echo).keys():  # noqa: SIM118 - a method of the data set
        for name in (key.id, key.video, key.group):
            assert name not in text and short_hash(name) not in text
    assert str(small_echo) not in text and str(runs.here) not in text and "sha256" not in text
    assert runs.content["made_data"] is True and set(runs.content["recipe"]) == set(SMALL)


def test_what_is_finished_is_not_made_again(runs, monkeypatch, capsys):
    assert [words[0] for words in runs.made] == ["given-0", "published-0"]
    before = (runs.here / "results.json").read_bytes()

    def never(folder: RunFolder, words: list[str]) -> None:
        raise AssertionError(words)

    monkeypatch.setattr(echo_real, "trained", never)
    assert echo_real.main(runs.words) == 0
    assert (runs.here / "results.json").read_bytes() == before
    printed = capsys.readouterr().out
    assert "| map_50 |" in printed and "| AR | by patient |" in printed and "- published, seed 0 (failed" in printed


def test_an_interrupted_run_goes_on(copied, monkeypatch):
    folder = RunFolder(copied.here / "runs" / "given-0")
    folder.verdict.unlink()
    folder.results.unlink()
    made: list[list[str]] = []
    monkeypatch.setattr(echo_real, "trained", in_this_process(made))
    before = read(copied.here / "results.json")["runs"][0]
    assert echo_real.main([*copied.words, "--splits", "given"]) == 0
    assert [(words[0], words[-1]) for words in made] == [("given-0", "--resume")]
    (after,) = read(copied.here / "results.json")["runs"]
    assert after["metrics"] == before["metrics"] and after["steps"] == before["steps"]
    assert after["seconds"] > before["seconds"], "both segments count"


@pytest.mark.parametrize(("changes", "said"), [({"view_weight": 0.3}, "view_weight"), ({"epochs": 2}, "epochs")])
def test_a_run_of_another_recipe_is_not_taken_for_this_one(copied, changes, said):
    (copied.here / "recipe.yaml").write_text(yaml.safe_dump({**SMALL, **changes}), encoding="utf-8")
    with pytest.raises(SystemExit, match=f"another recipe.*{said}.*another --runs"):
        echo_real.main(copied.words)


def test_a_run_of_other_frames_is_not_taken_for_one_of_these(copied, small_echo, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small_echo, other)
    for image in sorted(other.rglob("images/*"))[:3]:
        image.unlink()
        (image.parent.parent / "labels" / f"{image.stem}.txt").unlink()
    with pytest.raises(SystemExit, match="other frames"):
        echo_real.main([str(other), *copied.words[1:]])


# --- names --------------------------------------------------------------------------------------------------------

NAMES = {"ZmFrZXBhdA==", "ZmFrZXBhdA==-series.mp4-7", "0123456789ab", "/some/where", "12"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("frame ZmFrZXBhdA==-series.mp4-7 is not finite", "frame [left out] is not finite"),
        ("patients (ZmFrZXBhdA==, 0123456789ab)", "patients ([left out], [left out])"),
        ("read /some/where/x.png", "read [left out]/x.png"),
        ("12 of 40 groups, 00123456789abc", "12 of 40 groups, 00123456789abc"),
    ],
)
def test_names_are_cut_out_of_sentences_and_nothing_else_is(text, kept):
    assert echo_real.without(text, NAMES) == kept
    assert echo_real.without(kept, NAMES) == kept


def test_all_that_must_not_be_told_is_known_before_anything_trains(runs, small_echo):
    recipe = echo_real.recipe_of(runs.here / "recipe.yaml", small_echo)
    frames = echo_real.looked_at(small_echo, recipe, ["given"], runs.here / "runs" / "cache")
    for key in EchoFormat(small_echo).keys():  # noqa: SIM118 - a method of the data set
        spoken = {key.id, Path(key.id).name, key.video, key.group}
        assert spoken | {short_hash(name) for name in spoken} <= frames.names
    assert str(small_echo.resolve()) in frames.names
    assert frames.splits == {"given": read(runs.here / "runs" / "given-0" / "data.json")["split_sha256"]}


def test_keys_that_say_where_or_which_are_not_kept(tmp_path):
    where = {"cache": "a/b", "weights": "c/d.pt", "data": "e/f", "seed": 4, "split": "given", "workers": 1}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**SMALL, **where}), encoding="utf-8")
    assert echo_real.recipe_told(tmp_path / "recipe.yaml") == SMALL


@pytest.mark.parametrize("hidden", [{"a": [{"b": "of 0123456789ab"}]}, {"0123456789ab": 1}])
def test_results_with_a_name_are_not_written(tmp_path, hidden):
    row = {"made_data": False, "metrics": {}}
    echo_real.write(tmp_path / "kept.json", [row], {"epochs": 1}, NAMES)
    assert read(tmp_path / "kept.json")["runs"] == [row]
    with pytest.raises(SystemExit, match="1 texts of the results hold a name"):
        echo_real.write(tmp_path / "refused.json", [{**row, **hidden}], {"epochs": 1}, NAMES)
    assert not (tmp_path / "refused.json").exists()


def test_a_failed_check_keeps_its_sentence_without_the_name():
    finding = {"check": "finite", "status": "fail", "on_fail": "refutes", "required": True,
               "sentence": "sample 0123456789ab is not finite", "evidence": [{"file": "/some/where"}]}  # fmt: skip
    idle = [{"check": "beats_trivial", "required": True}, {"check": "loss_moves", "required": False}]
    claims = [{"metric": "map_50", "verdict": "refuted", "sentence": "of 0123456789ab"}]
    verdict = {"verdict": "refuted", "sentence": "REFUTED", "claims": claims, "findings": [finding], "not_run": idle}
    found = echo_real.verdict_of(verdict, NAMES)
    assert found["failed"] == [{"check": "finite", "on_fail": "refutes", "required": True,
                                "sentence": "sample [left out] is not finite"}]  # fmt: skip
    assert found["claims"][0]["sentence"] == "of [left out]" and found["required_not_run"] == ["beats_trivial"]


# --- tables -------------------------------------------------------------------------------------------------------


def row_like(split: str, seed: int, value: float | None, *, valves: tuple[str, ...] = ("AR",)):
    part = {"frames": 10, "patients": 3, "boxes": 9, "groups_with": {"AR": 2, "PR": 0},
            "labelled": {"boxes": {"AR": 9, "PR": 0}}}  # fmt: skip
    entry = {**ENTRY, "value": value}
    return {
        "split": split,
        "seed": seed,
        "verdict": "not_shown",
        "seconds": 3.0,
        "failed": [{"check": "splits_disjoint"}] if split == "published" else [],
        "claims": [{"sentence": "NOT SHOWN: because"}],
        "data": dict.fromkeys(("train", "val", "test"), part),
        "leaks": {"train/test": {"groups": 2, "of_groups": 3, "frames": 8, "of_frames": 10}},
        "metrics": dict.fromkeys(echo_real.SCORES, entry),
        "by_valve": {valve: dict.fromkeys(echo_real.BOX_SCORES, entry) for valve in valves},
        "view_given_valve": dict.fromkeys(valves, entry),
    }


def cells_of(table: str, title: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("| ").split("|")]


def widths(table: str) -> set[int]:
    return {line.count("|") for line in table.splitlines() if line.startswith("|")}


def test_the_table_of_splits_has_the_difference_of_the_means():
    rows = [row_like("given", 0, 0.25), row_like("published", 0, 0.5), row_like("published", 1, 0.75)]
    table = echo_real.split_table(rows)
    assert widths(table) == {5}
    title, given, published, gap = cells_of(table, "map_50 ")
    assert title == "map_50" and gap == "+0.375"
    assert given == "0.250 [0.40, 0.60]; 0.100; 0.200 (a rule)"
    assert published == "0.625 (0.500 to 0.750) [0.40, 0.60]; 0.100; 0.200 (a rule)"
    assert cells_of(table, "test patients")[1:3] == ["2 of 3", "2 of 3"]
    assert cells_of(table, "runs")[1:3] == ["1 not shown", "2 not shown"]


def test_what_is_not_there_is_a_dash():
    table = echo_real.split_table([row_like("given", 0, None)])
    assert widths(table) == {5}
    assert cells_of(table, "view_accuracy ")[1:] == ["-; 0.100; 0.200 (a rule)", "-", "-"]
    assert cells_of(table, "boxes")[1:3] == ["9 / 9 / 9", "-"]


def test_the_table_of_valves_has_a_line_for_each_split():
    table = echo_real.valve_table([row_like("given", 0, 0.25), row_like("published", 0, 0.5)])
    assert len(widths(table)) == 1 and len(table.splitlines()) == 2 + 2 * 2
    assert cells_of(table, "AR | published")[:5] == ["AR", "published", "9", "2", "0.500 [0.40, 0.60]"]
    assert cells_of(table, "AR | published")[-3:] == ["0.200", "0.500 [0.40, 0.60]", "0.700"]
    assert set(cells_of(table, "PR | by patient")[4:]) == {"-"}, "no object, no score"


def test_of_several_seeds_the_brackets_are_the_widest():
    entries = [{**ENTRY, "value": 0.2, "ci95": [0.1, 0.3]}, {**ENTRY, "value": 0.4, "ci95": [0.25, 0.5]}]
    assert echo_real.value_told(entries) == "0.300 (0.200 to 0.400) [0.10, 0.50]"
    assert echo_real.value_told([{**ENTRY, "ci95": [None, None]}]) == "0.500"


def test_seconds_are_those_of_every_segment():
    def line(event: str, at: float) -> dict:
        return {"event": event, "t_mono": at}

    first = [line("start", 100.0), line("term", 103.5)]
    after_a_reboot = [line("start", 7.0), line("stop", 9.0), line("end", 12.0)]
    assert echo_real.seconds_of(SimpleNamespace(events=first + after_a_reboot)) == 3.5 + 5.0


def test_the_shipped_recipe_is_the_one_that_was_asked_for():
    recipe = echo_real.recipe_of(ROOT / "recipes" / "echo-real.yaml", Path("somewhere"))
    assert isinstance(recipe, JointRecipe) and recipe.data == "somewhere"
    assert (recipe.size, recipe.imgsz, recipe.tasks, recipe.controls) == ("n", 320, "both", "quick")
    assert (recipe.precision, recipe.channels_last, recipe.on_broken) == ("auto", True, "skip")
    told = echo_real.recipe_told(ROOT / "recipes" / "echo-real.yaml")
    assert set(told) == set(config.read_mapping(ROOT / "recipes" / "echo-real.yaml")), "no key says where anything lies"
    assert not re.search(r"(?<!\w)/\w|\.\./", (ROOT / "recipes" / "echo-real.yaml").read_text(encoding="utf-8"))

"""Recipes: who has the last say, what is refused, and that a recipe comes back as it was written."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import Literal, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain import catalog, cli, config
from veritrain.errors import ConfigError, UsageError
from veritrain.tasks.options import QUICK, RECIPES, AnomalyRecipe
from veritrain.tasks.recipe import WaiverOption
from veritrain.worlds.options import DrivingOptions


@dataclass(frozen=True, kw_only=True)
class Inner:
    """An option of an option."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Small:
    """A recipe for these tests.

    Attributes:
        data: where.
        epochs: how often.
        rate: how fast.
        loss: which.
        parts: more of it.
    """

    data: str
    epochs: int = 20
    rate: float = 0.1
    loss: Literal["bce", "focal"] = "bce"
    flip: bool = True
    parts: list[Inner] = field(default_factory=list)


def parse(*words: str, quick: dict[str, object] | None = None) -> Small:
    parser = cli._parser("train small", "A test.", "veritrain train small")
    config.add_recipe(parser, Small)
    parser.add_argument("--config", action="config")
    if quick:
        parser.set_defaults(quick)
    return config.build(Small, cli._parse(parser, list(words)))


@pytest.fixture
def recipe_file(tmp_path):
    def write(text: str):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# --- who has the last say -----------------------------------------------------------------------------------------


def test_defaults_then_quick_then_file_then_command_line(recipe_file):
    path = str(recipe_file("epochs: 7\nloss: focal\n"))
    quick = {"epochs": 6, "rate": 0.5}
    assert parse("--data", "x") == Small(data="x")
    assert parse("--data", "x", quick=quick) == Small(data="x", epochs=6, rate=0.5)
    assert parse("--data", "x", "--config", path, quick=quick) == Small(data="x", epochs=7, rate=0.5, loss="focal")
    assert parse("--data", "x", "--config", path, "--epochs", "8", quick=quick).epochs == 8


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_command_line_wins_wherever_the_file_is_named(recipe_file, place):
    words = [["--data", "x"], ["--epochs", "8"]]
    words.insert(place, [f"--config={recipe_file('epochs: 7')}"])
    assert parse(*(word for pair in words for word in pair)).epochs == 8


def test_of_two_files_the_later_wins(recipe_file, tmp_path):
    first = recipe_file("epochs: 7\nrate: 0.7\n")
    second = tmp_path / "more.yaml"
    second.write_text("epochs: 9\n")
    found = parse("--config", str(first), "--data", "x", "--config", str(second))
    assert (found.epochs, found.rate) == (9, 0.7)


def test_config_first_leaves_the_rest_in_order():
    words, files = config.config_first(["--a", "1", "--config", "f", "--b", "--config=g", "c"])
    assert words == ["--config", "f", "--config", "g", "--a", "1", "--b", "c"]
    assert [str(file) for file in files] == ["f", "g"]


def test_quick_sets_keys_that_the_recipe_has():
    for task, values in QUICK.items():
        assert set(values) <= config.names_of(RECIPES[task])
        replace(RECIPES[task](data="x"), **values)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["--epoch", "--Epochs", "--epochz"])
def test_a_mistyped_option_names_the_nearest(named):
    with pytest.raises(UsageError, match="did you mean '--epochs'") as caught:
        parse("--data", "x", named, "3")
    assert caught.value.exit_code == 64


def test_an_option_is_never_guessed_from_its_beginning():
    with pytest.raises(UsageError, match="unknown option '--ep'"):
        parse("--data", "x", "--ep", "3")


@pytest.mark.parametrize(("option", "value"), [("--epochs", "many"), ("--epochs", "1.5"), ("--loss", "bse")])
def test_an_impossible_value_is_refused(option, value):
    with pytest.raises(UsageError, match=value):
        parse("--data", "x", option, value)


def test_a_missing_key_is_named():
    with pytest.raises(UsageError, match="data"):
        parse()


def test_keys_inside_a_file_are_demanded_too(recipe_file):
    path = recipe_file("arms:\n  one:\n    epochs: 3\n    # more\n    epoch: 4\n  two: 5\n")
    config.demand_keys(path, {"epochs", "epoch"}, under=("arms", "one"))
    with pytest.raises(ConfigError, match="unknown key 'epoch' under 'one'") as caught:
        config.demand_keys(path, {"epochs"}, under=("arms", "one"))
    assert (caught.value.line, caught.value.found, caught.value.fix) == (5, "epoch", "did you mean 'epochs'?")
    with pytest.raises(ConfigError, match="no mapping under 'two'") as caught:
        config.demand_keys(path, {"epochs"}, under=("arms", "two"))
    assert caught.value.line == 6
    with pytest.raises(ConfigError, match="no mapping under 'three'") as caught:
        config.demand_keys(path, {"epochs"}, under=("arms", "three"))
    assert caught.value.line is None


@pytest.mark.parametrize("through", ["load", "command line"])
class TestFile:
    def read(self, through, path):
        return config.load(Small, path) if through == "load" else parse("--config", str(path))

    def refused(self, through, path, match=None):
        with pytest.raises(UsageError, match=match) as caught:
            self.read(through, path)
        assert caught.value.exit_code == 64
        return caught.value

    def test_an_unknown_key_is_named_with_its_line_and_the_nearest(self, through, recipe_file):
        path = recipe_file("data: x\n\nepoch: 3\n")
        error = self.refused(through, path, "did you mean 'epochs'")
        assert (error.file, error.line, error.found) == (str(path), 3, "epoch")

    def test_a_repeated_key_is_named_with_its_line(self, through, recipe_file):
        error = self.refused(through, recipe_file("data: x\nepochs: 3\nrate: 1\nepochs: 4\n"), "'epochs' stands twice")
        assert error.line == 4

    def test_nothing_in_a_file_is_executed(self, through, recipe_file, tmp_path):
        marker = tmp_path / "marker"
        path = recipe_file(f"data: !!python/object/apply:os.system ['touch {marker}']\n")
        error = self.refused(through, path, "not a safe YAML file")
        assert error.line == 1 and not marker.exists()

    @pytest.mark.parametrize("text", ["data: [", "- data\n", "just words", "", "? [a, b]\n: 1\n", "<<: 3\n"])
    def test_what_is_no_recipe_is_refused(self, through, recipe_file, text):
        assert self.refused(through, recipe_file(text)).file == str(recipe_file(text))

    def test_what_is_no_text_is_refused(self, through, tmp_path):
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
        self.refused(through, tmp_path / "binary", "UTF-8")
        self.refused(through, tmp_path, "cannot be read")
        self.refused(through, tmp_path / "nothing", "no such recipe")

    def test_an_impossible_value_is_refused(self, through, recipe_file):
        self.refused(through, recipe_file("data: x\nepochs: many\n"), "many")

    def test_a_mistyped_choice_names_the_nearest(self, through, recipe_file):
        with pytest.raises(UsageError, match=r"(?s)do: .*did you mean 'focal'\?"):
            self.read(through, recipe_file("data: x\nloss: focall\n"))

    def test_an_unknown_key_deep_inside_is_refused(self, through, recipe_file):
        self.refused(through, recipe_file("data: x\nparts:\n- name: a\n  wait: 2\n"), "wait")


@pytest.mark.parametrize("word", sorted(cli.OWN_WORDS - {"config"}))
def test_a_file_cannot_hold_what_belongs_to_the_command_line(recipe_file, word):
    with pytest.raises(ConfigError, match=f"unknown key '{word}'"):
        parse("--data", "x", "--config", str(recipe_file(f"{word}: true\n")))


def test_options_check_themselves_also_when_they_are_built():
    with pytest.raises(ConfigError, match="scenarios = 0"):
        config.build(DrivingOptions, {"scenarios": 0})


# --- round trips --------------------------------------------------------------------------------------------------

smalls = st.builds(
    Small,
    data=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8),
    epochs=st.integers(-5, 10**9),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    loss=st.sampled_from(["bce", "focal"]),
    flip=st.booleans(),
    parts=st.lists(st.builds(Inner, name=st.sampled_from(["a", "no", "1", "2027-01-01"])), max_size=2),
)


@settings(max_examples=25, deadline=None)
@given(recipe=smalls)
def test_a_dumped_recipe_is_loaded_as_it_was(tmp_path_factory, recipe):
    path = tmp_path_factory.mktemp("recipe") / "deep" / "recipe.yaml"
    config.dump(recipe, path)
    assert config.load(Small, path) == recipe


def test_the_full_recipe_of_a_task_comes_back_and_runs_again(tmp_path):
    waiver = WaiverOption(check="finite", reason="one day", until="2027-01-31")
    recipe = AnomalyRecipe(data="数据", epochs=3, split="val=train", waivers=[waiver])
    config.dump(recipe, tmp_path / "recipe.yaml")
    assert config.load(AnomalyRecipe, tmp_path / "recipe.yaml") == recipe
    assert set(config.read_mapping(tmp_path / "recipe.yaml")) == config.names_of(AnomalyRecipe)
    parser = cli._parser("train", "", "")
    config.add_recipe(parser, AnomalyRecipe)
    parser.add_argument("--config", action="config")
    given = cli._parse(parser, ["--config", str(tmp_path / "recipe.yaml")])
    assert config.build(AnomalyRecipe, given) == recipe


@pytest.mark.parametrize(
    ("stored", "join"),
    [
        ("", "smooth_max"),
        ("fusion: concat\n", "smooth_max"),
        ("fusion: late\n", "noisy_or"),
        ("fusion: late\nframe_join: mean\n", "noisy_or"),
        ("model: report000-simple\n", "noisy_or"),
        ("model: report000-simple\nframe_join: mean\n", "noisy_or"),
        ("frame_join: mean\n", "mean"),
        ("frame_join: smooth_max\n", "smooth_max"),
    ],
)
def test_a_run_from_before_a_key_is_opened_as_it_was_made(tmp_path, stored, join):
    (tmp_path / "recipe.yaml").write_text(f"data: x\n{stored}", encoding="utf-8")
    assert config.load(AnomalyRecipe, tmp_path / "recipe.yaml").frame_join == join


@pytest.mark.parametrize(("older", "today"), [("true", "flip"), ("false", "none"), ("full", "full")])
def test_the_words_of_an_earlier_version_are_understood_in_a_run_folder(tmp_path, older, today):
    (tmp_path / "recipe.yaml").write_text(f"data: x\naugment: {older}\n", encoding="utf-8")
    assert config.load(AnomalyRecipe, tmp_path / "recipe.yaml").augment == today


def test_a_day_without_quotes_stays_text(recipe_file):
    text = "data: x\nwaivers:\n- {check: finite, reason: r, until: 2027-01-31}\n"
    assert config.load(AnomalyRecipe, recipe_file(text)).waivers[0].until == "2027-01-31"


def test_the_fingerprint_changes_with_every_key_but_those_left_out():
    one = Small(data="x")
    assert config.fingerprint(one) == config.fingerprint(Small(data="x"))
    assert config.fingerprint(one) != config.fingerprint(replace(one, epochs=21))
    without = ("epochs",)
    assert config.fingerprint(one, without=without) == config.fingerprint(replace(one, epochs=21), without=without)
    assert config.fingerprint(one, without=without) != config.fingerprint(replace(one, rate=0.2), without=without)


# --- dead switches ------------------------------------------------------------------------------------------------


def read(recipe, *names):
    return [getattr(recipe, name) for name in names]


def test_a_key_that_was_set_and_that_nothing_read_is_refused():
    tracked = config.Tracked(Small(data="x", flip=False, parts=[Inner(name="a")]))
    assert read(tracked, "epochs", "rate") == [20, 0.1]
    with pytest.raises(ConfigError, match="keys that nothing read") as caught:
        tracked.refuse_unread()
    assert caught.value.found == "data, flip, parts"
    read(tracked, "flip", "data")
    with pytest.raises(ConfigError, match="parts"):
        tracked.refuse_unread()
    tracked.refuse_unread(excused=frozenset({"parts"}))


def test_a_key_left_at_its_default_switches_nothing():
    tracked = config.Tracked(Small(data="x"))
    read(tracked, "data")
    tracked.refuse_unread()


@dataclass(frozen=True, kw_only=True)
class Deriving:
    """A recipe that works things out of its keys, in a method that uses a property."""

    left: float = 1.0
    right: float = 2.0
    idle: float = 3.0

    @property
    def doubled(self) -> float:
        return 2 * self.right

    def total(self, more: float) -> float:
        return self.left + self.doubled + more


def test_keys_that_a_recipe_reads_itself_are_read():
    tracked = config.Tracked(Deriving(left=4.0, right=5.0))
    with pytest.raises(ConfigError, match="left, right"):
        tracked.refuse_unread()
    assert tracked.total(0.5) == 14.5
    tracked.refuse_unread()
    idle = config.Tracked(Deriving(idle=4.0))
    assert idle.total(0.0) == 5.0
    with pytest.raises(ConfigError, match="idle"):
        idle.refuse_unread()


def test_a_tracked_recipe_has_no_other_keys():
    with pytest.raises(AttributeError):
        read(config.Tracked(Small(data="x")), "epoch")


# --- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["train", "anomaly", "--help"], ["train", "--help"], ["audit", "--help"], ["list"]])
def test_help_loads_no_torch(words):
    code = """
import sys
from veritrain import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print("heavy:", [name for name in ("torch", "torchvision", "lightning_fabric") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr


def test_help_explains_every_key_of_a_recipe():
    parser = cli._parser("train anomaly", "", "veritrain train anomaly --data x")
    config.add_recipe(parser, AnomalyRecipe)
    text = " ".join(parser.format_help().split())
    for name in config.names_of(AnomalyRecipe):
        assert f"--{name}" in text
    assert "the training seed; the split is fixed by the data." in text
    assert "example: veritrain train anomaly --data x" in text


def shown_help(capsys, *words: str) -> dict[str, str]:
    """Option to all that help says of it, each on one line."""
    with pytest.raises(SystemExit):
        cli.main([*words, "--help"])
    entries = re.split(r"\n  (?=-)", capsys.readouterr().out.partition("options:\n")[2].partition("\n\nexample:")[0])
    told = (" ".join(entry.split()) for entry in entries)
    return {one.split()[0].lstrip("-"): one for one in told}


@pytest.mark.parametrize("task", RECIPES)
def test_help_says_the_default_of_every_option(task, capsys):
    told = shown_help(capsys, "train", task)
    for key in dataclasses.fields(RECIPES[task]):
        if key.default is dataclasses.MISSING and key.default_factory is dataclasses.MISSING:
            assert told[key.name].endswith("(required)"), key.name
        else:
            assert re.search(r"\(default: [^()]+\)$", told[key.name]), told[key.name]
    usual = RECIPES[task](data="x")
    assert told["epochs"].endswith(f"(default: {usual.epochs})") and told["cache"].endswith("(default: empty)")
    assert told["channels_last"].endswith(f"(default: {str(usual.channels_last).lower()})")
    assert told["loggers"].endswith("(default: none)")
    quick = shown_help(capsys, "train", task, "--quick")
    assert quick["control_steps"].endswith(f"(default: {QUICK[task]['control_steps']})")


@pytest.mark.parametrize("world", catalog.WORLDS)
def test_help_of_a_world_says_defaults_and_choices(world, capsys):
    told = shown_help(capsys, "data", "make", world)
    options = catalog.resolve("worlds", world).options_type
    for key, kind in get_type_hints(options).items():
        if key in ("height", "width"):
            continue
        assert re.search(r"\w.* \(default: [^()]+\)$", told[key].partition(key.upper())[2] or told[key]), told[key]
        assert kind is not str, f"--{key} takes any word, or its choices are not shown"
        if get_args(kind):
            assert f"{{{','.join(get_args(kind))}}}" in told[key]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "abc"], "seed: expected a whole number, found abc"),
        (["--learning_rate", "fast"], "learning_rate: expected a number, found fast"),
        (["--channels_last", "maybe"], "channels_last: expected true or false, found maybe"),
        (["--hold", "dsik"], "hold: expected auto, memory or disk, found dsik"),
        (["--loggers", "[wandb]"], "loggers: expected a list, each item tensorboard or mlflow, found wandb"),
        (["--waivers", "[1]"], "waivers: expected a list, each item keys and values: check, reason, until, found 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_value_is_told_without_python(words, told, capsys):
    assert cli.main(["train", "anomaly", "--data", "x", *words]) == UsageError.exit_code
    said = capsys.readouterr().err
    assert f"found:    {told}\n" in said and "class '" not in said and "typing" not in said


def test_a_wrong_value_in_a_recipe_file_is_told_without_python(recipe_file):
    with pytest.raises(ConfigError, match="epochs: expected a whole number, found many") as caught:
        config.load(Small, recipe_file("epochs: many\n"))
    assert "class '" not in str(caught.value) and "recipe.epochs" not in str(caught.value)

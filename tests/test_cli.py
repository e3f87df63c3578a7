"""The command line as people and machines meet it: real processes, real files, exit codes, and words on mistakes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.planted import write_learned_run
from veritrain import __version__, catalog, cli
from veritrain.record import RunFolder


def veritrain(*words: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veritrain", *map(str, words)]
    environment = {**os.environ, **more}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd, env=environment, encoding="utf-8"
    )


def planted_command(body: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process in which `veritrain list` does what ``body`` says."""
    code = f"import sys\nfrom veritrain import cli\ndef planted(words):\n    {body}\n"
    code += "cli.COMMANDS['list'] = (planted, '')\nraise SystemExit(cli.main(['list', *sys.argv[1:]]))"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **more})


def said(capsys) -> str:
    return capsys.readouterr().err


# --- the overview -------------------------------------------------------------------------------------------------


def test_without_words_it_lists_its_commands():
    done = veritrain()
    assert done.returncode == 0 and not done.stderr
    for name in cli.COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert veritrain("--help").stdout == done.stdout


def test_version():
    done = veritrain("--version")
    assert (done.returncode, done.stdout) == (0, f"veritrain {__version__}\n")


@pytest.mark.parametrize("kind", sorted(catalog.KINDS))
def test_list_names_everything(kind, capsys):
    assert cli.main(["list", kind, "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(catalog.KINDS[kind])
    assert cli.main(["list", kind]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()[1:] if kind == "models" else told.splitlines()  # networks have a table with a head
    assert [line.split()[0] for line in lines] == list(catalog.KINDS[kind])


@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - {"baseline", "data", "train"}))
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([name, "--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0 and f"example: veritrain {name} " in text and f"usage: veritrain {name}" in text


@pytest.mark.parametrize(
    ("name", "said"), [("baseline", "baseline METHOD"), ("data", "data make WORLD OUT"), ("train", "tasks: anomaly")]
)
def test_commands_of_two_words_explain_the_second(name, said, capsys):
    assert cli.main([name]) == cli.main([name, "--help"]) == 0
    assert said in capsys.readouterr().out


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["audti"], "audit"),
        (["list", "check"], "checks"),
        (["list", "checks", "--jsn"], "--json"),
        (["train", "anomly"], "anomaly"),
        (["train", "anomaly", "--epoch", "3"], "--epochs"),
        (["data", "mak"], "make"),
        (["data", "make", "driven", "out"], "driving"),
        (["data", "make", "driving", "out", "--scenario", "3"], "--scenarios"),
        (["audit", "a.csv", "--fail_on", "plausible"], "--fail-on"),
        (["audit", "a.csv", "--fail-on", "refute"], "refuted"),
        (["train", "anomaly", "--data", "x", "--fusion", "atention"], "attention"),
        (["train", "anomaly", "--data", "x", "--labels=permutted", "--fusion", "concat"], "permuted"),
    ],
)
def test_a_mistyped_word_names_the_nearest(words, meant, capsys):
    assert cli.main(words) == 64
    text = said(capsys)
    assert text.startswith("UsageError: ") and f"did you mean '{meant}'?" in text


@pytest.mark.parametrize("words", [["audit"], ["list"], ["audit", "a.csv", "--fail-on", "shown"], ["report"]])
def test_what_is_missing_or_impossible_is_a_usage_error(words, capsys):
    assert cli.main(words) == 64
    text = said(capsys)
    assert "the command line was not understood" in text and f"veritrain {words[0]} --help" in text


def test_mistakes_reach_the_exit_code_of_the_process():
    done = veritrain("audti")
    assert (done.returncode, done.stdout) == (64, "")
    assert "Traceback" not in done.stderr


# --- errors of last resort ----------------------------------------------------------------------------------------


def test_an_unexpected_error_is_one_clear_sentence():
    done = planted_command("return {}['missing\\nkey']")
    assert done.returncode == 70 and "Traceback" not in done.stderr
    assert "an internal error" in done.stderr and "KeyError" in done.stderr and "VERITRAIN_DEBUG=1" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_the_traceback_is_there_for_those_who_ask():
    done = planted_command("return {}['missing']", VERITRAIN_DEBUG="1")
    assert done.returncode == 70 and "Traceback" in done.stderr and "in planted" in done.stderr


@pytest.mark.parametrize("module", ["torch", "lightning_fabric", "safetensors.torch", "torchvision.ops"])
def test_a_missing_training_package_names_the_extra(module):
    done = planted_command(f"sys.modules['{module.partition('.')[0]}'] = None; import {module}")
    assert done.returncode == 69 and "MissingExtraError" in done.stderr
    assert "pip install 'veritrain[train]'" in done.stderr and module.partition(".")[0] in done.stderr


WITHOUT_TORCH = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "lightning_fabric", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from veritrain import cli
raise SystemExit(cli.main(sys.argv[1:]))
"""


def base_install(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A process in which the training packages are not installed."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=cwd)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "anomaly", "--data", "x", "--run", "r"],
        ["resume", "r"],
        ["evaluate", "r"],
        ["predict", "r"],
        ["probe", "r"],
    ],
    ids=lambda words: words[0],
)
def test_training_without_torch_names_the_extra(tmp_path, words):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "recipe.yaml").write_text("data: x\n")
    start = {"v": 1, "event": "start", "step": None, "epoch": None, "task": "anomaly", "claims": []}
    (tmp_path / "r" / "record.jsonl").write_text(json.dumps(start) + "\n")
    done = base_install(*words, cwd=tmp_path)
    assert done.returncode == 69, done.stderr
    assert "MissingExtraError" in done.stderr and "pip install 'veritrain[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_base_install_audits_and_lists(tmp_path):
    refuted(tmp_path)
    assert base_install("audit", "refuted.csv", cwd=tmp_path).returncode == 1
    assert base_install("list", "probes", cwd=tmp_path).returncode == 0
    assert base_install("train", "anomaly", "--help", cwd=tmp_path).returncode == 0


def test_another_missing_module_is_our_fault():
    done = planted_command("import veritrain_has_no_such_module")
    assert done.returncode == 70 and "veritrain_has_no_such_module" in done.stderr


def test_a_full_disk_anywhere_has_its_own_code():
    done = planted_command("open('/dev/full', 'w', buffering=1).write('x' * 9999 + chr(10))")
    assert done.returncode == 74 and "No space left" in done.stderr


def test_an_interrupt_exits_130():
    done = planted_command("raise KeyboardInterrupt")
    assert done.returncode == 130 and "Traceback" not in done.stderr


def test_a_reader_that_went_away_is_no_error(tmp_path):
    command = [sys.executable, "-m", "veritrain", "audit", str(plausible(tmp_path)), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()
        errors = running.stderr.read()
        assert running.wait(60) == 0
    assert not errors


# --- audit --------------------------------------------------------------------------------------------------------


def table(path: Path, columns: dict[str, list[float]]) -> Path:
    rows = [",".join(["epoch", "step", *columns])]
    for epoch, values in enumerate(zip(*columns.values(), strict=True)):
        rows.append(",".join([str(epoch), str(100 * epoch + 99), *(f"{value:.5f}" for value in values)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


EPOCHS = range(12)


def plausible(folder: Path) -> Path:
    """As Lightning's CSV logger writes it: training and validation in rows of their own."""
    rows = ["epoch,step,train_loss,val_auroc,val_loss"]
    for epoch in EPOCHS:
        fade, step = math.exp(-epoch / 3), 100 * epoch + 99
        rows.append(f"{epoch},{step - 50},{0.1 + 0.6 * fade:.5f},,")
        rows.append(f"{epoch},{step},,{0.95 - 0.35 * fade:.5f},{0.2 + 0.5 * fade:.5f}")
    path = folder / "plausible.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def refuted(folder: Path) -> Path:
    values = [0.5 + 0.001 * (epoch % 3 - 1) for epoch in EPOCHS]
    return table(folder / "refuted.csv", {"train_loss": [0.7 - 0.01 * e for e in EPOCHS], "val_auroc": values})


def not_shown(folder: Path) -> Path:
    falling = [0.7 - 0.02 * epoch for epoch in EPOCHS]
    return table(folder / "not_shown.csv", {"train_loss": falling, "val_loss": [value + 0.05 for value in falling]})


MAKERS = {"plausible": plausible, "refuted": refuted, "not_shown": not_shown}


@pytest.mark.parametrize(("made", "code"), [("plausible", 0), ("not_shown", 0), ("refuted", 1)])
def test_audit_of_one_table(tmp_path, made, code):
    done = veritrain("audit", MAKERS[made](tmp_path), "--json")
    content = json.loads(done.stdout)
    assert (done.returncode, content["verdict"]) == (code, made), done.stderr
    assert content["schema"] == 1 and {"findings", "not_run"} <= set(content)
    cited = [cite for item in content["findings"] for cite in item["evidence"]]
    assert all(cite["file"].endswith(f"{made}.csv") for cite in cited)
    assert "NaN" not in done.stdout


def test_audit_cites_the_line_that_says_so(tmp_path):
    path = refuted(tmp_path)
    content = json.loads(veritrain("audit", path, "--json").stdout)
    (item,) = [item for item in content["findings"] if item["check"] == "beats_trivial"]
    assert item["id"] == "J1" and item["status"] == "fail" and item["to_settle"]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(",0.49900" in lines[cite["line"] - 1] or ",0.50" in lines[cite["line"] - 1] for cite in item["evidence"])


def test_a_loss_that_stops_being_a_number_is_refuted(tmp_path):
    path = table(tmp_path / "nan.csv", {"train_loss": [0.5, 0.4, *[math.nan] * 10], "val_auroc": [0.9] * 12})
    done = veritrain("audit", path, "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "refuted")
    assert "NaN" not in done.stdout


@pytest.mark.parametrize(
    ("made", "level", "code"),
    [
        ("refuted", "refuted", 1),
        ("not_shown", "refuted", 0),
        ("not_shown", "not_shown", 1),
        ("plausible", "not_shown", 0),
        ("plausible", "plausible", 1),
    ],
)
def test_fail_on(tmp_path, capsys, made, level, code):
    assert cli.main(["audit", str(MAKERS[made](tmp_path)), "--fail-on", level]) == code
    capsys.readouterr()


def test_several_paths_give_a_list_and_the_worst_code(tmp_path):
    paths = [plausible(tmp_path), refuted(tmp_path), not_shown(tmp_path)]
    done = veritrain("audit", *paths, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1 and [one["verdict"] for one in found] == ["plausible", "refuted", "not_shown"]
    assert [one["path"] for one in found] == [str(path) for path in paths]
    assert veritrain("audit", paths[0], paths[2], "--json").returncode == 0


def write_garbage(folder: Path) -> list[Path]:
    (folder / "empty.csv").write_text("")
    (folder / "binary.log").write_bytes(bytes(range(256)) * 8)
    (folder / "folder").mkdir()
    (folder / "run").mkdir()
    (folder / "run" / "record.jsonl").write_text('{"v": 99, "event": "start"}\n')
    return [folder / name for name in ("empty.csv", "binary.log", "folder", "run", "missing.csv")]


def test_what_cannot_be_read_exits_2_and_hides_nothing(tmp_path, capsys):
    for path in write_garbage(tmp_path):
        assert cli.main(["audit", str(path)]) == 2, path
        assert str(path) in said(capsys)
    done = veritrain("audit", tmp_path / "empty.csv", tmp_path / "run", refuted(tmp_path), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 2 and [one["verdict"] for one in found] == [None, None, "refuted"]
    assert [Path(one["path"]).name for one in found] == ["empty.csv", "run", "refuted.csv"]
    assert [one["error"]["type"] for one in found[:2]] == ["ArtefactError", "OtherVersionError"]
    assert all(one["error"]["message"] in done.stderr and one["error"]["fix"] for one in found[:2])


def test_one_path_that_cannot_be_read_is_one_object(tmp_path, capsys):
    assert cli.main(["audit", str(tmp_path / "missing.csv"), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] is None and found["path"].endswith("missing.csv") and found["error"]["message"]


@pytest.mark.parametrize("name", ["evaluate", "predict", "probe", "report", "resume"])
def test_a_folder_that_is_no_run_has_one_exit_code(name, tmp_path, capsys):
    assert cli.main([name, str(tmp_path)]) == 66
    text = said(capsys)
    assert text.startswith(f"RecordError: {tmp_path}: not a run folder") and "do:" in text
    assert not list(tmp_path.iterdir())


def test_a_folder_of_runs_is_descended_into_and_one_without_any_is_an_error(tmp_path, capsys):
    """As the demo leaves it: the run is runs/demo/run-1, and its data lie beside it."""
    (tmp_path / "demo" / "data").mkdir(parents=True)
    run = write_learned_run(RunFolder(tmp_path / "demo" / "run-1"))
    assert cli.main(["audit", str(tmp_path / "demo"), "--json", "--fail-on", "plausible"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(run.path)
    other = write_learned_run(RunFolder(tmp_path / "mine"))
    assert cli.main(["audit", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["path"], one["verdict"]) for one in found] == [(str(run.path), "shown"), (str(other.path), "shown")]
    assert cli.main(["audit", str(tmp_path / "demo"), str(tmp_path / "demo" / "data"), "--json"]) == 2
    assert [one["verdict"] for one in json.loads(capsys.readouterr().out)] == ["shown", None]


def test_the_terminal_says_the_verdict_and_what_would_settle_it(tmp_path):
    done = veritrain("audit", "refuted.csv", cwd=refuted(tmp_path).parent)
    assert done.returncode == 1 and "REFUTED" in done.stdout and "beats_trivial" in done.stdout
    assert "refuted.csv:" in done.stdout and "What would settle it" in done.stdout


def test_audit_and_report_of_a_run(tmp_path):
    folder = write_learned_run(RunFolder(tmp_path / "run"))
    done = veritrain("audit", folder.path, "--json", "--fail-on", "plausible")
    content = json.loads(done.stdout)
    assert (done.returncode, content["verdict"]) == (0, "shown"), content["sentence"]
    assert content["sentence"].startswith("SHOWN (one run)") and len(content["claims"]) == 2
    assert not folder.verdict.exists(), "an audit only reads"
    folder.recipe.write_text("waivers:\n- {check: beats_untrained, reason: later, until: 2999-01-01}\n")
    again = json.loads(veritrain("audit", folder.path, "--json").stdout)
    assert again["verdict"] == "plausible" and [item["check"] for item in again["waived"]] == ["beats_untrained"]
    folder.recipe.write_text("waivers:\n- {check: beats_untraind, reason: later, until: 2999-01-01}\n")
    wrong = veritrain("audit", folder.path)
    assert wrong.returncode == 64 and "did you mean 'beats_untrained'" in wrong.stderr


def test_report_writes_verdict_page_and_card(tmp_path, capsys):
    folder = write_learned_run(RunFolder(tmp_path / "run"))
    assert cli.main(["report", str(folder.path)]) == 0
    assert capsys.readouterr().out.strip() == str(folder.report)
    assert json.loads(folder.verdict.read_text(encoding="utf-8"))["verdict"] == "shown"
    assert folder.report.is_file() and folder.card.is_file()


def test_the_report_of_a_file_is_written_where_the_help_says(tmp_path, capsys, monkeypatch):
    (tmp_path / "logs").mkdir()
    (tmp_path / "here").mkdir()
    lines = (f"Epoch {n}/5\n10/10 - 1s - loss: {1 / n:.4f} - val_loss: {1.1 / n:.4f}\n" for n in range(1, 6))
    (tmp_path / "logs" / "keras.log").write_text("".join(lines))
    monkeypatch.chdir(tmp_path / "here")
    assert cli.main(["report", "../logs/keras.log"]) == 0
    out = capsys.readouterr().out.strip()
    assert out == "keras.log.report.html" and [one.name for one in (tmp_path / "here").iterdir()] == [out]
    with pytest.raises(SystemExit):
        cli.main(["report", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "./FILE.report.html without it, in the folder you are in" in told


# --- the process --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "kept"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_idle_threads_sleep_unless_somebody_said_otherwise(given, kept):
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    code = "import sys, veritrain.cli, os; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == [kept, "False"]

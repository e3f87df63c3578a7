"""``veritrain study`` from the command line; one study of real trainings, slow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study.studies import FAKE, TWO_ARMS, faults, written
from veritrain import cli
from veritrain.study import run

SHORT = {"seeds": 2}


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(run.Workers, "__init__", _with_fake(run.Workers.__init__))


def _with_fake(init):
    def made(self, **options):
        init(self, **{"command": FAKE, **options})

    return made


def call(*words: object) -> int:
    return cli.main(["study", *map(str, words)])


def test_help_loads_no_torch():
    code = "import sys; from veritrain import cli\ntry: cli.main(['study', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted(m for m in ('torch', 'lightning_fabric') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and "exit codes: 0" in done.stdout and "--plan" in done.stdout


def test_the_plan_runs_nothing(tmp_path, capsys):
    assert call(written(tmp_path), "--out", tmp_path / "out", "--plan") == 0
    assert "seeds: 6 needed" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert call(written(tmp_path), "--out", tmp_path / "out", "--plan", "--json", "--seeds", 9, "--processes", 3) == 0
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["seeds"]) == 9 and plan["time"]["processes"] == 3 and plan["cells"]["final"]["to make"] == 18


def test_a_study_ends_with_its_tables_and_curves(tmp_path, capsys, fake):
    out = tmp_path / "out"
    assert call(written(tmp_path), "--out", out) == 0
    said = capsys.readouterr().out
    assert said.index("seeds: 6 needed") < said.index("[1/12]"), "the plan is told first"
    assert "Primary claim: attention improves on concat in point_ap on test" in said
    for name in ("study.json", "study.yaml", "tables.md", "tables.tex", "arms.csv", "comparisons.csv", "cells.csv",
                 "figures/curves.png", "figures/curves.pdf"):  # fmt: skip
        assert (out / name).stat().st_size > 0, name
    assert call(written(tmp_path), "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["claims"][0]["word"] == "improves" and found["plan"]["cells"]["final"]["finished"] == 12


def test_other_data_go_to_every_cell_and_stay_out_of_what_is_kept(tmp_path, capsys, fake):
    """The fake training writes its words down, as a real one its recipe."""
    out, folder = tmp_path / "out", "the recordings of somebody"
    assert call(written(tmp_path, **SHORT), "--out", out, "--data", folder) == 0
    recipes = [path.read_text() for path in (out / "cells").glob("*/recipe.yaml")]
    assert len(recipes) == 4 and all(f'data: "{folder}"' in text for text in recipes)
    kept = [path for path in out.iterdir() if path.suffix in (".json", ".yaml", ".md", ".tex", ".csv")]
    assert len(kept) == 7 and not any(folder in path.read_text() or "data/streets" in path.read_text() for path in kept)


def test_without_records_an_older_figure_stays(tmp_path, capsys, fake):
    out = tmp_path / "out"
    assert call(written(tmp_path, **SHORT), "--out", out) == 0
    picture = (out / "figures" / "curves.png").read_bytes()
    shutil.rmtree(next((out / "cells").glob("attention--seed0*/")))
    assert call(written(tmp_path, **SHORT), "--out", out) == 0
    assert (out / "figures" / "curves.png").read_bytes() == picture
    assert "1 of 4 final cells are taken from the ledger" in capsys.readouterr().out


def test_a_failed_cell_makes_it_1_and_the_tables_stand(tmp_path, capsys, fake):
    with faults(**{"concat--seed0": {"exit": 70}}):
        assert call(written(tmp_path, **SHORT), "--out", tmp_path / "out") == 1
    assert "Cells that failed" in (tmp_path / "out" / "tables.md").read_text()
    assert "concat, seed 0: failed with exit code 70" in capsys.readouterr().out


def test_different_data_are_65_and_write_no_table(tmp_path, capsys, fake):
    with faults(concat={"data": "other"}):
        assert call(written(tmp_path, **SHORT), "--out", tmp_path / "out") == 65
    assert "not made on the same data" in capsys.readouterr().err and not (tmp_path / "out" / "tables.md").exists()


def test_a_study_in_use_is_5(tmp_path, capsys):
    with run.held(tmp_path / "out"):
        assert call(written(tmp_path), "--out", tmp_path / "out") == 5
    assert "another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--only", "atention"], "did you mean 'attention'"), (["--sedes", "3"], "did you mean '--seeds'"),
     (["--seeds", "0"], "at least 1"), (["--processes", "-1"], "processes >= 0")],
)  # fmt: skip
def test_what_does_not_exist_is_64(tmp_path, capsys, words, said):
    assert call(written(tmp_path), "--out", tmp_path / "out", *words) == 64
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_default_folder_is_named_after_the_study(tmp_path, monkeypatch, capsys, fake):
    monkeypatch.chdir(tmp_path)
    assert call(written(tmp_path, **SHORT), "--only", "concat") == 0
    assert (tmp_path / "runs" / "studies" / "two arms" / "tables.md").is_file()


@pytest.mark.slow
def test_a_study_of_real_trainings(tmp_path):
    """Two arms, two seeds, a made world: about a minute on one core."""
    data = {"world": "driving", "scenarios": 12, "frames": 4, "size": "64x96", "seed": 3}
    content = {**TWO_ARMS, "data": data, "base": {"epochs": 1, "width": 8}, "metrics": ["frame_auroc"], "seeds": 2}
    path, out = written(tmp_path, content), tmp_path / "out"
    words = [sys.executable, "-m", "veritrain", "study", str(path), "--out", str(out), "--processes", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    claim = found["claims"][0]
    assert claim["n"] == 2 and claim["word"] == "not shown" and claim["p"] == 0.5 and found["made_data"]
    for cell in Path(out / "cells").glob("*/results.json"):
        stored = json.loads(cell.read_text())["metrics"]["point_ap"]["value"]
        ledger = json.loads((out / "study.json").read_text())["cells"][cell.parent.name]
        assert ledger["metrics"]["test"]["point_ap"]["value"] == stored and ledger["steps"] > 0
    assert (out / "figures" / "curves.png").is_file()
    again = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0 and json.loads(again.stdout)["claims"] == found["claims"]

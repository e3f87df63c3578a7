"""``veritrain watch`` from the command line: a real run, Ctrl-C, refusals, and no torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from monitor.writing import epochs, start, step, until
from veritrain import cli
from veritrain.record import RecordWriter, RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_a_finished_run_exits_0(folder, capsys):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6,))
        writer.event("end", status="done")
    assert cli.main(["watch", str(folder.path), "--once"]) == 0
    assert "state finished" in capsys.readouterr().out


def test_a_dead_run_exits_1(folder, capsys):
    with RecordWriter(folder) as writer:
        start(writer)
    assert cli.main(["watch", str(folder.path), "--once", "--plain"]) == 1
    assert "state died" in capsys.readouterr().out


def test_no_run_is_66_and_an_impossible_pause_64(tmp_path, capsys):
    assert cli.main(["watch", str(tmp_path / "nothing")]) == 66
    assert cli.main(["watch", str(tmp_path), "--every", "0"]) == 64
    assert "do:" in capsys.readouterr().err


def test_help_says_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["watch", "--help"])
    out = capsys.readouterr().out
    assert "--every" in out and "130 Ctrl-C" in out and "example: veritrain watch runs/mine" in out


def test_ctrl_c_ends_it_with_130_and_no_traceback_and_torch_is_not_loaded(folder):
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1)
        writer.flush()
        # A shell starts background jobs with SIGINT ignored, and children inherit that: a terminal does not.
        run = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        run += "from veritrain.cli import main; n = main(sys.argv[1:])"
        code = run + "; print('torch' in sys.modules); sys.exit(n)"
        words = [sys.executable, "-u", "-c", code, "watch", str(folder.path), "--every", "0.2"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        assert process.stdout is not None
        until(lambda: "state running" in process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    assert out.splitlines()[-1] == "False"

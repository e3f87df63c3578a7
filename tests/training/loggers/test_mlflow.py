"""MLflow's own client finds what the record holds, in a file of the run. Skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from training.toy import fit_toy, weights_hash
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.training.loggers import logger
from veritrain.training.loggers.logger import numbers_of, start_loggers
from watched.calls import calls_in, watched_environment

pytest.importorskip("mlflow", reason="the extra veritrain[trackers] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own use of SQLAlchemy


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(logger, "OPEN_SECONDS", 300.0)  # a new database takes more than a minute on a crowded machine


def term(writer, step, value):
    writer.event("term", step=step, epoch=1, name="bce", value=value, weight=0.5, n=4, split="train")


def client_and_run(folder):
    from mlflow import MlflowClient

    from veritrain.training.loggers.mlflow import tracking_uri

    return MlflowClient(tracking_uri=tracking_uri(folder)), (folder.loggers / "mlflow_run.txt").read_text().strip()


def history(folder, name):
    client, run = client_and_run(folder)
    return client.get_run(run).info.status, sorted((m.step, m.value) for m in client.get_metric_history(run, name))


def train(folder, *, resume=False, epochs=1, loggers=("mlflow",)):
    """A real training on a toy; its last weights."""
    done = fit_toy(
        folder,
        epochs=epochs,
        resume=resume,
        begin=lambda writer: start_loggers(loggers, writer, folder, resume=resume),
    )
    return weights_hash(done.model)


def assert_same_as_record(folder):
    """Names, steps, times and values to the last bit, each once."""
    client, run = client_and_run(folder)
    wanted = {(n.name, n.step): (n.value, int(n.at * 1000)) for n in numbers_of(read_run(folder.path).events)}
    names = set(client.get_run(run).data.metrics)
    found = [(name, m.step, m.value, m.timestamp) for name in names for m in client.get_metric_history(run, name)]
    assert {(name, step): (value, at) for name, step, value, at in found} == wanted
    assert len(found) == len(wanted) > 20, "nothing is there twice"
    assert [one.info.run_id for one in client.search_runs([client.get_run(run).info.experiment_id])] == [run]


def test_metrics_are_those_of_the_record_in_one_run_and_a_resume_doubles_none(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        start_loggers(["mlflow"], writer, folder, resume=False)
        for step in (1, 2, 3):
            term(writer, step, step / 4)
    assert (folder.loggers / "mlflow.db").is_file()
    assert history(folder, "train/loss/bce") == ("KILLED", [(1, 0.25), (2, 0.5), (3, 0.75)])
    with RecordWriter(folder) as writer:
        start_loggers(["mlflow"], writer, folder, resume=True)
        writer.event("resume", step=2, epoch=1)
        term(writer, 3, 9.0)  # trained again, to another value: MLflow cannot forget, and keeps the first
        term(writer, 4, 1.0)
        writer.event("end", status="done")
    assert history(folder, "train/loss/bce") == ("FINISHED", [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)])


def test_a_training_and_its_resumption_are_one_run_number_by_number(tmp_path, capfd):
    folder = RunFolder(tmp_path / "run")
    with_logger = train(folder)
    assert_same_as_record(folder)
    train(folder, resume=True, epochs=2)
    assert_same_as_record(folder)
    assert not capfd.readouterr().out, "standard output belongs to the command"
    assert with_logger == train(RunFolder(tmp_path / "without"), loggers=()), "bit for bit"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense://me:my-password@there", "unsupported URI"),
        ("http://me:my-password@127.0.0.1:9", "Connection refused"),
        ("sqlite:////proc/nowhere/mlflow.db", "/proc/nowhere|did not open"),  # 3.0 tries for minutes
    ],
)
def test_an_address_that_does_not_work_drops_the_logger_with_one_note(tmp_path, monkeypatch, address, said):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(logger, "OPEN_SECONDS", 20.0)
    folder = RunFolder(tmp_path / "run")
    train(folder)
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert note["name"] == "mlflow" and re.search(said, note["text"])
    assert "my-password" not in folder.record.read_text() + folder.train_log.read_text()
    assert read_run(folder.path).of("stop")[0]["reason"] == "epochs"


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # MLflow tries again for minutes
    monkeypatch.setattr(logger, "OPEN_SECONDS", 0.5)
    monkeypatch.setattr(logger, "CLOSE_SECONDS", 0.2)
    folder = RunFolder(tmp_path / "run")
    train(folder)
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert "did not open in time" in note["text"]


TRAINING = """
from pathlib import Path
from training.toy import fit_toy
from veritrain.record import RunFolder
from veritrain.training.loggers import logger
logger.OPEN_SECONDS = 300.0
folder = RunFolder(Path({path!r}))
names = ["mlflow"] + ["tensorboard"] * bool({tensorboard})
fit_toy(folder, epochs=1, begin=lambda writer: logger.start_loggers(names, writer, folder, resume=False))
assert "logger" not in folder.train_log.read_text()
"""


def test_nothing_leaves_the_machine(tmp_path):
    here = importlib.util.find_spec("tensorboard") is not None
    code = TRAINING.format(path=str(tmp_path / "run"), tensorboard=here)
    environment = watched_environment(tmp_path / "calls")
    environment = {**environment, "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout and "mlflow" not in done.stderr, "a logger says nothing on the terminal"
    assert calls_in(tmp_path / "calls", "watched") and not calls_in(tmp_path / "calls", "outside")


def test_nothing_is_reported_to_its_makers():
    import veritrain.training.loggers.mlflow  # noqa: F401 - what matters is what its import sets

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"]
    telemetry = pytest.importorskip("mlflow.telemetry.utils", reason="this MLflow reports nothing")
    assert telemetry.is_telemetry_disabled()

"""MLflow's own client finds what the record holds, in a file of the run. Skipped where it is not installed."""

from __future__ import annotations

import pytest

from veritrain.record import RecordWriter, RunFolder
from veritrain.training.loggers.logger import start_loggers

pytest.importorskip("mlflow", reason="the extra veritrain[trackers] is not installed")


def term(writer, step, value):
    writer.event("term", step=step, epoch=1, name="bce", value=value, weight=0.5, n=4, split="train")


def history(folder, name):
    from mlflow import MlflowClient

    from veritrain.training.loggers.mlflow import tracking_uri

    client = MlflowClient(tracking_uri=tracking_uri(folder))
    run = (folder.loggers / "mlflow_run.txt").read_text().strip()
    return client.get_run(run).info.status, sorted((m.step, m.value) for m in client.get_metric_history(run, name))


def test_metrics_are_those_of_the_record_in_one_run_and_a_resume_doubles_none(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
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
        for step in (3, 4):
            term(writer, step, step / 4)
        writer.event("end", status="done")
    assert history(folder, "train/loss/bce") == ("FINISHED", [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)])


def test_nothing_is_reported_to_its_makers():
    import os

    import veritrain.training.loggers.mlflow  # noqa: F401 - what matters is what its import sets

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"]

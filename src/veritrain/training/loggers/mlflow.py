"""MLflow: a local store in ``RUN/loggers``, or the one that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

# Before mlflow is imported: since 3.2 it reports its use to its makers unless told not to. Nothing is sent unasked.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It writes about each new database to stderr, and about each run on a server to stdout, where --json may be read.
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric

from veritrain.record import RunFolder
from veritrain.training.loggers.logger import Number

EXPERIMENT = "veritrain"
MOST_IN_A_BATCH = 1000
"""What one call of ``log_batch`` may hold."""


def tracking_uri(folder: RunFolder) -> str:
    """The user's own ``MLFLOW_TRACKING_URI``, else a file of the run."""
    own = (folder.loggers / "mlflow.db").resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{own}"


class MlflowStore:
    """Metrics of one MLflow run, whose id is kept in ``RUN/loggers/mlflow_run.txt``.

    On resume the same MLflow run goes on. It cannot forget a number: a step that was trained again keeps the value that
    was written first, and the record has the newer one.
    """

    def __init__(self, folder: RunFolder, *, resume: bool) -> None:
        folder.loggers.mkdir(parents=True, exist_ok=True)
        uri = tracking_uri(folder)
        self._client = MlflowClient(tracking_uri=uri)
        self._kept = folder.loggers / "mlflow_run.txt"
        known = self._kept.read_text(encoding="utf-8").strip() if resume and self._kept.is_file() else ""
        self._run = known or self._new_run(folder, local=not os.environ.get("MLFLOW_TRACKING_URI"))
        self._client.update_run(self._run, status="RUNNING")

    def _new_run(self, folder: RunFolder, *, local: bool) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            experiment = found.experiment_id
        else:
            place = (folder.loggers / "mlflow_artifacts").resolve().as_uri() if local else None
            experiment = self._client.create_experiment(EXPERIMENT, artifact_location=place)
        name = Path(folder.path).resolve().name
        run = str(self._client.create_run(experiment, run_name=name).info.run_id)
        self._kept.write_text(run + "\n", encoding="utf-8")
        return run

    def already(self, names: Collection[str]) -> set[tuple[str, int]]:
        return {
            (name, int(metric.step)) for name in names for metric in self._client.get_metric_history(self._run, name)
        }

    def write(self, numbers: Sequence[Number]) -> None:
        metrics = [Metric(n.name, n.value, int(n.at * 1000), n.step) for n in numbers]
        for start in range(0, len(metrics), MOST_IN_A_BATCH):
            self._client.log_batch(self._run, metrics=metrics[start : start + MOST_IN_A_BATCH])

    def close(self, *, finished: bool) -> None:
        self._client.set_terminated(self._run, status="FINISHED" if finished else "KILLED")

"""Does a fresh process, from the saved weights, find the same scores?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from veritrain.errors import RecordError
from veritrain.probes.probe import FinishedRun


class FreshProcessEvaluation:
    """``veritrain evaluate RUN --scores_only`` in a new process, beside the scores in results.json."""

    name = "fresh_process_evaluation"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        command = [sys.executable, "-m", "veritrain", "evaluate", str(run.folder.path), "--scores_only"]
        environment = {**os.environ, "PYTHONHASHSEED": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
        if done.returncode != 0:
            raise RecordError("the fresh evaluation failed", found=done.stderr.strip()[-400:])
        again = json.loads(done.stdout)["metrics"]
        here = run.task.score(run.predictions)
        return {
            metric: {"here": here[metric], "fresh": again[metric]["value"]}
            for metric in here
            if here[metric] is not None
        }

"""Devices and precision."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from veritrain.training.engine import BF16_UNITS, native_precision


@pytest.mark.parametrize("asked", ["32-true", "bf16-mixed", "16-mixed"])
def test_what_is_asked_for_by_name_stays(asked):
    assert native_precision(asked) == asked


@pytest.mark.parametrize("unit", BF16_UNITS)
def test_auto_takes_bfloat16_where_the_processor_computes_in_it(monkeypatch, unit):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, unit: True})
    assert native_precision("auto") == "bf16-mixed"


def test_auto_is_float32_where_bfloat16_would_be_imitated(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert native_precision("auto") == "32-true"


def test_auto_asks_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for supported, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, answer=supported: answer)
        assert native_precision("auto") == expected


def test_fabric_says_nothing_of_its_own():
    """In a process of its own: lightning writes to the stderr that it finds when it is imported."""
    code = (
        "from veritrain.training.engine import start_engine; from veritrain.training.options import LoopOptions; "
        "start_engine(LoopOptions(epochs=1, batch_size=1, precision='bf16-mixed', accelerator='cpu'))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert "Precision" not in done.stderr and not done.stdout

"""Devices and precision."""

from __future__ import annotations

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

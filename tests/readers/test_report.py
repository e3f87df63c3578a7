from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.audit.verdict import judge
from veritrain.readers.recognise import read_artefact
from veritrain.readers.report import ReportReader

SEEDS = Path(__file__).resolve().parents[3] / "shared" / "seeds"

REPORT = """# Training report

## Validation Metrics

| Metric | Initial | Final | Best |
|--------|---------|-------|------|
| Loss   | 3.86 | 5.73 | 1.90 |
| Accuracy | 0.2583 | 0.4710 | 0.4955 |

- **Best epoch**: 64
"""


def read(tmp_path, text):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8", newline="")
    return read_artefact(path)


def test_a_report_is_told_from_a_log(tmp_path):
    record = read(tmp_path, REPORT)
    assert record.kind == "report"
    assert [(row.name, row.split) for row in record.rows if row.line == 8] == [
        ("first/accuracy", "val"),
        ("accuracy", "val"),
        ("best/accuracy", "val"),
    ]
    assert not ReportReader().recognises(Path("x"), "Epoch 1/5\nloss: 0.5\n")


def test_a_repair_is_told(tmp_path):
    meant = "# 训练报告\n\n- **准确率**: 0.9\n- **损失**: 0.5\n- **轮次**: 3\n" * 3
    garbled = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in meant.encode())
    record = read(tmp_path, garbled)
    assert record.remarks[0].kind == "repaired"
    assert [row.line for row in record.rows if row.name == "accuracy"] == [3, 8, 13]


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed reports are not beside the repository")
@pytest.mark.parametrize(("number", "check"), [("000", "claims_supported"), ("001", "beats_constant_loss")])
def test_the_seed_reports_are_refuted_by_their_own_lines(number, check):
    (path,) = SEEDS.glob(f"{number}_*.txt")
    verdict = judge(read_artefact(path))
    assert verdict.word == "refuted"
    found = [item.finding for item in verdict.judged if item.finding.check == check]
    assert found[0].status == "fail" and all(citation.line for citation in found[0].evidence)
    total = len(path.read_text(encoding="utf-8").splitlines())
    assert all(citation.line is not None and 1 <= citation.line <= total for citation in found[0].evidence)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed reports are not beside the repository")
@pytest.mark.parametrize("number", ["002", "003", "004"])
def test_no_seed_report_is_plausible(number):
    (path,) = SEEDS.glob(f"{number}_*.txt")
    assert judge(read_artefact(path)).word in ("not_shown", "refuted")

# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from audit.planted import finding, planted
from veritrain.audit.terms import BoxesBeatConstant, TotalsComparable
from veritrain.readers.recognise import read_artefact
from veritrain.record import Row


def read(tmp_path, text, name="log.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_artefact(path)


def weighted(weights):
    return "batch,total_loss,det_loss,cls_loss,w_det,w_cls\n" + "".join(
        f"{i},{4 - i / 10:.4f},1.5,0.8,{w},{1 - w:.4f}\n" for i, w in enumerate(weights)
    )


def test_totals_comparable_passes(tmp_path):
    assert TotalsComparable().judge(read(tmp_path, weighted([0.5] * 4), "a.csv"), {}).status == "pass"


def test_totals_comparable_fails_when_weights_move(tmp_path):
    finding = TotalsComparable().judge(read(tmp_path, weighted([0.01, 0.2, 0.3, 0.4]), "a.csv"), {})
    assert finding.status == "fail" and finding.evidence


def test_totals_comparable_fails_on_a_claimed_total(tmp_path):
    text = "# 訓練報告\n\n- **總損失改善**: **30.6%** (5.7829 → 4.0149)\n- **檢測權重** +275%，分類權重 +2,487%\n\n## 結論\n"
    finding = TotalsComparable().judge(read(tmp_path, text, "r.md"), {})
    assert finding.status == "fail" and [citation.line for citation in finding.evidence] == [3, 4]


def boxes(giou, total):
    return "".join(
        f"Epoch {i}/12:\n  Train Loss: {total}\n    - Position: 0.1258\n    - BBox: 0.1869\n    - GIoU: {giou}\n"
        for i in range(1, 13)
    )


def test_boxes_beat_constant_passes(tmp_path):
    assert BoxesBeatConstant().judge(read(tmp_path, boxes(0.41, 2.1)), {}).status == "pass"


def test_boxes_beat_constant_fails(tmp_path):
    finding = BoxesBeatConstant().judge(read(tmp_path, boxes(1.075, 3.3764)), {})
    assert finding.status == "fail" and finding.bound == 1.0


def test_a_term_that_may_carry_its_weight_is_not_judged(tmp_path):
    total = 0.1258 + 0.1869 + 1.5
    assert BoxesBeatConstant().judge(read(tmp_path, boxes(1.5, total)), {}).status == "pass"


def declaring(terms, computed):
    """A run that declares terms with weights and computes some of them."""
    start = {"event": "start", "line": 1, "step": None, "epoch": None, **({} if terms is None else {"terms": terms})}
    rows = tuple(
        Row(file="record.jsonl", line=2 + k, name=f"loss/{name}", raw=name, split="train", step=1, epoch=0, value=0.5)
        for k, name in enumerate(computed)
    )
    return planted(events=(start,), rows=rows)


def test_declared_terms_computed_passes_when_each_is():
    assert finding("declared_terms_computed", declaring({"cls": 1.0, "l1": 5.0}, ["cls", "l1"])).status == "pass"


def test_a_term_without_weight_need_not_be_computed():
    assert finding("declared_terms_computed", declaring({"cls": 1.0, "contrast": 0.0}, ["cls"])).status == "pass"


def test_declared_terms_computed_fails_and_names_the_one_that_is_not():
    found = finding("declared_terms_computed", declaring({"first": 1.0, "global_contrast": 1.0}, ["first"]))
    assert found.status == "fail" and "global_contrast (weight 1)" in found.sentence
    assert [citation.line for citation in found.evidence] == [1]


def test_declared_terms_computed_is_not_run_where_nothing_is_declared_or_trained():
    assert finding("declared_terms_computed", declaring(None, ["cls"])).status == "not_run"
    assert finding("declared_terms_computed", declaring({"cls": 1.0}, [])).status == "not_run"

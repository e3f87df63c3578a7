# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from dataclasses import replace

import pytest

from veritrain.audit.process import (
    CheckpointFits,
    ErrorsNotSwallowed,
    FinishedAsPlanned,
    NumbersWereMeasured,
    OneRunPerTable,
    RanToTheEnd,
    SplitsDiffer,
    ValidationHasSamples,
)
from veritrain.readers.recognise import read_artefact
from veritrain.record import Remark

TRACE = (
    'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    main()\nRuntimeError: no memory\n'
)
EPOCHS = "".join(f"Epoch {i}/3 - train_loss: {1 / i:.3f} - val_acc: {0.3 * i:.3f}\n" for i in (1, 2, 3))


def read(tmp_path, text, name="log.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_artefact(path)


def test_ran_to_the_end_passes(tmp_path):
    assert RanToTheEnd().judge(read(tmp_path, EPOCHS), {}).status == "pass"


def test_ran_to_the_end_fails_before_the_first_epoch(tmp_path):
    finding = RanToTheEnd().judge(read(tmp_path, "Training the model\nEpoch 1/3\n" + TRACE), {})
    assert finding.status == "fail" and finding.on_fail == "unproves" and "before any epoch" in finding.sentence


def test_ran_to_the_end_fails_when_a_crash_is_sold_as_success(tmp_path):
    finding = RanToTheEnd().judge(read(tmp_path, "Training the model\n" + TRACE + "训练完成!\n"), {})
    assert finding.status == "fail" and finding.on_fail == "refutes"


def test_a_crash_after_the_scores_is_a_note(tmp_path):
    assert RanToTheEnd().judge(read(tmp_path, EPOCHS + TRACE), {}).on_fail == "notes"


def test_errors_not_swallowed_passes(tmp_path):
    assert ErrorsNotSwallowed().judge(read(tmp_path, EPOCHS), {}).status == "pass"


def test_errors_not_swallowed_fails(tmp_path):
    text = "Epoch 1/50 训练\n❌ Batch 0 出错: no attribute\n❌ Batch 1 出错: no attribute\n训练 - Loss: 0.0000\n"
    finding = ErrorsNotSwallowed().judge(read(tmp_path, text), {})
    assert finding.status == "fail" and finding.on_fail == "refutes" and finding.value == 2


def test_one_run_per_table_passes(tmp_path):
    text = "fold,epoch,loss,val_acc\n" + "".join(f"{k},{i},0.5,0.6\n" for k in range(2) for i in range(3))
    assert OneRunPerTable().judge(read(tmp_path, text, "a.csv"), {}).status == "pass"


def test_one_run_per_table_fails(tmp_path):
    text = "epoch,loss,val_acc\n0,0.5,0.6\n1,0.4,0.7\n0,0.5,0.6\n1,0.4,0.7\n"
    finding = OneRunPerTable().judge(read(tmp_path, text, "a.csv"), {})
    assert finding.status == "fail" and finding.on_fail == "unproves" and finding.evidence[0].line == 4


def test_several_models_in_a_log_are_a_note(tmp_path):
    assert OneRunPerTable().judge(read(tmp_path, EPOCHS + "now with dropout\n" + EPOCHS), {}).on_fail == "notes"


def test_splits_differ_passes(tmp_path):
    text = (
        "Loading train split: 100 samples\ntrain loader ready\nLoading val split: 20 samples\nval loader ready\n"
        + EPOCHS
    )
    assert SplitsDiffer().judge(read(tmp_path, text), {}).status == "pass"


def test_splits_differ_fails(tmp_path):
    text = "加载 train 集: 8 场景, 900 样本\n✅ 训练集加载器创建成功\n加载 train 集: 8 场景, 900 样本\n✅ 验证集加载器创建成功\n"
    finding = SplitsDiffer().judge(read(tmp_path, text), {})
    assert finding.status == "fail" and finding.evidence[0].line == 4


def test_validation_has_samples_passes(tmp_path):
    assert ValidationHasSamples().judge(read(tmp_path, "val dataset: 150 samples\n" + EPOCHS), {}).status == "pass"


@pytest.mark.parametrize(
    "line", ["加载val数据集: 0个有效样本", "Epoch 1 Validation: 0it [00:11, ?it/s]", "validation set: 0 images"]
)
def test_validation_has_samples_fails(tmp_path, line):
    finding = ValidationHasSamples().judge(read(tmp_path, f"Epoch 1/3 train loss 0.5\n{line}\n"), {})
    assert finding.status == "fail" and finding.evidence[0].line == 2


def test_checkpoint_fits_passes(tmp_path):
    text = "Loaded 0 compatible pretrained parameters\n" + EPOCHS
    assert CheckpointFits().judge(read(tmp_path, text), {}).status == "pass"


def test_checkpoint_fits_fails(tmp_path):
    text = 'Loading model for evaluation\nMissing key(s) in state_dict: "fusion.2.weight"\nepoch\n'
    assert CheckpointFits().judge(read(tmp_path, text), {}).status == "fail"


def test_finished_as_planned_passes(tmp_path):
    assert FinishedAsPlanned().judge(read(tmp_path, EPOCHS), {}).status == "pass"


def test_finished_as_planned_fails(tmp_path):
    finding = FinishedAsPlanned().judge(read(tmp_path, EPOCHS.replace("/3", "/100")), {})
    assert finding.status == "fail" and FinishedAsPlanned.on_fail == "notes"


@pytest.mark.parametrize(
    "said",
    [
        "Note: the values above are illustrative (dummy data), not measured.",
        "All metrics in this report are placeholders until the run is finished",
        "The results were not actually measured.",
        "注：以上数据均为模拟，仅供参考",
        "上表數值為示例",
    ],
)
def test_numbers_were_measured_fails_on_a_file_that_says_otherwise(tmp_path, said):
    finding = NumbersWereMeasured().judge(read(tmp_path, EPOCHS + said + "\n"), {})
    assert finding.status == "fail" and NumbersWereMeasured.on_fail == "unproves"
    assert [one.line for one in finding.evidence] == [4]


@pytest.mark.parametrize(
    "said",
    [
        "Results on simulated data are shown in table 2.",
        "Values marked with a dash were not measured.",
        "The target values are placeholders in the config.",
        "all numbers are means of three seeds",
        "以上结果为三次平均",
        "placeholder",
    ],
)
def test_numbers_were_measured_passes(tmp_path, said):
    assert NumbersWereMeasured().judge(read(tmp_path, EPOCHS + said + "\n"), {}).status == "pass"


UNPLANNED = EPOCHS.replace("/3", "")


@pytest.mark.parametrize("epochs", [EPOCHS, UNPLANNED, EPOCHS.replace("val_acc", "train_acc")])
def test_an_error_after_the_training_stopped_no_training(tmp_path, epochs):
    finding = RanToTheEnd().judge(read(tmp_path, epochs + "Could not draw:\n" + TRACE + "Training finished\n"), {})
    assert finding.on_fail == "notes" and "stopped" not in finding.sentence


def test_numbers_after_a_crash_count_only_with_their_place_in_training(tmp_path):
    text = "Training the model\n" + TRACE + "Training completed\nval accuracy: 0.95\n"
    assert RanToTheEnd().judge(read(tmp_path, text), {}).on_fail == "refutes"


@pytest.mark.parametrize(
    "said",
    [
        "Note: the validation set is the same as the training set.",
        "WARNING: no val split found, using train for validation",
        "Validation is done on the training data.",
        "val: ../train/images",
        "The validation metrics were computed on the training images",
        "验证集与训练集相同",
        "注意:使用训练集作为验证集",
    ],
)
def test_a_file_that_says_that_validation_is_training(tmp_path, said):
    assert SplitsDiffer().judge(read(tmp_path, said + "\n" + EPOCHS), {}).status == "fail"


@pytest.mark.parametrize("said", ["val: ../valid/images", "the validation set is not the same as the training set"])
def test_a_file_that_says_the_splits_differ(tmp_path, said):
    assert SplitsDiffer().judge(read(tmp_path, said + "\n" + EPOCHS), {}).status == "pass"


def test_a_skipped_batch_before_a_good_training_is_a_note(tmp_path):
    finding = ErrorsNotSwallowed().judge(
        read(tmp_path, "Skipping batch 3: error reading image\nloss: 0\n" + EPOCHS), {}
    )
    assert finding.status == "fail" and finding.on_fail == "notes"


SAID_IN_WORDS = {
    RanToTheEnd: "crash",
    ErrorsNotSwallowed: "swallowed_exception",
    SplitsDiffer: "same_split",
    ValidationHasSamples: "empty_split",
    CheckpointFits: "key_mismatch",
    NumbersWereMeasured: "numbers_made_up",
}


@pytest.mark.parametrize(("check", "kind"), SAID_IN_WORDS.items(), ids=lambda part: getattr(part, "name", ""))
def test_a_table_of_numbers_passes_nothing_that_it_cannot_tell(tmp_path, check, kind):
    """A check that did not run never counts as passed; a remark of its kind still fails."""
    table = read(tmp_path, "epoch,loss,val_acc\n0,0.5,0.6\n1,0.4,0.7\n", "a.csv")
    found = check().judge(table, {})
    assert found.status == "not_run" and found.sentence.startswith("a table of numbers cannot tell of ")
    assert check().judge(read(tmp_path, EPOCHS), {}).status == "pass"
    said = Remark(file=str(table.path), line=2, kind=kind, text="so it is written")
    assert check().judge(replace(table, remarks=(said,)), {}).status == "fail"


@pytest.mark.parametrize("check", [OneRunPerTable, FinishedAsPlanned], ids=lambda check: check.name)
def test_what_a_table_of_numbers_can_tell_still_passes(tmp_path, check):
    table = read(tmp_path, "epoch,loss,val_acc\n0,0.5,0.6\n1,0.4,0.7\n", "a.csv")
    assert check().judge(table, {}).status == "pass"

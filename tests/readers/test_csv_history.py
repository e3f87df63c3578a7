# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.errors import ArtefactError
from veritrain.readers.csv_history import CsvHistoryReader
from veritrain.readers.recognise import read_artefact

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files"

YOLO = """               epoch,      train/box_loss,      train/cls_loss,     metrics/mAP_0.5,metrics/mAP_0.5:0.95,        val/box_loss,  x/lr0
                   0,            0.063533,                   0,          2.4681e-06,          2.4681e-07,            0.047041,  0.002
                   1,            0.047852,                   0,            0.066065,            0.017794,            0.040065,  0.004
"""
ULTRALYTICS = "epoch,time,train/loss,metrics/accuracy_top1,metrics/accuracy_top5,val/loss,lr/pg0\n1,8.4,0.335,0.992,1,0.034,0.0005\n"
LIGHTNING = "epoch,lr-Adam,step,train_loss_step,val_acc\n,0.001,49,1.5,\n0,,99,,0.41\n,0.001,149,1.2,\n1,,199,,0.55\n"
KERAS = "epoch;accuracy;loss;val_accuracy;val_loss\n0;0.3;1.8;NA;NA\n1;0.6;1.1;0.6875;0.86\n"
WANDB = '"Step","run-a - val/acc","run-a - val/acc__MIN"\n"0","0.3","0.3"\n"10","0.5","0.5"\n'
OURS = "step,epoch,split,name,value,n\n10,1,val,frame_auroc,0.7,100\n10,1,train,loss,0.5,8\n"


def read(tmp_path, text):
    path = tmp_path / "table"
    path.write_text(text, encoding="utf-8", newline="")
    assert CsvHistoryReader().recognises(path, text)
    return read_artefact(path)


def rows(record):
    return [(row.line, row.split, row.name, row.value) for row in record.rows if row.name != "learning_rate"]


def test_yolov5(tmp_path):
    record = read(tmp_path, YOLO)
    assert (2, "val", "map_50", 2.4681e-06) in rows(record) and (3, "val", "map", 0.017794) in rows(record)
    assert (2, "train", "loss/cls", 0.0) in rows(record) and (3, "val", "loss/box", 0.040065) in rows(record)


def test_ultralytics_classify(tmp_path):
    assert rows(read(tmp_path, ULTRALYTICS))[1:3] == [(2, "val", "accuracy", 0.992), (2, "val", "accuracy_top5", 1.0)]


def test_lightning_is_sparse(tmp_path):
    record = read(tmp_path, LIGHTNING)
    assert rows(record) == [
        (2, "train", "loss", 1.5),
        (3, "val", "accuracy", 0.41),
        (4, "train", "loss", 1.2),
        (5, "val", "accuracy", 0.55),
    ]
    assert [row.step for row in record.rows if row.name == "loss"] == [49, 149]


def test_keras_not_available(tmp_path):
    record = read(tmp_path, KERAS)
    assert [(row.split, row.value) for row in record.rows if row.name == "accuracy"] == [
        ("train", 0.3),
        ("train", 0.6),
        ("val", 0.6875),
    ]


def test_a_weights_and_biases_export(tmp_path):
    record = read(tmp_path, WANDB)
    assert [(row.run, row.split, row.value, row.step) for row in record.rows] == [
        ("run-a", "val", 0.3, 0),
        ("run-a", "val", 0.5, 10),
    ]


def test_our_own_metrics_csv(tmp_path):
    assert [(row.split, row.value, row.epoch) for row in read(tmp_path, OURS).rows if row.name == "loss"] == [
        ("train", 0.5, 1.0)
    ]


def test_precision_is_that_of_the_print(tmp_path):
    record = read(tmp_path, "epoch,train_loss,test_acc\n1,0.0000,58.78\n2,0.0000,60.1\n")
    assert [row.half_ulp for row in record.rows] == pytest.approx([5e-5, 5e-5, 5e-5, 5e-4])


def test_a_repeated_header_starts_a_run(tmp_path):
    record = read(tmp_path, "epoch,loss,val_acc\n0,1,0.5\nepoch,loss,val_acc\n0,1,0.6\n")
    assert next(remark.line for remark in record.remarks if remark.kind == "epoch_restart") == 3


def test_ragged_and_torn_rows_are_told(tmp_path):
    record = read(tmp_path, "epoch,loss,val_acc\n0,1.0,0.5\n1,0.9\n2,0.8,0.6,7\n3,0.7")
    assert [(remark.kind, remark.line) for remark in record.remarks] == [("ragged", 3), ("ragged", 4), ("torn", 5)]
    assert [row.value for row in record.rows if row.name == "loss"] == [1.0, 0.9, 0.8, 0.7]


def test_nan_cells_are_told(tmp_path):
    record = read(tmp_path, "epoch,loss,val_acc\n0,nan,0.5\n1,-inf,0.5\n")
    assert [(row.value, row.nonfinite) for row in record.rows if row.name == "loss"] == [(None, "nan"), (None, "-inf")]


def test_crlf_comments_and_a_mark_at_the_start(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("\ufeff# made by hand\r\nepoch,loss,val_acc\r\n0,1.0,0.5\r\n".encode())
    assert [row.line for row in read_artefact(path).rows] == [3, 3]


def test_a_table_of_variants_is_no_series(tmp_path):
    record = read(tmp_path, "variant,epochs,total_loss\na,50,3.2\nb,50,3.3\n")
    assert all(row.epoch is None and row.step is None for row in record.rows)


@pytest.mark.parametrize("text", ["name,age\nada,36\n", "epoch,loss\n", "epoch,loss\na,b\n"])
def test_tables_without_a_metric_are_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtefactError) as error:
        read_artefact(path)
    assert error.value.exit_code == 2


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the labelled corpus is not beside the repository")
def test_a_real_file():
    record = read_artefact(CORPUS / "001_cots_64e.csv")
    assert record.kind == "csv_history" and len(record.rows) == 64 * 13


def names(tmp_path, header):
    text = header + "\n" + "".join(f"{i}," + ",".join(["0.5"] * header.count(",")) + "\n" for i in range(3))
    return {row.name for row in read(tmp_path, text).rows}


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("epoch,loss,val_r,val_mse", {"loss", "mse"}),
        ("epoch,loss,rec,kl", {"loss"}),
        ("epoch,loss,P,R", {"loss", "precision", "recall"}),
        ("epoch,loss,val_prec,val_rec", {"loss", "precision", "recall"}),
        ("epoch,loss,val_recall", {"loss", "recall"}),
        ("epoch,loss,val_R1,val_R2,val_RL", {"loss"}),
        ("epoch,loss,val_r2", {"loss", "r2"}),
    ],
)
def test_letters_mean_a_score_only_beside_their_partner(tmp_path, header, found):
    assert names(tmp_path, header) == found

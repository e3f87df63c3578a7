# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.audit.bare_log import read_log
from veritrain.readers.recognise import read_artefact
from veritrain.readers.text_log import TextLogReader

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files"
ACC = (0.31, 0.52, 0.64, 0.73, 0.78)

FORMATS = {
    "keras 2": "Epoch {e}/5\n 1/16 [>....] - ETA: 0s - loss: 1.2 - accuracy: 0.2\r16/16 [====] - 5s 312ms/step - loss: 0.5 - accuracy: 0.4"
    " - val_loss: 0.6 - val_accuracy: {a:.4f}\n",
    "keras 3": "Epoch {e}/5\n\x1b[1m16/16\x1b[0m ━━━━━━━━━━ \x1b[1m5s\x1b[0m 312ms/step - accuracy: 0.4 - loss: 0.5 - val_accuracy: {a:.4f}\n",
    "the ImageNet example": "Epoch: [{e}][100/391]\tTime  0.1 ( 0.2)\tLoss 1.2e+00 (1.3e+00)\tAcc@1  20.00 ( 22.00)\n * Acc@1 {p:.3f} Acc@5 95.0\n",
    "the MNIST example": "Train Epoch: {e} [640/60000 (1%)]\tLoss: 0.5\n\nTest set: Average loss: 0.6, Accuracy: {k}/10000 ({p:.0f}%)\n\n",
    "transformers": "{{'loss': 0.5, 'grad_norm': nan, 'epoch': {e}.0}}\n{{'eval_loss': 0.6, 'eval_accuracy': {a:.4f}, 'epoch': {e}.0}}\n",
    "the transfer tutorial": "Epoch {e}/4\n----------\ntrain Loss: 0.5 Acc: 0.4\nval Loss: 0.6 Acc: {a:.4f}\n\n",
    "mmengine": "2023/01/05 10:00:00 - mmengine - INFO - Epoch(train) [{e}][50/94]  lr: 1e-02  loss: 0.5\n"
    "2023/01/05 10:01:00 - mmengine - INFO - Epoch(val) [{e}][20/20]    coco/bbox_mAP: {a:.4f}  coco/bbox_mAP_s: -1.0\n",
    "paddle": "2021-06-15 10:00:00 [INFO]\t[TRAIN] Epoch {e} finished, loss=0.5, acc1=0.4 .\n"
    "2021-06-15 10:00:01 [INFO]\t[EVAL] Finished, Epoch={e}, acc1={a:.4f} .\n",
    "logging": "INFO:root:Epoch {e:03d} | loss 0.5 | val_loss 0.6 | val_acc {a:.4f}\n",
    "boosting": "[{e}]\ttrain-auc:0.9\teval-auc:{a:.5f}\n",
    "simplified Chinese": "[2024-01-02 10:00:00] 第{e}轮/共5轮\n[2024-01-02 10:00:01] 训练损失：0.5，验证准确率：{p:.2f}％\n",
    "traditional Chinese": "訓練 Epoch {e}/5 - 訓練損失: 0.5 | 驗證準確率: {p:.2f}%\n",
    "yolo": "      Epoch    GPU_mem   box_loss   cls_loss  Instances       Size\n      {e}/5      1.2G      0.5      0.4     16        640: 100%|█| 50/50\n"
    "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|█| 1/1\n"
    "                   all        120        300          0.5          0.4          {a:.3f}          0.2\n",
    "fastai": "{e}         0.500000    0.600000    {a:.6f}  00:12     \n",
    "a bar": "Epoch {e}/5: 100%|███| 50/50 [00:10<00:00,  5.0it/s, loss=0.5]\nINFO: Validation Dice score: {a:.4f}\n",
}


def read(tmp_path, text):
    path = tmp_path / "train.log"
    path.write_text(text, encoding="utf-8", newline="")
    return read_artefact(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_its_held_out_scores(tmp_path, name):
    head = "epoch     train_loss  valid_loss  accuracy  time    \n" if name == "fastai" else "Training the model\n"
    text = head + "".join(FORMATS[name].format(e=i, a=a, p=100 * a, k=int(10000 * a)) for i, a in enumerate(ACC, 1))
    record = read(tmp_path, text)
    assert record.kind == "text_log"
    values = [reading.series.values for reading in read_log(record)]
    assert any(found == pytest.approx(ACC, abs=0.006) for found in values), values


def test_a_log_without_numbers_is_still_a_log(tmp_path):
    assert read(tmp_path, "2025-08-01 - INFO - 訓練啟動\n2025-08-01 - INFO - loading the model\n").rows == ()


def test_other_texts_are_not_recognised():
    assert not TextLogReader().recognises(Path("x"), "Dear all,\nplease find attached the minutes.\n")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the labelled corpus is not beside the repository")
def test_a_real_file():
    record = read_artefact(CORPUS / "003_cots_64e_terminal.txt")
    assert record.kind == "text_log" and max(row.epoch or 0 for row in record.rows) == 63

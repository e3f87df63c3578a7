from __future__ import annotations

from veritrain.report.card import plain, write_card


def test_the_card_opens_with_the_verdict(run):
    text = write_card(run).read_text(encoding="utf-8")
    assert text.splitlines()[0] == "# demo-run"
    assert text.splitlines()[2].startswith("**SHOWN (one run).** frame_auroc on test = 0.877")
    assert "**Made data.**" in text
    assert "| frame_auroc | 0.877 | [0.801, 0.934] | 0.500 | 0.561 | 288 | 24 |" in text
    assert "| point_fpr95 | undefined | undefined |" in text
    assert "Waived: `many_seeds` (only one GPU day)." in text and "Did not run (1): `seeds_agree`." in text


def test_the_card_escapes_foreign_words(refuted_run):
    text = write_card(refuted_run).read_text(encoding="utf-8")
    assert "<script>" not in text and "\\<script\\>" in text
    assert "make labels a function" in text


def test_the_card_tells_which_weights_training_started_from(run, started_run):
    assert "Training started from" not in write_card(run).read_text(encoding="utf-8")
    text = write_card(started_run).read_text(encoding="utf-8")
    told = f"`coco.safetensors` (SHA-256 `{'cd' * 32}`); taken: backbone and neck; from scratch: view head."
    assert f"- Training started from: {told} What that file was trained on is not known" in text


def test_the_card_names_the_network_and_how_to_make_the_run_again(run):
    text = write_card(run).read_text(encoding="utf-8")
    assert "- Model: fusion\n- Fusion: late\n- Parameters: 412,345" in text
    assert "veritrain train anomaly --config demo-run/recipe.yaml --data DATA --run demo-run-again\n" in text
    assert "veritrain audit demo-run-again\n```" in text
    assert "DATA is called `small-world`, format `anovox`, SHA-256 of the contents in data.json `" in text
    assert "had a time budget" in text and "trained with precision auto" in text


def test_a_card_of_a_young_run_says_so(young_run):
    text = write_card(young_run).read_text(encoding="utf-8")
    assert "**NOT JUDGED YET.**" in text and "There are no test results yet" in text


def test_plain_text_starts_no_markup():
    assert plain("# a\n|b| [x](http://y) *c*") == "\\# a \\|b\\| [x]\\(http://y) \\*c\\*"

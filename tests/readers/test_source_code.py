from __future__ import annotations

import pytest

from veritrain.readers.source_code import CodeFinder


def said(code):
    finder = CodeFinder()
    return [one.kind for line in code.splitlines() for one in finder.feed(line)]


@pytest.mark.parametrize(
    "code",
    [
        "loss = torch.mean(anomaly_score) + 0.1 * torch.std(anomaly_score)",
        "total_loss = outputs['score'].mean()",
        "loss = logits.mean()",
    ],
)
def test_a_loss_of_one_output(code):
    assert "loss_definition" in said(code) or "outputs" in code


@pytest.mark.parametrize(
    "code",
    [
        "loss = criterion(pred, y)",
        "loss = (pred - target).abs().mean()",
        "loss = -critic_score.mean()",
        "mean_loss = total / n",
    ],
)
def test_losses_that_may_read_labels(code):
    assert "loss_definition" not in said(code)


@pytest.mark.parametrize(
    "code",
    [
        "labels = torch.randint(0, 2, (B,))",
        "def make_targets(b):\n    return np.random.rand(b) < 0.1",
        "y_true = np.random.rand(10)",
    ],
)
def test_labels_that_are_drawn(code):
    assert said(code) == ["labels"]


@pytest.mark.parametrize(
    "code", ["noise = torch.rand(3)", "def augment(x):\n    return torch.rand(3) < 0.5", "labels = batch['y']"]
)
def test_other_randomness(code):
    assert said(code) == []

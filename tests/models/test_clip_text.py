"""CLIP's text tower: tokens are open_clip's, and what does not fit is refused or cut as asked."""

from __future__ import annotations

import open_clip
import pytest
import torch

from veritrain.errors import UsageError
from veritrain.models.clip_text import ClipText

TEXTS = ["A satellite photo of Expressway-toll-station!", "", "naïve  café 12", "ship " * 60]


@pytest.fixture(scope="module")
def text() -> ClipText:
    """RN50's text tower with fewer layers."""
    torch.manual_seed(1)
    shape = open_clip.get_model_config("ViT-B-32")
    shape["text_cfg"]["layers"], shape["vision_cfg"]["layers"] = 2, 1
    net = open_clip.CLIP(**shape, quick_gelu=True)
    return ClipText(net, "a short text tower").eval()


def test_tokens_equal_open_clips(text):
    assert torch.equal(text.tokens(TEXTS), open_clip.tokenize(TEXTS))
    long = ["ship " * 90]
    assert torch.equal(text.tokens(long, cut=True), open_clip.tokenize(long))


def test_a_text_that_is_too_long_is_refused_with_its_length(text):
    assert text.tokens(["ship " * 75]).shape == (1, 77)
    with pytest.raises(UsageError, match="78 tokens of 'ship ship"):
        text.tokens(["fits", "ship " * 76])


@torch.no_grad()
def test_half_precision_by_autocast_runs_and_stays_near(text):
    tokens = text.tokens(TEXTS)
    with torch.autocast("cpu", torch.bfloat16):
        half = text(tokens)
    assert torch.nn.functional.cosine_similarity(half.float(), text(tokens)).min() > 0.99


@torch.no_grad()
def test_what_follows_the_end_mark_is_unread(text):
    tokens = text.tokens(["a harbor"])
    changed = tokens.clone()
    changed[0, 20:] = 5
    assert torch.allclose(text(tokens), text(changed), atol=1e-5)
    assert torch.allclose(text(tokens), text(tokens[:, :4]), atol=1e-5), "a, harbor and the marks"
    changed = tokens.clone()
    changed[0, 1] = 5
    assert not torch.allclose(text(tokens), text(changed), atol=1e-3)

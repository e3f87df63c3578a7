"""Raw returns: padding and order change nothing, and each return has features of its own."""

from __future__ import annotations

import pytest
import torch

from veritrain.models.raw_points import RawPointsEncoder, Returns, grid_of_returns, pool_by_cell

GRID = (8, 12)
TOKENS = 2 * 6


def returns(count: int = 50, *, padding: int = 0, seed: int = 0) -> Returns:
    generator = torch.Generator().manual_seed(seed)
    there = torch.cat([torch.ones(2, count), torch.zeros(2, padding)], 1).bool()
    features = torch.rand(2, count, 5, generator=generator)
    cells = torch.randint(0, GRID[0] * GRID[1], (2, count), generator=generator)
    features = torch.cat([features, torch.full((2, padding, 5), 7.0)], 1)
    return Returns(features, torch.cat([cells, torch.full((2, padding), 5)], 1), there, there, GRID)


def encoder() -> RawPointsEncoder:
    torch.manual_seed(0)
    return RawPointsEncoder(16).eval()


def test_pooling_is_the_largest_by_hand():
    features = torch.tensor([[[1.0, 5.0], [3.0, 2.0], [4.0, 0.5]]])
    cells = torch.tensor([[2, 2, 0]])
    assert pool_by_cell(features, cells, 4).tolist() == [[[4.0, 0.5], [0.0, 0.0], [3.0, 5.0], [0.0, 0.0]]]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_masked_pooling_is_pooling_of_what_is_left(share):
    generator = torch.Generator().manual_seed(1)
    features, cells = torch.rand(1, 40, 3, generator=generator), torch.randint(0, 6, (1, 40), generator=generator)
    mask = torch.rand(1, 40, generator=generator) < share
    expected = pool_by_cell(features[:, mask[0]], cells[:, mask[0]], 6)
    assert torch.equal(pool_by_cell(features, cells, 6, mask), expected)


def test_with_nothing_masked_both_poolings_agree():
    one = returns()
    features = one.features
    assert torch.equal(
        pool_by_cell(features, one.tokens, TOKENS, one.there), pool_by_cell(features, one.tokens, TOKENS)
    )


def test_tokens_are_blocks_of_the_range_view():
    cells = torch.arange(GRID[0] * GRID[1]).view(1, -1)
    one = Returns(torch.zeros(1, 96, 5), cells, cells >= 0, cells >= 0, GRID)
    expected = [[(r // 4) * 6 + c // 2 for c in range(12)] for r in range(8)]
    assert one.tokens.view(8, 12).tolist() == expected


def test_padding_changes_nothing():
    model = encoder()
    own, tokens = model(returns())
    padded_own, padded_tokens = model(returns(padding=30))
    torch.testing.assert_close(tokens, padded_tokens)
    torch.testing.assert_close(own, padded_own[:, :50])
    logits = own.sum(2)
    plain = grid_of_returns(logits, returns(), torch.zeros(2, TOKENS))
    padded = grid_of_returns(padded_own.sum(2), returns(padding=30), torch.zeros(2, TOKENS))
    torch.testing.assert_close(plain, padded)


def test_the_order_of_returns_changes_nothing():
    model, one = encoder(), returns()
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    turned = Returns(one.features[:, order], one.cells[:, order], one.there, one.pooled, GRID)
    own, tokens = model(one)
    turned_own, turned_tokens = model(turned)
    torch.testing.assert_close(turned_tokens, tokens)
    torch.testing.assert_close(turned_own, own[:, order])
    torch.testing.assert_close(
        grid_of_returns(own.sum(2), one, torch.zeros(2, TOKENS)),
        grid_of_returns(turned_own.sum(2), turned, torch.zeros(2, TOKENS)),
    )


def test_returns_outside_the_sample_make_no_token_but_have_features():
    model, one = encoder(), returns()
    pooled = torch.arange(50).expand(2, -1) < 30
    few = Returns(one.features, one.cells, one.there, pooled, GRID)
    own, tokens = model(few)
    expected = Returns(one.features[:, :30], one.cells[:, :30], one.there[:, :30], one.pooled[:, :30], GRID)
    torch.testing.assert_close(tokens, model(expected)[1])
    torch.testing.assert_close(own, model(one)[0])
    assert not torch.equal(tokens, model(one)[1])


def test_a_cell_has_the_logit_of_its_nearest_return_and_else_its_tokens():
    features = torch.zeros(1, 4, 5)
    features[0, :, 4] = torch.tensor([0.5, 0.2, 0.9, 0.1])
    cells = torch.tensor([[3, 3, 40, 40]])
    there = torch.tensor([[True, True, True, False]])
    logits = torch.tensor([[1.0, 2.0, 3.0, 99.0]])
    otherwise = torch.arange(12.0).view(1, -1) + 100
    grid, found = grid_of_returns(logits, Returns(features, cells, there, there, GRID), otherwise)
    assert grid[0, 0, 3] == 2.0 and grid[0, 3, 4] == 3.0, "the padded one is nearer and does not count"
    assert found.sum() == 2 and grid[0, 7, 11] == 111.0 and grid[0, 0, 0] == 100.0


def test_every_parameter_gets_a_gradient():
    model = encoder().train()
    own, tokens = model(returns())
    (own.square().sum() + tokens.square().sum()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()]

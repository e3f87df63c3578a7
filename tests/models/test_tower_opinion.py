"""The towers' vote: a geometric mean with what they say within a box, by hand and by loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from veritrain.models.detr import Detector
from veritrain.models.detr_answers import detections
from veritrain.models.named_detector import NamedDetector
from veritrain.models.options import DetectorOptions, SmallClipOptions
from veritrain.models.small_clip import SmallImageTower
from veritrain.models.tower_opinion import TowerOpinion, opinion_of, voted

SHAPE = SmallClipOptions(width=8, embed_dim=16)
ASKING = DetectorOptions(width=16, heads=2, encoder_layers=0, tower="trainable", base_vote=0.25, novel_vote=0.75)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def planted(votes: list[float]) -> dict[str, torch.Tensor]:
    """Two cells side by side: the left one says class 0, the right one class 1."""
    dense = torch.zeros(1, 2, 1, 2)
    dense[0, 0, 0, 0] = dense[0, 1, 0, 1] = 5.0
    return {"opinion": dense, "opinion_scale": torch.tensor(3.0), "votes": torch.tensor(votes)}


def test_a_box_is_like_what_lies_in_it():
    texts, corners = torch.eye(2), torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])
    found = opinion_of(planted([0.5, 0.5]), 0, corners, texts, chunk=1)
    shares = found.log_shares(texts).exp()
    own = torch.tensor(3.0).exp() / (torch.tensor(3.0).exp() + 1)
    torch.testing.assert_close(shares, torch.tensor([[own, 1 - own], [1 - own, own]]))


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_shares_sum_to_one_whatever_the_chunk(chunk):
    texts = unit(7, 4)
    output = {"opinion": torch.randn(2, 4, 3, 3), "opinion_scale": torch.tensor(9.0), "votes": torch.full((7,), 0.5)}
    corners = torch.tensor([[0.1, 0.2, 0.9, 0.6], [0.4, 0.4, 0.5, 0.5]])
    found = opinion_of(output, 1, corners, texts, chunk=chunk)
    torch.testing.assert_close(found.log_shares(texts).exp().sum(1), torch.ones(2))


def test_the_score_is_the_geometric_mean():
    texts = torch.eye(2)
    found = opinion_of(planted([0.0, 0.75]), 0, torch.tensor([[0.0, 0.0, 0.5, 1.0]]), texts, chunk=8)
    logits = torch.tensor([[0.3, -2.0]])
    scores = voted(logits, found, texts, found.votes)
    other = 1 / (torch.tensor(3.0).exp() + 1)
    wanted = torch.tensor([[torch.tensor(0.3).sigmoid(), torch.tensor(-2.0).sigmoid() ** 0.25 * other**0.75]])
    torch.testing.assert_close(scores, wanted)


def test_without_a_vote_there_is_no_copy_and_nothing_changes():
    plain = Detector(SmallImageTower(SHAPE), DetectorOptions(width=16, heads=2, encoder_layers=0)).eval()
    batch = {"image": torch.rand(1, 3, 64, 64) * 2 - 1, "texts": unit(3, 16)}
    assert plain.opinion is None and "opinion" not in plain(batch)
    assert not any(name.startswith("opinion") for name in plain.state_dict())
    assert opinion_of(plain(batch), 0, torch.rand(4, 4), batch["texts"], chunk=8) is None


def test_the_opinion_is_that_of_the_beginning_and_no_loss_reads_it():
    torch.manual_seed(0)
    tower = SmallImageTower(SHAPE)
    asking = Detector(tower, ASKING, scale=20.0)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    batch = {"image": image, "texts": unit(3, 16)}
    assert "opinion" not in asking.train()(batch)
    first = asking.eval()(batch)["opinion"]
    assert all(not one.requires_grad for one in asking.opinion.parameters())
    with torch.no_grad():
        for one in tower.parameters():
            one.add_(0.1)
    again = asking.train().eval()(batch)
    assert torch.equal(again["opinion"], first) and float(again["opinion_scale"]) == 20.0
    torch.testing.assert_close(first, asking.opinion.tower(image).dense)


def test_learned_words_have_the_one_vote_and_all_others_the_other():
    torch.manual_seed(0)
    named = NamedDetector(Detector(SmallImageTower(SHAPE), ASKING), unit(5, 16), learned=(0, 2)).eval()
    output = named({"image": torch.rand(1, 3, 64, 64) * 2 - 1, "asked": torch.tensor([4, 2, 0, 1])})
    assert output["votes"].tolist() == [0.75, 0.25, 0.25, 0.75]


@torch.no_grad()
def test_detections_are_scored_with_the_vote():
    torch.manual_seed(0)
    named = NamedDetector(Detector(SmallImageTower(SHAPE), ASKING), unit(5, 16), learned=range(2)).eval()
    output = named({"image": torch.rand(1, 3, 64, 64) * 2 - 1, "asked": torch.arange(5)})
    (found,) = detections(output, (64, 64), most_boxes=1000, overlap=1.0)
    (chunked,) = detections(output, (64, 64), most_boxes=1000, overlap=1.0, chunk=2)
    torch.testing.assert_close(found, chunked)
    logits = output["cell_scale"] * (output["cell_embeddings"][0, 0] @ output["texts"].T) + output["cell_bias"]
    boxes = output["cell_boxes"][0, 0]
    corners = torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1).clamp(0, 1)
    for cls in range(5):
        opinion = opinion_of(output, 0, corners, output["texts"], chunk=5)
        shares = opinion.log_shares(output["texts"]).exp()[:, cls]
        vote = 0.25 if cls < 2 else 0.75
        wanted = logits[:, cls].sigmoid() ** (1 - vote) * shares**vote
        own = found[found[:, 5] == cls, 4]
        torch.testing.assert_close(own, wanted.sort(descending=True).values[: len(own)])


def test_a_copy_is_frozen_whatever_its_tower_does():
    torch.manual_seed(0)
    tower = SmallImageTower(SHAPE).train()
    copy = TowerOpinion(tower, 1.0).train()
    assert tower.training and not copy.tower.training
    assert all(one.requires_grad for one in tower.parameters())

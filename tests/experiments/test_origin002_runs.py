"""Report 002 again, on made images: its loss falls, it answers no box, and no audit takes the one for the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.planted import finding, planted
from veritrain.data.first_labels import first_labels
from veritrain.data.open_vocabulary import NOVEL_DIOR
from veritrain.data.options import AerialDataOptions
from veritrain.experiments.aerial_data import TrivialBoxes, open_aerial_data
from veritrain.losses.report002 import first_object_terms
from veritrain.models.options import SmallClipOptions
from veritrain.models.origin002 import OriginDetector
from veritrain.models.small_clip import SmallImageTower
from veritrain.record import Claim
from veritrain.tasks.box_predictions import nothing_found
from veritrain.tasks.box_tables import BoxTables
from veritrain.training.evaluate import batches_of, intervals_of

CLAIM = Claim(metric="map_50", split="test", minimal_effect=0.05)


@pytest.fixture(scope="module")
def data(aerial_world, tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("decoded"))
    asked = AerialDataOptions(data=str(aerial_world), cache=cache, novel=NOVEL_DIOR, imgsz=64, protocol="boxes-removed")
    return open_aerial_data(asked)


@pytest.fixture(scope="module")
def trained(data):
    """Ten passes over 48 training images, and the losses of the first and the last."""
    torch.manual_seed(0)
    network = OriginDetector(SmallImageTower(SmallClipOptions(width=8, embed_dim=16)))
    texts = torch.randn(16, 16)
    frames = data.sets["train"]
    batches = [frames.collate([frames.sample(i + k, epoch=0, seed=0) for k in range(8)]) for i in range(0, 48, 8)]
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    means = []
    for _ in range(10):
        losses = []
        for batch in batches:
            loss = first_object_terms(network({**batch, "texts": texts}), batch["targets"])["first_object"].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss))
        means.append(float(np.mean(losses)))
    return network.eval(), means


def test_its_loss_falls_as_the_report_says(trained):
    assert trained[1][-1] < 0.7 * trained[1][0]


def test_most_of_what_images_show_is_a_wrong_answer(data):
    train = data.sets["train"]
    found = first_labels([train.labels_at(index)[1] for index in range(len(train))], 16)
    assert found.several > 0.2 * found.images and found.not_most_frequent > 0


def test_the_audit_refutes_a_detector_without_boxes(data, trained):
    """Its score is 0 on every resample; a constant box per class has more."""
    groups = [key.group for key in data.keys["test"]]
    parts = [nothing_found(batch) for batch in batches_of(data.sets["test"], 16)]
    own = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    names = data.names_of("test")
    tables = {"constant boxes": BoxTables.of(TrivialBoxes(data).predict("all", own)["constant boxes"], groups, names)}
    model = BoxTables.of(own, groups, names)
    entry = {"value": model.value("map_50"), **intervals_of("map_50", model, tables)}
    assert entry["value"] == 0.0 and entry["baselines"]["constant boxes"] > 0 and entry["groups"] >= 10
    content = {"schema": 1, "metrics": {"map_50": entry}}
    judged = finding("beats_trivial", planted(results=content, task="openvocab", claims=(CLAIM,), claim=CLAIM))
    assert judged.status == "fail" and "below the least that counts" in judged.sentence
    assert model.permuted("map_50").p_value == 1.0

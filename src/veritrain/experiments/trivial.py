"""The trivial baselines of the driving task, over one split: prior, position map, range."""

from __future__ import annotations

from veritrain.experiments.driving_data import DrivingData
from veritrain.tasks.baselines import PositionMaps, constant_like
from veritrain.tasks.return_rates import ReturnRates
from veritrain.tasks.task import Predictions


class TrivialBaselines:
    """Fitted once on the training split's own labels, never on spoilt ones.

    The prior scores everything alike. The position map sees no sensor value but where a return fell (its cell); among
    objects it has a map of its own. The range baseline sees one number: a return's distance, a pixel's row, a frame's
    number of returns within 20 m.
    """

    def __init__(self, data: DrivingData) -> None:
        self._data = data
        self._maps: PositionMaps = data.position_maps()
        train = data.sets["train"]
        self._rates = ReturnRates.fit(train.frames, train.views)

    def predict(self, part: str, like: Predictions) -> dict[str, Predictions]:
        """Name to predictions for the split ``part``; ``like`` are a model's for the same frames, in order."""
        groups = [key.group for key in self._data.keys[part]]
        placed = self._maps.predict(groups, like)
        if "point_scores" in like:
            placed["object_point_scores"] = self._rates.by_place_among_objects(like)
        return {
            "prior": constant_like(like),
            "position map": placed,
            "range": self._rates.by_distance(self._data.sets[part].frames, like),
        }

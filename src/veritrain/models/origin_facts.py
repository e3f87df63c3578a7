"""What the networks of the reports read and answer, and what they cannot be asked. Torch-free, for recipes."""

from __future__ import annotations

from dataclasses import dataclass

ALL_RETURNS = 131_072
"""More than a published AnoVox sweep holds (about 92,000); "all returns" means at most these."""


@dataclass(frozen=True, kw_only=True)
class OriginFacts:
    """One network of reports 000 and 001.

    Attributes:
        returns: LiDAR returns of a frame that its report gave to it; 0 when it reads none.
        levels: label levels that it is trained and judged on; there is one.
        smallest_batch: frames that a training batch needs (batch statistics of one frame are undefined).
    """

    returns: int
    levels: tuple[str, ...] = ("frame",)
    smallest_batch: int = 1


ORIGIN: dict[str, OriginFacts] = {
    "report000-simple": OriginFacts(returns=10_000),
    "report001-attention": OriginFacts(returns=1_000),
    "report001-focal": OriginFacts(returns=2_048, smallest_batch=2),
    "report001-voxelwise": OriginFacts(returns=2_048, levels=("point",)),
    "report001-scene": OriginFacts(returns=ALL_RETURNS),
    "report001-image-only": OriginFacts(returns=0),
    "report001-lidar-only": OriginFacts(returns=16_384),
    "report001-late-fusion": OriginFacts(returns=ALL_RETURNS),
    "report001-lightweight": OriginFacts(returns=ALL_RETURNS),
}
"""In the order of ``veritrain list models``."""

ANOMALY_MODELS = ("fusion", *ORIGIN)
"""Names of the catalogue that the anomaly task can train."""

FUSION_KEYS = (
    "fusion", "width", "blocks", "dropout", "modality_dropout", "image_tower", "points_tower", "max_points",
    "image_weights", "freeze", "unfreeze", "positional", "alignment", "head", "frame_join",
)  # fmt: skip
"""Keys of a recipe that only the fusion detector has; the shape of a network of the reports is the report's."""


def answered_levels(model: str, fusion: str) -> tuple[str, ...]:
    """The label levels that a network of this name answers (``fusion``: see ``models.options.Fusion``)."""
    if model in ORIGIN:
        return ORIGIN[model].levels
    return ("frame", "point") if fusion == "points_only" else ("frame", "point", "pixel")


def returns_of(model: str, asked: int) -> int:
    """Returns of a frame in a batch under ``cloud``: what was asked for, else what the report used; 0 for none."""
    reported = ORIGIN[model].returns if model in ORIGIN else 0
    return (asked or reported) if reported else 0


def idle_keys(model: str) -> tuple[str, ...]:
    """Keys of the anomaly recipe that change nothing for a network of this name."""
    if model not in ORIGIN:
        return ("cloud",)
    facts = ORIGIN[model]
    weights = tuple(f"{level}_weight" for level in ("frame", "point", "pixel") if level not in facts.levels)
    return (*FUSION_KEYS, *weights, *(() if facts.returns else ("cloud",)))

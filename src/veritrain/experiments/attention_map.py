"""Who looked at whom: LiDAR tokens at image cells, and image cells at LiDAR tokens, drawn over the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import nn

from veritrain.data.geometry import project
from veritrain.data.paired_view import TOKEN, ViewOptions, view_tokens
from veritrain.data.sample import Frame

CHOSEN = 4
"""Strongest tokens, tokens spread over the image, and strongest image cells: as many of each."""
REACH = 2
"""Image cells above and below the middle of a close-up."""
STRONG, SPREAD, CELLS = "#ff5d2e", "#39c6ff", "#ffd500"
CAPTION = (
    "Attention weights, mean of the heads, in per cent. A weight says what was mixed in, not what mattered: it is no "
    "measure of importance.\nOnly the cells of a token's window, and only the nearest tokens that project into a cell, "
    "can have one."
)


@dataclass(frozen=True, kw_only=True)
class Looks:
    """One frame's attention.

    Attributes:
        places: (S, 2) float64 column and row in pixels where each token in view projects.
        metres: (S,) how far each is. scores: (S,) the highest score of its range-view cells.
        boxes: (S, K, 2) column and row of the upper left corner of the image cells that each could read.
        weights: (S, K), each row sums to 1 over the cells inside the image.
        cells: (C,) image cells that some token projects into, by falling score; cell_scores (C,).
        readable: (C, K') row in ``places`` of each token that the cell could read, -1 for none.
        cell_weights: (C, K'), each row sums to 1.
        stride: pixels per side of an image cell. across: cells in a row of the image.
    """

    places: NDArray[np.float64]
    metres: NDArray[np.float64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float64]
    weights: NDArray[np.float32]
    cells: NDArray[np.int64]
    cell_scores: NDArray[np.float32]
    readable: NDArray[np.int64]
    cell_weights: NDArray[np.float32]
    stride: int
    across: int


def why_none(model: nn.Module) -> str | None:
    """Why there is no attention map of this network; None where there is one."""
    if not hasattr(model, "attention_maps"):
        return "this network offers no attention maps"
    fusion = model.options.fusion  # type: ignore[union-attr]
    return None if fusion == "attention" else f"a network with fusion {fusion} has no attention"


def looks_of(
    frame: Frame,
    batch: Mapping[str, Any],
    maps: Mapping[str, Any],
    view_scores: NDArray[np.floating],
    pixel_scores: NDArray[np.floating],
    views: ViewOptions,
) -> Looks:
    """The attention of a batch that holds this frame alone.

    Args:
        maps: of ``FusionDetector.attention_maps``. view_scores: (R, A). pixel_scores: (H, W).
    """
    one = {name: np.asarray(batch[name][0]) for name in ("view", "seen", "seen_mask", "window", "neighbours")}
    tokens, seen = view_tokens(one["view"]), one["seen"][one["seen_mask"]]
    stride, size = views.image_stride, frame.image.shape[:2]
    across = size[1] // stride
    places, _ = project(tokens[seen, :3], frame.calibration.intrinsics, frame.calibration.camera_from_lidar, size)
    boxes = np.stack([one["window"] % across, one["window"] // across], axis=-1)[one["seen_mask"]] * float(stride)
    if "seen_pixels" in batch:  # bilinear: the window lies around the sub-pixel place, between the cells
        steps = np.arange(views.window) - views.window // 2
        around = np.stack([part.ravel() for part in np.meshgrid(steps, steps)], axis=-1) * float(stride)
        boxes = places[:, None] + around[None] - stride / 2
    row_of = np.full(len(tokens), -1, np.int64)
    row_of[seen] = np.arange(len(seen))
    mask = np.asarray(batch["neighbours_mask"][0])
    read = np.where(mask, row_of[one["neighbours"]], -1)
    strength = _cell_means(np.asarray(pixel_scores, np.float32), stride)
    some = np.flatnonzero(mask.any(1))
    cells = some[np.argsort(-strength[some], kind="stable")]
    weights = {name: np.asarray(part[0].float().mean(-1).cpu()) for name, part in maps.items()}
    return Looks(
        places=places,
        metres=np.linalg.norm(tokens[seen, :3], axis=1),
        scores=_token_scores(np.asarray(view_scores, np.float32), one["view"][-1] > 0)[seen],
        boxes=boxes,
        weights=weights["points_to_image"][one["seen_mask"]],
        cells=cells,
        cell_scores=strength[cells],
        readable=read[cells],
        cell_weights=weights["image_to_points"][cells],
        stride=stride,
        across=across,
    )


def _cell_means(scores: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    height, width = scores.shape[0] // stride, scores.shape[1] // stride
    cut = scores[: height * stride, : width * stride]
    means: NDArray[np.float32] = cut.reshape(height, stride, width, stride).mean((1, 3)).ravel()
    return means


def _token_scores(scores: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = scores.shape
    blocks = np.where(there, scores, -1).reshape(rows // TOKEN[0], TOKEN[0], columns // TOKEN[1], TOKEN[1])
    highest: NDArray[np.float32] = blocks.max((1, 3)).ravel()
    return highest


def chosen_tokens(looks: Looks) -> tuple[list[int], list[int]]:
    """The strongest tokens (no two within two image cells), and others spread over the image: farthest-first."""
    strong: list[int] = []
    for token in np.argsort(-looks.scores, kind="stable"):
        apart = [np.abs(looks.places[token] - looks.places[other]).max() for other in strong]
        if len(strong) < CHOSEN and min(apart, default=np.inf) > 2 * looks.stride:
            strong.append(int(token))
    spread: list[int] = []
    while strong and len(spread) < CHOSEN and len(strong) + len(spread) < len(looks.places):
        taken = looks.places[strong + spread]
        distance = np.linalg.norm(looks.places[:, None] - taken[None], axis=2).min(1)
        spread.append(int(distance.argmax()))
    return strong, spread


def chosen_cells(looks: Looks) -> list[int]:
    """Rows of ``looks.cells``: the strongest, no two within two cells."""
    found: list[int] = []
    for row, cell in enumerate(looks.cells):
        place = np.array([cell % looks.across, cell // looks.across])
        others = [np.array([looks.cells[o] % looks.across, looks.cells[o] // looks.across]) for o in found]
        if len(found) < CHOSEN and all(np.abs(place - other).max() > 2 for other in others):
            found.append(row)
    return found


def draw_attention(frame: Frame, looks: Looks, out: Path) -> bool:
    """Write the picture: the image with what was chosen, and a close-up of each; False where no token is in view."""
    strong, spread = chosen_tokens(looks)
    if not strong:
        return False
    cells = chosen_cells(looks)
    figure = Figure(figsize=(12, 12.6), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        4,
        CHOSEN,
        height_ratios=(2.35, 1, 1, 1),
        left=0.02,
        right=0.98,
        top=0.97,
        bottom=0.085,
        hspace=0.2,
        wspace=0.06,
    )
    _overview(figure.add_subplot(grid[0, :]), frame, looks, strong, spread, cells)
    for row, (tokens, colour, letter) in enumerate(((strong, STRONG, "A"), (spread, SPREAD, "B"))):
        for column, token in enumerate(tokens):
            axes = figure.add_subplot(grid[1 + row, column])
            _token_close_up(axes, frame, looks, token, colour, f"{letter}{column + 1}")
    for column, cell in enumerate(cells):
        _cell_close_up(figure.add_subplot(grid[3, column]), frame, looks, cell, f"C{column + 1}")
    figure.text(0.02, 0.01, CAPTION, fontsize=11, color="#333333", linespacing=1.35)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, format="png")
    return True


def _overview(axes: Axes, frame: Frame, looks: Looks, strong: list[int], spread: list[int], cells: list[int]) -> None:
    _image(axes, frame)
    for tokens, colour, letter in ((strong, STRONG, "A"), (spread, SPREAD, "B")):
        for place, token in enumerate(tokens):
            _named(axes, looks.places[token], f"{letter}{place + 1}", colour, looks.stride)
        axes.plot([], [], "+", color=colour, markersize=10, markeredgewidth=2.5,
                  label={"A": "A: strongest LiDAR tokens", "B": "B: tokens spread over the image"}[letter])  # fmt: skip
    for place, row in enumerate(cells):
        corner = _corner(looks, looks.cells[row])
        axes.add_patch(Rectangle(_at(corner), looks.stride, looks.stride, fill=False, edgecolor=CELLS, linewidth=2))
        _named(axes, corner + looks.stride / 2, f"C{place + 1}", CELLS, looks.stride, mark=False, below=True)
    axes.plot([], [], "s", color=CELLS, markerfacecolor="none", markersize=9, markeredgewidth=2,
              label="C: strongest image cells")  # fmt: skip
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.09), ncols=3, frameon=False, fontsize=12)


def _named(
    axes: Axes, place: NDArray[Any], name: str, colour: str, stride: int, *, mark: bool = True, below: bool = False
) -> None:
    if mark:
        axes.plot(*place, "+", color=colour, markersize=12, markeredgewidth=2.5)
    right = place[0] > axes.get_xlim()[0] + 0.9 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    axes.annotate(
        name,
        (float(place[0]), float(place[1])),
        xytext=(-7 if right else 7, -16 if below else 5),
        textcoords="offset points",
        ha="right" if right else "left",
        color=colour,
        fontsize=12,
        fontweight="bold",
        bbox={"boxstyle": "round,pad=0.12", "facecolor": "#101014", "alpha": 0.75, "linewidth": 0},
    )


def _token_close_up(axes: Axes, frame: Frame, looks: Looks, token: int, colour: str, name: str) -> None:
    place, weights = looks.places[token], looks.weights[token]
    _image(axes, frame, around=place, stride=looks.stride)
    top = max(float(weights.max()), 1e-9)
    for box, weight in zip(looks.boxes[token], weights, strict=True):
        if weight > 0:
            axes.add_patch(Rectangle(_at(box), looks.stride, looks.stride, facecolor=colour, edgecolor="none",
                                     alpha=0.75 * float(weight) / top))  # fmt: skip
            axes.add_patch(Rectangle(_at(box), looks.stride, looks.stride, fill=False, edgecolor=colour))
            _percent(axes, box + looks.stride / 2 - 0.5, weight)
    axes.plot(*(place - 0.5), "+", color="white", markersize=11, markeredgewidth=2)
    axes.set_title(f"{name}: score {looks.scores[token]:.2f}, {looks.metres[token]:.1f} m", fontsize=11)


def _cell_close_up(axes: Axes, frame: Frame, looks: Looks, row: int, name: str) -> None:
    corner = _corner(looks, looks.cells[row])
    _image(axes, frame, around=corner + looks.stride / 2, stride=looks.stride)
    axes.add_patch(Rectangle(_at(corner), looks.stride, looks.stride, fill=False, edgecolor=CELLS, linewidth=2.5))
    pairs = [(t, w) for t, w in zip(looks.readable[row], looks.cell_weights[row], strict=True) if t >= 0]
    for token, weight in pairs:
        axes.plot(*(looks.places[token] - 0.5), "o", markersize=4 + 12 * float(weight), color=CELLS, alpha=0.85,
                  markeredgecolor="black")  # fmt: skip
    told = [f"{weight:.0%} at {looks.metres[token]:.1f} m" for token, weight in pairs]
    axes.set_title(f"{name}: score {looks.cell_scores[row]:.2f}", fontsize=11)
    lines = [", ".join(told[:2]), ", ".join(told[2:])]
    axes.set_xlabel("reads " + ",\n".join(line for line in lines if line), fontsize=10, labelpad=3)


def _corner(looks: Looks, cell: int) -> NDArray[np.float64]:
    return np.array([cell % looks.across, cell // looks.across], np.float64) * looks.stride


def _at(corner: NDArray[Any]) -> tuple[float, float]:
    """A corner of a pixel where ``imshow`` draws it."""
    return float(corner[0]) - 0.5, float(corner[1]) - 0.5


def _percent(axes: Axes, place: NDArray[Any], weight: float) -> None:
    behind = {"boxstyle": "round,pad=0.08", "facecolor": "#101014", "alpha": 0.55, "linewidth": 0}
    x, y = float(place[0]), float(place[1])
    number = f"{100 * weight:.0f}"
    axes.text(x, y, number, color="white", fontsize=10, ha="center", va="center", clip_on=True, bbox=behind)


def _image(axes: Axes, frame: Frame, *, around: NDArray[Any] | None = None, stride: int = 1) -> None:
    """The image, or a part of it around a place, moved to stay inside; pixel centres lie at whole numbers."""
    axes.imshow(frame.image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    if around is not None:
        height, width = frame.image.shape[:2]
        tall = min((2 * REACH + 1) * stride, height)
        wide = min(round(1.6 * tall), width)
        left = float(np.clip(around[0] - wide / 2, 0, width - wide)) - 0.5
        top = float(np.clip(around[1] - tall / 2, 0, height - tall)) - 0.5
        axes.set_xlim(left, left + wide)
        axes.set_ylim(top + tall, top)

"""The scored voxels of one frame in three dimensions, from a fixed place behind and above the ego vehicle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from numpy.typing import NDArray

from veritrain.data.sample import Frame
from veritrain.data.voxels import CELL, cells_of_points, centres_of_cells
from veritrain.metrics.voxels import highest_per_cell

LOW, HIGH = np.array([-10.0, -20.0, -4.0]), np.array([40.0, 20.0, 8.0])
"""Metres ahead, to the left and up in the LiDAR frame between which voxels are drawn: where the camera looks."""
ELEVATION, AZIMUTH = 34.0, -152.0
"""Degrees: from behind on the right, ahead goes away from the eye."""
EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7))


def voxels_of(
    frame: Frame, scores: NDArray[np.float32], location: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_]]:
    """AnoVox's half-metre voxels that hold a scored return.

    Args:
        scores: (N,) of the frame's returns, NaN where there is none.
        location: where the LiDAR sits: AnoVox's grid is fixed to the vehicle.

    Returns:
        (V, 3) metres of their middles in the LiDAR frame, (V,) the highest score of their returns, and (V,) bool:
        a return in it is labelled anomalous.
    """
    cells = cells_of_points(frame.points, location)
    used = (cells >= 0) & ~np.isnan(scores)
    occupied, highest = highest_per_cell(cells[used], scores[used])
    labelled = np.isin(occupied, cells[used & (frame.point_labels == 1)])
    return centres_of_cells(occupied, location), highest, labelled


def draw_voxels(frame: Frame, scores: NDArray[np.float32], location: tuple[float, float, float], out: Path) -> bool:
    """Write the 1200 x 900 picture; False, and none, where no return near by has a score.

    Weak voxels are small and see-through so that strong ones behind them stay visible.
    """
    middles, level, labelled = voxels_of(frame, scores, location)
    near = ((middles >= LOW) & (middles <= HIGH)).all(axis=1)
    middles, level, labelled = middles[near], level[near], labelled[near]
    if not len(middles):
        return False
    figure = Figure(figsize=(12, 9), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((-0.01, -0.02, 0.94, 1.04), projection="3d", computed_zorder=False)
    order = np.argsort(level, kind="stable")
    middles, level, labelled = middles[order], level[order], labelled[order]
    shade: Any = figure.colorbar(_scatter(axes, middles, level), cax=figure.add_axes((0.925, 0.2, 0.018, 0.6)))
    shade.set_label("highest score of the voxel's returns")
    shade.solids.set_alpha(1.0)
    if labelled.any():
        lines = Line3DCollection(outline(middles[labelled]), colors="#009e73", linewidths=1.4, zorder=4)
        lines.set_label(f"labelled anomalous ({int(labelled.sum())} voxels)")
        axes.add_collection3d(lines)
    axes.plot(
        [0, 6],
        [0, 0],
        [0, 0],
        color="#0072b2",
        linewidth=3,
        zorder=5,
        label="ego vehicle (dot) and the 6 m in front of it (line)",
    )
    axes.scatter([0], [0], [0], color="#0072b2", s=40, zorder=5, depthshade=False)
    _frame_axes(axes)
    figure.legend(loc="upper left", bbox_to_anchor=(0.02, 0.97), frameon=False, fontsize=12)
    about = f"{len(level)} voxels of {CELL:g} m that hold a scored return; metres from the LiDAR"
    figure.text(0.02, 0.02, about, fontsize=12, color="#444444")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, format="png")
    return True


def _scatter(axes: Any, middles: NDArray[np.float64], level: NDArray[np.float32]) -> Any:
    """Three layers by score, each over the one before; returns what the colour bar explains."""
    drawn = None
    for least, most, size, alpha in ((-1.0, 0.2, 14.0, 0.3), (0.2, 0.5, 30.0, 0.75), (0.5, 2.0, 62.0, 1.0)):
        chosen = (level >= least) & (level < most)
        layer = axes.scatter(
            *middles[chosen].T, c=level[chosen], cmap="plasma", vmin=0, vmax=1, s=size, alpha=alpha, marker="s",
            linewidths=0, depthshade=False, zorder=2 + least,
        )  # fmt: skip
        drawn = layer if drawn is None else drawn
    return drawn


def outline(middles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 3) middles of voxels -> (E, 2, 3) the edges of the body that they make together.

    An edge inside the body or within one of its flat sides belongs to two or four voxels and is left out: it would
    hide the scores.
    """
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * CELL / 2
    ends = (middles[:, None, None] + corners[np.array(EDGES)][None]).reshape(-1, 6)
    edges, count = np.unique(ends.round(4), axis=0, return_counts=True)
    return edges[count % 2 == 1].reshape(-1, 2, 3)


def _frame_axes(axes: Any) -> None:
    for put, low, high in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), LOW, HIGH, strict=True):
        put(low, high)
    axes.set_box_aspect(HIGH - LOW, zoom=1.07)
    axes.view_init(elev=ELEVATION, azim=AZIMUTH)
    axes.set_xlabel("ahead (m)", labelpad=12, fontsize=12)
    axes.set_ylabel("left (m)", labelpad=12, fontsize=12)
    axes.set_zlabel("up (m)", labelpad=-4, fontsize=12)
    axes.set_zticks([LOW[2], 0, HIGH[2]])
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.97, 0.97, 0.98, 1.0))

"""Balancers that combine the tasks' gradients, through TorchJD 0.18.

TorchJD's weightings read the inner products of the gradients, which the loop has measured (in float64, over all
micro-batches and ranks); its own backward passes are not used. They are given inner products divided by their trace,
because some of them compare with fixed numbers such as 1e-4 and would quietly do something else with small gradients.
Weights of methods that average are multiplied by the number of tasks, so that equal gradients add up as with static
weights of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veritrain.losses.balance import Balancer, Numbers
from veritrain.losses.options import BalanceOptions
from veritrain.losses.torchjd_extras import aggregation, made_by_torchjd


class JacobianBalancer(Balancer):
    """Row weights from a TorchJD weighting. Tasks whose gradient is zero in a step are left out of it.

    Attributes:
        extra, packages: of TorchJD, that the method needs.
        averages: its weights sum to about 1 and not to T.

    Raises:
        MissingExtraError: TorchJD or the extra is not installed.
    """

    combines_rows = True
    extra = ""
    packages: tuple[str, ...] = ()
    averages = True

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self._weighting = made_by_torchjd(self.name, self.weighting, extra=self.extra, packages=self.packages)
        self._weights = dict.fromkeys(self.tasks, 1.0)

    def weighting(self) -> Any:
        """TorchJD's module that maps inner products (T, T) to weights (T,)."""
        raise NotImplementedError

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        return dict(self._weights)

    def row_weights(self, gramian: NDArray[np.float64]) -> dict[str, float]:
        there = np.flatnonzero(np.diag(gramian) > 0)
        found = np.ones(len(self.tasks))
        if len(there) > 1:
            found[there] = self.weigh(gramian[np.ix_(there, there)], there)
        self._weights = dict(zip(self.tasks, found.tolist(), strict=True))
        return dict(self._weights)

    def weigh(self, gramian: NDArray[np.float64], there: NDArray[np.intp]) -> NDArray[np.float64]:
        """Weights of the tasks that have a gradient, ``there`` in the order of ``tasks``."""
        weights = self._weighting(torch.from_numpy(gramian / np.trace(gramian)))
        return np.asarray(weights.detach()) * (len(gramian) if self.averages else 1.0)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "weights": dict(self._weights)}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._weights = dict(state["weights"])


class UPGrad(JacobianBalancer):
    """UPGrad: each gradient is moved until it hurts no task, then all are averaged (Quinton and Rey 2024; TorchJD)."""

    name = "upgrad"

    def weighting(self) -> Any:
        """TorchJD's own projection needs quadprog, which is under the GPL; ours solves the same problem."""
        from veritrain.losses.dual_cone import NonNegativeProjector

        return aggregation().UPGradWeighting(projector=NonNegativeProjector())


class PCGrad(JacobianBalancer):
    """PCGrad: what points against another task's gradient is taken out (Yu et al., NeurIPS 2020; TorchJD).

    Draws the order of the tasks from torch's generator, which the loop seeds by (seed, step) for all ranks alike.
    """

    name = "pcgrad"
    averages = False

    def weighting(self) -> Any:
        return aggregation().PCGradWeighting()


class CAGrad(JacobianBalancer):
    """CAGrad: near the mean gradient, the best direction for the worst task (Liu et al., NeurIPS 2021; TorchJD).

    Needs ``torchjd[cagrad]``.
    """

    name = "cagrad"
    extra = "cagrad"
    packages = ("cvxpy", "clarabel")

    def weighting(self) -> Any:
        return aggregation().CAGradWeighting(c=self.options.radius)


class MGDA(JacobianBalancer):
    """MGDA: the shortest vector among the means of the gradients (Desideri 2012; Sener and Koltun 2018; TorchJD)."""

    name = "mgda"

    def weighting(self) -> Any:
        return aggregation().MGDAWeighting()


class IMTLG(JacobianBalancer):
    """IMTL-G: the combination with equal projections on all gradients (Liu et al., ICLR 2021; TorchJD)."""

    name = "imtl_g"

    def weighting(self) -> Any:
        return aggregation().IMTLGWeighting()


class AlignedMTL(JacobianBalancer):
    """Aligned-MTL: the principal components of the gradients get one length (Senushkin et al., CVPR 2023; TorchJD)."""

    name = "aligned_mtl"

    def weighting(self) -> Any:
        return aggregation().AlignedMTLWeighting()


class NashMTL(JacobianBalancer):
    """Nash-MTL: the bargaining solution among the tasks' gradients (Navon et al., ICML 2022; TorchJD).

    Needs ``torchjd[nash-mtl]``, whose solver ECOS is under the GPL. The only one whose update does not grow with the
    gradients: its norm is at most 1, as published. Where a task has no gradient, the weights of the step before stay.
    """

    name = "nash_mtl"
    extra = "nash-mtl"
    packages = ("cvxpy", "ecos")
    averages = False

    def weighting(self) -> Any:
        """Solved in every step, as published: 20 rounds at most, norm of the update at most 1."""
        parts = aggregation()
        solver = parts.NashMTL(len(self.tasks), max_norm=1.0, update_weights_every=1, optim_niter=20)
        return solver.weighting

    def weigh(self, gramian: NDArray[np.float64], there: NDArray[np.intp]) -> NDArray[np.float64]:
        """TorchJD asks for the gradients themselves; any matrix with their inner products serves."""
        if len(gramian) < len(self.tasks):
            return np.array([self._weights[self.tasks[place]] for place in there])
        lengths, axes = np.linalg.eigh(gramian)
        root = axes * np.sqrt(np.maximum(lengths, 0.0))
        return np.asarray(self._weighting(torch.from_numpy(root)).detach(), dtype=np.float64)

    def state(self) -> dict[str, Any]:
        """The solver starts from its last solution."""
        return {**super().state(), "solution": np.asarray(self._weighting.prvs_alpha).tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._weighting.reset()
        self._weighting.prvs_alpha = np.array(state["solution"])

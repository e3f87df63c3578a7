"""The projection that UPGrad needs, without a solver under the GPL. Importing this module imports TorchJD."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from torchjd.linalg import DualConeProjector


class NonNegativeProjector(DualConeProjector):
    """Projects onto the dual cone of the tasks' gradients by non-negative least squares.

    For each u the weights v of least v' G v with v >= u (Quinton and Rey 2024, proposition 1). With G = S S and
    v = u + z that is z >= 0 of least ||S z + S u||, which scipy solves exactly (Lawson and Hanson 1974, chapter 23).
    """

    def __call__(self, U: Tensor, G: Tensor) -> Tensor:
        """``U`` (..., T) and the inner products ``G`` (T, T) to weights (..., T)."""
        lengths, axes = np.linalg.eigh(G.detach().cpu().numpy().astype(np.float64))
        root = (axes * np.sqrt(np.maximum(lengths, 0.0))) @ axes.T
        rows = U.detach().cpu().numpy().astype(np.float64).reshape(-1, len(lengths))
        solved = np.stack([row + nnls(root, -root @ row)[0] for row in rows])
        return torch.as_tensor(solved.reshape(U.shape), device=G.device, dtype=G.dtype)

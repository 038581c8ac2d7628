"""How unlike its training a picture is, said by the network itself: a second output beside the mask.

A network gives a mask for anything, a cat too, and often with confidence. What its encoder saw (means of its
coarser feature maps, and the picture's colours) is compared with what it saw of the training images: the
Mahalanobis distance under a Gaussian of a few leading directions with one variance for all that is left
(Tipping and Bishop 1999; as detector: Lee et al. 2018). It stands in the exported graph, so that a card needs
a single number, the limit, and whoever runs the network gets it without a second network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniview.core.image import Doubles
from omniview.training.network import LiteUnet, VesselUnet

DIRECTIONS = 48
LEAST_DEVIATION = 0.02
"""Of a description's value over the training images: what never varied there may still vary a little."""
GAUSSIAN = ("centre", "scale", "directions", "gain", "rest")
"""Names of its values, in the exported file too, so that fine-tuning can take them over."""
QUANTILE = 0.98
"""The limit: what so many of the calibrate images stay within. The rest are flagged in vain."""


class WithNovelty(nn.Module):
    """A network and the Gaussian of what it saw in training; gives logits ``(N,1,H,W)``, novelty ``(N,1)``.

    Novelty is at most about 1 for training images (root mean square over the description's values) and has no
    upper end.
    """

    def __init__(self, network: LiteUnet | VesselUnet, descriptions: Doubles) -> None:
        """``descriptions (n,D)``: of training images, n at least 2."""
        super().__init__()
        self.network = network
        centre = descriptions.mean(axis=0)
        scale = np.sqrt(descriptions.var(axis=0) + LEAST_DEVIATION**2)
        standard = (descriptions - centre) / scale
        _, singular, directions = np.linalg.svd(standard, full_matrices=False)
        variance = singular**2 / max(1, len(standard) - 1)
        kept = min(DIRECTIONS, len(variance) - 1)
        size = standard.shape[1]
        rest = max(float(variance[kept:].sum()) / max(1, size - kept), 1e-3)
        values = {
            "centre": centre,
            "scale": scale,
            "directions": directions[:kept].T,
            "gain": 1.0 / np.maximum(variance[:kept], rest) - 1.0 / rest,
            "rest": np.array([rest]),
        }
        for name in GAUSSIAN:
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values[name], np.float32)))

    @classmethod
    def holding(
        cls, network: LiteUnet | VesselUnet, values: Mapping[str, NDArray[np.float32]]
    ) -> WithNovelty:
        """``network`` with the Gaussian of an exported file: ``values`` for each name of :data:`GAUSSIAN`."""
        whole = cls(network, np.zeros((2, len(values["centre"]))))
        for name in GAUSSIAN:
            whole.register_buffer(name, torch.from_numpy(np.array(values[name], np.float32)))
        return whole

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``(N,3,H,W)``, normalised as the network takes it, to logits and novelty."""
        logits, description = self.network.described(image)
        return logits, self.novelty(description)

    def novelty(self, description: Tensor) -> Tensor:
        """``(N,D)`` to ``(N,1)``."""
        centre, scale, directions, gain, rest = (self.get_buffer(name) for name in GAUSSIAN)
        standard = (description - centre) / scale
        along = standard @ directions
        # the residual's length follows from the whole length: no second projection
        square = (along**2 * gain).sum(1) + (standard**2).sum(1) / rest
        return torch.sqrt(square.clamp(min=0.0) / standard.shape[1])[:, None]


@torch.no_grad()
def descriptions(network: LiteUnet | VesselUnet, inputs: Iterable[Tensor]) -> Doubles:
    """What the network saw of each input, (n,D). ``inputs``: batches (N,3,H,W)."""
    network.eval()
    rows = [network.described(batch)[1].double().numpy() for batch in inputs]
    return np.concatenate(rows)


def limit(novelties: Sequence[float]) -> float:
    """The novelty beyond which nothing is promised, from that of the calibrate images."""
    return round(float(np.quantile(novelties, QUANTILE)), 4)

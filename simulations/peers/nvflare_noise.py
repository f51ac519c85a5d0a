"""Clipping and a site's share of Gaussian noise, as a filter of FLARE, which brings none."""

import numpy as np
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.dxo_filter import DXOFilter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable


class ClipAndNoise(DXOFilter):
    """Clips a site's update as a whole and adds noise to it.

    Parameters
    ----------
    clip : float
        L2 bound of the update.
    share : float
        Standard deviation of what this site adds.
    """

    def __init__(self, clip: float, share: float) -> None:
        kinds = [DataKind.WEIGHT_DIFF]
        super().__init__(supported_data_kinds=kinds, data_kinds_to_filter=kinds)
        self.clip = clip
        self.share = share

    def process_dxo(self, dxo: DXO, shareable: Shareable, fl_ctx: FLContext) -> DXO:
        norm = np.sqrt(sum(float((value**2).sum()) for value in dxo.data.values()))
        factor = min(1.0, self.clip / max(norm, 1e-12))
        source = np.random.default_rng()
        for name, value in dxo.data.items():
            noisy = value * factor + source.normal(scale=self.share, size=value.shape)
            dxo.data[name] = noisy.astype(value.dtype)
        return dxo

"""Areas of masks, wherever they are."""

import numpy as np
import numpy.typing as npt
from torch import Tensor


def count_pixels(masks: Tensor) -> npt.NDArray[np.int64]:
    """Pixels of (..., H, W) bool masks, as (...). On a CPU torch's sum takes ten times as long as NumPy's count."""
    if masks.device.type != "cpu":
        return np.asarray(masks.sum((-2, -1)).cpu())
    flat = masks.flatten(0, -3).numpy()
    return np.array([np.count_nonzero(mask) for mask in flat], dtype=np.int64).reshape(masks.shape[:-2])

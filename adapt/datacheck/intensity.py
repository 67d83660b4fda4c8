"""Findings about intensities: images without contrast, clipped ones, and groups unlike the others. Pure."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapt.datacheck.findings import Finding, of_total
from adapt.datacheck.walk import SampleSummary
from adapt.wording import listed

MOSTLY_WHITE = 0.5
"""Share of values at 255: bright backgrounds stay below white, so half an image there was clipped."""
MOSTLY_CLIPPED = 0.98
"""Share of values at 0 or 255: air around a patient or a dark field may fill nearly all of an image, but the rest must
hold an object with its surroundings."""
OUTLIER_Z = 5.0
"""Robust z beyond which a group is unlike the others. 3.5 is usual for normal data (Iglewicz and Hoaglin, 1993);
intensities of real groups have longer tails."""
LEAST_DEVIATION = 2.0
"""Grey levels that the median deviation counts as at least, or data of one scanner would flag what nobody sees."""
ENOUGH_GROUPS = 8
"""Fewer say too little about what is usual."""


def flat_images(samples: Sequence[SampleSummary]) -> list[Finding]:
    """Images of a single value, and images that are nearly all black or white."""
    constant = tuple(sample.sample_id for sample in samples if sample.std == 0)
    clipped = tuple(
        sample.sample_id
        for sample in samples
        if sample.std > 0 and (sample.white > MOSTLY_WHITE or sample.clipped > MOSTLY_CLIPPED)
    )
    found = []
    if constant:
        text = (
            f"{of_total(len(constant), len(samples), 'image')} of a single value ({listed(constant)}): a failed "
            "export, or an intensity window that misses the data (data.intensity)"
        )
        found.append(Finding("constant_images", "warning", text, constant, "constant image"))
    if clipped:
        text = (
            f"{of_total(len(clipped), len(samples), 'image')} mostly clipped to black or white ({listed(clipped)}): "
            "export them again, or widen the intensity window (data.intensity)"
        )
        found.append(Finding("clipped_images", "warning", text, clipped, "mostly clipped"))
    return found


def unlike_the_others(samples: Sequence[SampleSummary]) -> list[Finding]:
    """Groups whose brightness or contrast is far from that of most.

    A group counts once, by the average of its images, so that a long scan weighs no more than a short one.
    """
    of_group = defaultdict(list)
    for sample in samples:
        of_group[sample.group].append((sample.mean, sample.std))
    if len(of_group) < ENOUGH_GROUPS:
        return []
    names = list(of_group)
    values = np.array([np.mean(of_group[name], axis=0) for name in names])  # (groups, 2)
    far = np.abs(robust_z(values)).max(1)
    outliers = [index for index in np.argsort(-far, kind="stable") if far[index] > OUTLIER_Z]
    if not outliers:
        return []
    where = tuple(names[index] for index in outliers)
    shown = [f"{names[index]} ({values[index, 0]:.0f}, {values[index, 1]:.0f})" for index in outliers]
    middle = np.median(values, axis=0)
    text = (
        f"{of_total(len(where), len(names), 'group')} unlike the others in brightness or contrast (mean and deviation "
        f"are usually {middle[0]:.0f} and {middle[1]:.0f}, but {listed(shown)}): another stain, scanner or export? If "
        "the model must handle such images, see that training has some; else remove them"
    )
    return [Finding("intensity_outliers", "warning", text, where, "unlike the others")]


def robust_z(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, K) distances from the median of each column, in standard deviations estimated by the median deviation."""
    distance = values - np.median(values, axis=0)
    spread = np.maximum(np.median(np.abs(distance), axis=0), LEAST_DEVIATION)
    z: npt.NDArray[np.float64] = 0.6745 * distance / spread  # 0.6745: the median deviation of a normal variable
    return z

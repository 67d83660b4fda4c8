"""Every part of an evaluation on two images each, for fits of which something else is tested.

By default these parts take more time than the training of such a fit. `test_coco_source.py` fits with the defaults.
"""

SMALL_EVALUATION = [
    "evaluation.bootstrap_samples=200",
    "evaluation.following_images=2",
    "evaluation.retention.images=2",
    "evaluation.automatic.images=2",
    "evaluation.automatic.points_per_side=4",
]

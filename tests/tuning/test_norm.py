"""Layer norms and biases: exactly which parameters train."""

import pytest

from adapt.errors import RecipeError
from adapt.recipe import NormTuning
from adapt.segmenters import load_segmenter
from adapt.tuning import choose, trainable_names

BLOCK = "model.vision_encoder.layers.6."
NORMS = {f"{BLOCK}layer_norm{norm}.{kind}" for norm in (1, 2) for kind in ("weight", "bias")} | {
    f"model.vision_encoder.neck.layer_norm{norm}.{kind}" for norm in (1, 2) for kind in ("weight", "bias")
}
BIASES = {f"{BLOCK}{layer}.bias" for layer in ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")}


@pytest.mark.parametrize(
    ("norms", "biases", "expected"), [(True, False, NORMS), (False, True, BIASES), (True, True, NORMS | BIASES)]
)
def test_norms_and_biases_of_the_last_block_and_the_neck_train(norms: bool, biases: bool, expected: set[str]) -> None:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, NormTuning(norms=norms, biases=biases, blocks=1, decoder=False))
    assert set(trainable_names(segmenter)) == expected


def test_neither_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"tuning.norms and tuning.biases are both false"):
        choose(load_segmenter("adapt:tiny"), NormTuning(norms=False, biases=False))

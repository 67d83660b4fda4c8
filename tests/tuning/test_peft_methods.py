"""Other methods of peft: exactly which parameters train, and what is refused."""

import pytest

from adapt.errors import RecipeError
from adapt.recipe import Ia3Tuning, LohaTuning, OftTuning, TuningSettings, VeraTuning
from adapt.segmenters import load_segmenter
from adapt.tuning import choose, trainable_names

LAST = "model.vision_encoder.layers.6."


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            Ia3Tuning(blocks=1, decoder=False),
            ["attn.qkv.ia3_l.default", "mlp.lin1.ia3_l.default", "mlp.lin2.ia3_l.default"],
        ),
        (
            LohaTuning(targets=["proj"], blocks=1, decoder=False),
            [f"attn.proj.hada_w{one}_{two}.default" for one in (1, 2) for two in "ab"],
        ),
        (OftTuning(blocks=1, decoder=False), ["attn.qkv.oft_R.default.weight"]),
        (
            VeraTuning(targets=["proj"], blocks=1, decoder=False),
            ["attn.proj.vera_lambda_b.default", "attn.proj.vera_lambda_d.default"],
        ),
    ],
)
def test_what_the_method_inserts_into_the_last_block_trains_and_nothing_else(
    settings: TuningSettings, expected: list[str]
) -> None:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, settings)
    assert sorted(trainable_names(segmenter)) == sorted(LAST + name for name in expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Ia3Tuning(targets=["key", "value"]),
            r"mode ia3 adapts vision_encoder\.layers\.0\.attn\.qkv as.*name query",
        ),
        (LohaTuning(rank=200), "tuning.rank 200 is larger than the layer"),
        (OftTuning(block_size=5), "tuning.block_size 5 does not divide the 192 channels"),
        (VeraTuning(blocks=9), "tuning.blocks 9 is more than the 7 blocks"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(settings: TuningSettings, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        choose(load_segmenter("adapt:tiny"), settings)

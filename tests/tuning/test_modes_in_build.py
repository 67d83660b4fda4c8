"""The untouched copy that tuning is compared with."""

import pytest

from adapt.build import make_segmenter, tuned_from
from adapt.recipe import find_recipe, load_recipe


@pytest.mark.parametrize(
    ("overrides", "shared"),
    [
        ([], True),
        (["tuning.mode=lora", "tuning.targets=[decoder_attention]", "tuning.decoder=false"], True),
        (["tuning.mode=lora"], False),
        (["tuning.mode=adapter"], False),
        (["tuning.mode=norm"], False),
        (["tuning.mode=full"], False),
        (["curriculum=[{name: first, change: {tuning.mode: full}}]"], False),
    ],
)
def test_an_encoder_is_shared_only_if_nothing_will_change_it(overrides: list[str], shared: bool) -> None:
    recipe = load_recipe(find_recipe("quickstart"), overrides)
    segmenter, stock = make_segmenter(recipe), make_segmenter(recipe)
    base = tuned_from(recipe, segmenter)
    assert (base.encoder is segmenter.encoder) == shared
    assert [name for name, _ in base.named_parameters()] == [name for name, _ in stock.named_parameters()]

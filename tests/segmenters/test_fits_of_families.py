"""A whole fit of each family through the command line: data, cache of features, training, evaluation, what is kept."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_families import OF_BLOCKS, OF_CONVOLUTIONS, SMALL, small_segmenter

from adapt.cli import main
from adapt.families import OWN_FAMILIES
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters.checkpoint import BY_NAME

pytestmark = pytest.mark.slow

QUICK = [
    "data.root=adapt:shapes_folder",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "trainer.batch_size=4",
    "trainer.objects_per_image=2",
    "trainer.workers=0",
    "prompts.corrections=1",
    "prompts.idle_rounds=0",
    "evaluation.clicks=2",
    "evaluation.protocols=[one_click, box, clicks]",
    "evaluation.bootstrap_samples=100",
    "evaluation.gallery=2",
    "evaluation.gallery_every=0",
    "evaluation.following_images=1",
    "evaluation.retention.images=0",
]
MODES = {
    "decoder": ["tuning.mode=decoder"],
    "lora": ["tuning.mode=lora", "tuning.rank=2", "tuning.blocks=1"],
    "lora of the decoder": ["tuning.mode=lora", "tuning.targets=[decoder_attention]", "tuning.decoder=false"],
    "adapter": ["tuning.mode=adapter", "tuning.width=4", "tuning.blocks=1"],
}
ACTING_ON_BLOCKS = ("decoder", "lora", "adapter")
CASES = [
    *(
        (family, mode)
        for family in OF_BLOCKS
        for mode in ACTING_ON_BLOCKS
        if mode == "lora" or family not in OWN_FAMILIES
    ),
    *((family, "decoder") for family in OF_CONVOLUTIONS),
    *((family, "lora of the decoder") for family in OF_CONVOLUTIONS if family not in OWN_FAMILIES),
]


@pytest.mark.parametrize(("family", "mode"), CASES)
def test_fit_keeps_features_scores_both_models_and_leaves_one_that_transformers_reads(
    family: str, mode: str, tmp_path: Path
) -> None:
    checkpoint, cache = tmp_path / "checkpoint", tmp_path / "cache"
    small_segmenter(family).save(checkpoint)
    places = [f"model.checkpoint={checkpoint}", f"cache={cache}", f"output={tmp_path / 'runs'}"]
    assert main(["fit", "--recipe", "folder", *QUICK, *MODES[mode], *places]) == 0
    assert len(list(cache.rglob("features/*/*/*.safetensors"))) > 20  # of 24 images
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    results = json.loads((run / "results.json").read_bytes())
    assert set(results["protocols"]) == {"one_click", "box", "clicks"}
    assert all(0 <= of["tuned"]["miou"] <= 1 for of in results["protocols"].values())
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    assert tuned.family == family
    model_class = BY_NAME[family].model
    if mode.startswith("lora"):
        assert main(["merge", str(run), "--output", str(tmp_path / "merged")]) == 0
    if mode == "adapter":
        assert {path.name for path in (run / "adapter").iterdir()} == {"adapter.json", "adapter.safetensors"}
        return
    folder = tmp_path / "merged" if mode.startswith("lora") else run / "model"
    stock = model_class.from_pretrained(folder).state_dict()
    before = small_segmenter(family).model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], stock[name])}
    outside = {name for name in changed if not name.startswith("mask_decoder.")}
    assert changed - outside
    assert bool(outside) is (mode == "lora")
    assert load_file(folder / "model.safetensors").keys() == load_file(checkpoint / "model.safetensors").keys()


@pytest.mark.parametrize("family", [name for name in ("MobileSAM", "EdgeSAM", "EdgeTAM") if name in SMALL])
def test_fit_of_a_whole_encoder_leaves_the_statistics_of_its_batch_norms(family: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    small_segmenter(family).save(checkpoint)
    places = [f"model.checkpoint={checkpoint}", f"cache={tmp_path / 'cache'}", f"output={tmp_path / 'runs'}"]
    assert main(["fit", "--recipe", "folder", *QUICK, "tuning.mode=full", *places]) == 0
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    before = small_segmenter(family).model.state_dict()
    after = load_file(run / "model" / "model.safetensors")
    statistics = [name for name in after if name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))]
    assert statistics and all(torch.equal(after[name], before[name]) for name in statistics)
    trained = [name for name in after if name.startswith("vision_encoder.") and name not in statistics]
    assert all(not torch.equal(after[name], before[name]) for name in trained)

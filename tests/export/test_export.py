"""A whole export: fit, export, and the files run by ONNX Runtime alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adapt.cli import main
from adapt.export import open_decoder
from adapt.frames import Frame, logits_to_image_frame, to_model_frame
from adapt.jobs.tuned import load_tuned
from adapt.prompts import point_prompts
from adapt.recipe import load_recipe

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'adapt-sam[export]'")
pytest.importorskip("onnxscript", reason="needs the extra: pip install 'adapt-sam[export]'")
pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
FILES = {"encoder.onnx", "decoder.onnx", "decoder_int8.onnx", "encoder.pt2", "decoder.pt2", "export.json"}
RECIPE = """\
model: {{checkpoint: adapt:tiny, input_size: 64}}
data: {{kind: folder, root: adapt:shapes_folder}}
prompts: {{corrections: 0, idle_rounds: 0}}
trainer: {{epochs: 1, objects_per_image: 2, workers: 0, accelerator: cpu}}
evaluation:
  gallery: 0
  gallery_every: 0
  following_images: 0
  bootstrap_samples: 100
  retention: {{images: 0}}
  automatic: {{images: 2, points_per_side: 4}}
tuning: {{mode: lora, rank: 4, blocks: 2}}
output: {place}/runs
cache: {place}/cache
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and `exported` from it."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "shapes.yaml").write_text(RECIPE.format(place=folder), encoding="utf-8")
    assert main(["fit", "--recipe", str(folder / "shapes.yaml")]) == 0
    assert main(["export", str(run_of(folder)), "--output", str(folder / "exported")]) == 0
    return folder


def run_of(folder: Path) -> Path:
    (run,) = (folder / "runs" / "shapes").iterdir()
    return run


def test_all_files_are_there_with_what_was_measured(place: Path) -> None:
    assert {path.name for path in (place / "exported").iterdir()} == FILES
    facts = json.loads((place / "exported" / "export.json").read_bytes())
    assert facts["opset"] == 18
    assert all(apart < 1e-4 for apart in facts["off_by"].values())
    results = json.loads((run_of(place) / "results.json").read_bytes())["protocols"]
    for protocol, found in facts["int8"].items():
        assert found["float32"] == pytest.approx(results[protocol]["tuned"]["miou"], abs=1e-3)
        assert found["difference"]["miou"] == pytest.approx(found["int8"] - found["float32"])


def test_the_code_of_the_docs_needs_onnxruntime_alone_and_answers_as_the_run(place: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(image).save(place / "image.png")
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    check = "\nimport sys\nassert 'torch' not in sys.modules\nnp.save('mask.npy', mask)\n"
    subprocess.run([sys.executable, "-c", code + check], cwd=place, check=True, timeout=100)
    found = np.load(place / "mask.npy", allow_pickle=False)
    run, frame = run_of(place), Frame(150, 200, 64, "pad")
    model = load_tuned(load_recipe(run / "recipe.yaml"), run)
    spec = model.spec
    pixels = spec.to_model_frame(image)
    prompts = point_prompts(to_model_frame(torch.tensor([[[120.0, 80.0]]]), frame), torch.ones(1, 1, dtype=torch.bool))
    with torch.no_grad():
        answer = model.decode(model.encode(pixels[None]), prompts, multimask=True)
    logits = logits_to_image_frame(answer.logits[0, 0], frame)[answer.iou[0, 0].argmax()]
    assert (found == (logits > 0).numpy()).mean() > 0.99  # it resizes logits by Pillow


def test_more_objects_and_points_than_it_was_traced_with(place: Path) -> None:
    decode = open_decoder(place / "exported" / "decoder.onnx")
    labels = torch.ones(9, 11, dtype=torch.int64)
    logits, iou = decode(
        torch.zeros(1, 128, 4, 4), torch.zeros(9, 11, 2), labels, torch.zeros(9, 1, 16, 16), torch.zeros(9)
    )
    assert (logits.shape, iou.shape) == ((9, 4, 16, 16), (9, 4))


def test_nothing_is_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run_of(place)), "--output", str(place / "exported")]) == 1
    assert "is there already" in capsys.readouterr().err

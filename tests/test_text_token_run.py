"""A run that learns to read texts, from the command line: fit, evaluate --text, predict --text."""

import csv
import io
import json
from pathlib import Path

import pytest
from counted_images import Encoded
from small_text_models import write_clip
from transformers.models.sam.modeling_sam import SamPatchEmbeddings

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom

pytestmark = pytest.mark.slow


def test_a_run_keeps_its_projection_and_answers_texts_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantom(tmp_path / "ct", patients=4, seed=3)
    keys = [
        *(f"data.root={tmp_path / 'ct'}", f"cache={tmp_path / 'cache'}", f"output={tmp_path / 'runs'}"),
        *("tuning.mode=text_token", f"tuning.clip={write_clip(tmp_path / 'clip')}", "trainer.accelerator=cpu"),
        *("trainer.epochs=1", "optimizer.learning_rate=1e-2", "augment.scale=0", "features.views=1"),
        *("evaluation.protocols=[box]", "evaluation.following_images=0", "evaluation.automatic.images=0"),
        *("evaluation.gallery=0", "evaluation.gallery_every=0", "evaluation.retention.images=0"),
    ]
    assert main(("fit", "--recipe", "quickstart", *keys)) == 0
    assert "how well texts find: adapt evaluate" in capsys.readouterr().err.replace("\n", " ")
    (run,) = (tmp_path / "runs" / "quickstart").iterdir()
    assert {file.name for file in (run / "adapter").iterdir()} == {"adapter.json", "adapter.safetensors"}
    (last,) = list(csv.DictReader(io.StringIO((run / "metrics.csv").read_text(encoding="utf-8"))))[-1:]
    assert float(last["val/miou"]) == float(last["val/miou_text"])
    encoded = Encoded(monkeypatch, SamPatchEmbeddings)
    assert main(("evaluate", str(run), "--text")) == 0
    assert encoded.count == 0  # the comparison of the fit has left its features
    (table,) = run.glob("evaluations/*/text.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    asked = [(row["model"], row["prompts"]) for row in rows]
    assert asked == [("tuned", "text"), ("untouched", "true box"), ("tuned", "true box")]
    assert rows[1]["ap"] == rows[2]["ap"]  # boxes give what they gave before
    results = json.loads(table.with_name("results.json").read_bytes())
    (difference,) = results["text_difference"]  # by text the untouched model cannot be asked
    assert (difference["prompts"], difference["miou"]) == ("true box", 0)
    assert main(("evaluate", str(run), "--text", "features.cache=false")) == 0
    assert encoded.count == results["images"] > 0  # once for the three ways
    scan = tmp_path / "ct" / "images" / "patient_00.nii.gz"
    given = ("predict", str(run), str(scan), "--output", str(tmp_path / "out"), "--text", "liver", "--text", "spleen")
    assert main(given) == 0
    record = json.loads((tmp_path / "out" / "records" / "patient_00.json").read_text())
    assert {row["category"] for row in record["objects"]} <= {"liver", "spleen"}
    assert main((*given[:-1], "abcdefghijklmnop")) == 1
    assert "the text model takes 12; say it in fewer words" in capsys.readouterr().err.replace("\n", " ")

"""The whole loop through the command line, with a model that trains."""

import json
from pathlib import Path

import pytest
from test_rounds_of_labels import make

from adapt.cli import main

pytestmark = pytest.mark.slow

SMALL = (
    "trainer.epochs=1",
    "trainer.workers=0",
    "prompts.corrections=0",
    "prompts.idle_rounds=0",
    "evaluation.bootstrap_samples=200",
    "evaluation.gallery=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
    "generate.points_per_side=4",
    "generate.predicted_iou=0.0",
    "generate.stability=0.0",
    "label.views=0",
)


def test_a_round_from_suggest_to_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make(tmp_path, f"output={tmp_path / 'runs'}", *SMALL)
    labels = str(project.root)

    def fit() -> str:
        assert main(["fit", "--recipe", str(project.recipe_file)]) == 0
        return str(max((tmp_path / "runs" / "discs").iterdir(), key=lambda run: (run.stat().st_ctime_ns, run.name)))

    alone = fit()
    assert main(["label", "suggest", labels, alone]) == 0
    review = project.rounds / "001" / "review.json"
    assert main(["label", "import", labels, str(review)]) == 0
    with_labels = fit()
    splits = json.loads((Path(with_labels) / "splits.json").read_text(encoding="utf-8"))
    assert "labelled/bright" in splits["train"]
    assert not any(group.startswith("labelled/") for group in splits["validation"] + splits["test"])
    code = main(["label", "accept", labels, with_labels])
    closed = json.loads((project.rounds / "001" / "closed.json").read_text(encoding="utf-8"))
    assert code == (0 if closed["accepted"] else 1)
    assert closed["before"] == alone and closed["run"] == with_labels
    capsys.readouterr()
    assert main(["label", "status", labels]) == 0
    assert "assisted" in capsys.readouterr().out
    assert main(["evaluate", with_labels]) == 0, "it is scored on what people have labelled"

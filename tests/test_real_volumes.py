"""The packaged medical recipes on real volumes: NIfTI and DICOM, CT and MR."""

import json
import shutil
from pathlib import Path

import pytest
from small_evaluation import SMALL_EVALUATION

from adapt.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.shared_data]

SHORT = ["trainer.epochs=1", "trainer.min_steps=0", "evaluation.gallery=1", *SMALL_EVALUATION]


def fit(recipe: str, root: Path, workplace: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The protocols of `results.json` after one epoch."""
    places = [f"data.root={root}", f"cache={workplace}/cache", f"output={workplace}/runs"]
    assert main(["fit", "--recipe", recipe, *places, *SHORT]) == 0
    (folder,) = (workplace / "runs" / recipe).iterdir()
    protocols: dict[str, dict[str, dict[str, float]]] = json.loads(
        (folder / "results.json").read_text(encoding="utf-8")
    )["protocols"]
    return protocols


def test_ct_of_a_nifti_and_a_dicom_patient(shared_data: Path, tmp_path: Path) -> None:
    protocols = fit("medical_ct", shared_data / "medical_ct", tmp_path)
    assert set(protocols["box"]["base"]["categories"]) >= {"liver", "spleen", "colon"}
    # boxes of organs fill well over half: far from it, masks and images would not belong together
    assert 0.5 < protocols["box"]["box_as_mask"] < 0.9


def test_mr_of_a_few_patients(shared_data: Path, tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "mr" / kind).mkdir(parents=True)
        for path in sorted((shared_data / "medical_mr" / kind).iterdir())[:6]:
            shutil.copy(path, tmp_path / "mr" / kind)
    protocols = fit("medical_mr", tmp_path / "mr", tmp_path)
    assert set(protocols["one_click"]["base"]["categories"]) == {"anterior", "posterior"}
    assert protocols["box"]["difference"]["low"] <= protocols["box"]["difference"]["high"]

"""Which scans are of one patient, and where their images and labels lie."""

import io
from pathlib import Path

from rich.console import Console
from small_volumes import label_of, refusal, settings_of, some_image, write_pair, write_volume

from adapt.datamodules import split_groups
from adapt.datamodules.medical import medical_source
from adapt.datamodules.store import open_or_make
from adapt.recipe import SplitSettings


def test_the_scans_of_a_patient_stay_together(tmp_path: Path) -> None:
    for patient in "abcd":
        for scan in (1, 2):
            write_pair(tmp_path, some_image(), label_of(), name=f"{patient}_scan{scan}")
    settings = settings_of(tmp_path, group_pattern=r"^([a-z])_")
    source = medical_source(settings, tmp_path)
    console = Console(file=io.StringIO())
    store = open_or_make(source, settings={}, cache=tmp_path / "cache", console=console)
    splits = split_groups(store.groups, SplitSettings(), seed=0)
    parts = [
        {store.sample(row).source for row, group in enumerate(store.groups) if group in part}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert [len(part) for part in parts] == [4, 2, 2]  # two scans a patient
    patients = [{Path(file).name[0] for file in part} for part in parts]
    assert sum(len(part) for part in patients) == len(set.union(*patients)) == 4


def test_a_pattern_that_finds_no_patient_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of(), name="liver7")
    assert "data.group_pattern '(p\\\\d+)_' finds no group in the case name 'liver7'; correct it" in refusal(
        tmp_path, group_pattern=r"(p\d+)_"
    )


def _patient_folders(root: Path) -> Path:
    """Two patients, of whom one came twice; an image of another sequence beside each."""
    for case in ("P1/day1", "P1/day2", "P2/day1"):
        write_volume(root / f"{case}_t1.nii.gz", some_image())
        write_volume(root / f"{case}_flair.nii.gz", some_image())
        write_volume(root / f"{case}_seg.nii.gz", label_of())
    return root


def test_patients_have_folders_with_images_and_labels_side_by_side(tmp_path: Path) -> None:
    settings = settings_of(
        _patient_folders(tmp_path), image_folder=".", label_folder=".", image_suffix="_t1", label_suffix="_seg"
    )
    source = medical_source(settings, tmp_path)
    samples = [next(iter(case().samples)) for case in source.cases]
    assert [sample.sample_id for sample in samples] == [
        f"{name}/axial/0000" for name in ("P1/day1", "P1/day2", "P2/day1")
    ]
    assert [sample.group for sample in samples] == ["P1", "P1", "P2"]
    assert not [path for path in source.inputs if "flair" in path.name]


def test_a_pattern_goes_before_the_folder_of_the_patient(tmp_path: Path) -> None:
    for name in ("site/P1_a", "site/P2_a"):
        write_pair(tmp_path, some_image(), label_of(), name=name)
    source = medical_source(settings_of(tmp_path, group_pattern="(P[0-9])_"), tmp_path)
    assert [next(iter(case().samples)).group for case in source.cases] == ["P1", "P2"]


def test_images_and_labels_in_one_folder_need_a_suffix(tmp_path: Path) -> None:
    told = refusal(_patient_folders(tmp_path), image_folder=".", label_folder=".")
    assert "holds images and labels; set data.label_suffix" in told


def test_a_suffix_that_no_name_ends_in_is_named(tmp_path: Path) -> None:
    folders = {"image_folder": ".", "label_folder": "."}
    _patient_folders(tmp_path)
    assert "whose names end in data.image_suffix=_t2" in refusal(
        tmp_path, **folders, image_suffix="_t2", label_suffix="_seg"
    )
    assert "holds no labels whose names end in data.label_suffix=_mask" in refusal(
        tmp_path, **folders, image_suffix="_t1", label_suffix="_mask"
    )

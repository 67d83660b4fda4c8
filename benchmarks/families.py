"""The tables of families in docs/families.md and README.md, from the results of the tests that each must pass.

    python -m pytest tests/segmenters tests/{hub/test_push,semantic/test_classes}_of_families.py --junitxml=families.xml
    python benchmarks/families.py families.xml        # writes both

A family's figures are counts of tests: how many passed of how many there are.
"""

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from adapt.families import FAMILIES

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- families: written by benchmarks/families.py -->", "<!-- /families -->"
SUITES = {
    "protocol": ("test_conformance", "test_"),
    "ways to tune": ("test_modes_of_families", "test_"),
    "`fit`": ("test_fits_of_families", "test_"),
    "`evaluate`": ("test_families_in_commands", "test_evaluate_"),
    "`predict`": ("test_families_in_commands", "test_predict_"),
    "automatic masks": ("test_families_in_commands", "test_generate_"),
    "classes": ("test_classes_of_families", "test_"),
    "`push`": ("test_push_of_families", "test_push_"),
}
"""Column of the table to the file of the tests, and how their names begin."""
PAGES = {"docs/families.md": list(SUITES), "README.md": ["`fit`", "`evaluate`", "`predict`", "`push`"]}
"""Where a table stands, and which columns it has."""
CHECKPOINTS = {
    "SAM": "`facebook/sam-vit-base`, `-large`, `-huge`; MedSAM, SlimSAM, others with its `config.json`; `adapt:tiny`",
    "SAM-HQ": "`syscv-community/sam-hq-vit-base`, `-large`, `-huge`",
    "SAM 2": "those that are saved as `Sam2Model`, without memory",
    "SAM 2 video": "`facebook/sam2.1-hiera-tiny`, `-small`, `-base-plus`, `-large`; SAM 2 likewise",
    "EdgeTAM": "`yonigozlan/EdgeTAM-hf`",
    "EfficientSAM": "`efficient_sam_vitt.pt`, `efficient_sam_vits.pt`, by `adapt convert`",
    "MobileSAM": "`mobile_sam.pt`, `tinysam.pth`, by `adapt convert`",
    "EdgeSAM": "`edge_sam.pth`, `edge_sam_3x.pth`, by `adapt convert`",
    "RepViT-SAM": "`repvit_sam.pt`, by `adapt convert`",
    "SAM 3 tracker": "`facebook/sam3` (gated: ask for access, then `hf auth login`)",
}
"""Family to what there is on the Hub, or of files of its authors."""


def family_of(parameters: str) -> str | None:
    """The family that the parameters of a test name, as pytest writes them: `SAM 2-click-three`."""
    names = (name for name in CHECKPOINTS if parameters == name or parameters.startswith(f"{name}-"))
    ends = (name for name in CHECKPOINTS if parameters.endswith(f"-{name}"))
    return max((*names, *ends), key=len, default=None)


def counts(reports: Sequence[Path]) -> Mapping[tuple[str, str], tuple[int, int]]:
    """(family, column) to tests that passed and tests that ran; of a test in several reports, the last one counts."""
    passed: Counter[tuple[str, str]] = Counter()
    ran: Counter[tuple[str, str]] = Counter()
    every = (case for report in reports for case in ElementTree.parse(report).iter("testcase"))
    for case in {(case.get("classname"), case.get("name")): case for case in every}.values():
        match = re.search(r"\[(.+)\]$", case.get("name", ""))
        family = family_of(match[1]) if match else None
        file, test = case.get("classname", "").rpartition(".")[2], case.get("name", "")
        column = next((name for name, (of, begin) in SUITES.items() if file == of and test.startswith(begin)), None)
        if family is None or column is None or case.find("skipped") is not None:
            continue
        ran[family, column] += 1
        passed[family, column] += case.find("failure") is None and case.find("error") is None
    return {key: (passed[key], count) for key, count in ran.items()}


def table(found: Mapping[tuple[str, str], tuple[int, int]], columns: Sequence[str]) -> str:
    """Markdown, a row a family."""
    rows = [["family", "`model_type`", "checkpoints", *columns], ["---"] * (3 + len(columns))]
    for family, checkpoints in CHECKPOINTS.items():
        types = ", ".join(f"`{name}`" for name, of in FAMILIES.items() if of == family)
        ran = (found.get((family, column)) for column in columns)
        figures = ("not run" if count is None else "{} of {}".format(*count) for count in ran)
        rows.append([family, types, checkpoints, *figures])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Read reports, write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", help="what pytest wrote with --junitxml")
    found = counts(parser.parse_args().reports)
    for name, columns in PAGES.items():
        page = (ROOT / name).read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        text = f"{before}{BEGIN}\n{table(found, columns)}\n{END}{after}"
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"{name}: the tests of {len({family for family, _ in found})} families")


if __name__ == "__main__":
    main()

"""The page on several GPUs: its files are valid, and what they start is a `fit` that this version takes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from torch.distributed.run import get_args_parser

from adapt.cli import _parser
from adapt.recipe import find_recipe, load_recipe

TEXT = (Path(__file__).parents[1] / "docs" / "many-gpus.md").read_text(encoding="utf-8")
SBATCH = re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
YAML = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)]
INLINE = re.findall(r"^    ((?:python|torchrun) .*)$", TEXT, flags=re.MULTILINE)


def commands() -> list[str]:
    srun = [line.partition("python")[1:] for block in SBATCH for line in block.splitlines() if line.startswith("srun")]
    (job,) = (block for block in YAML if block.get("kind") == "TrainJob")
    (sky,) = (block for block in YAML if "run" in block)
    job_command = shlex.join(job["spec"]["trainer"]["command"])
    return [*("".join(parts) for parts in srun), job_command, sky["run"], *INLINE]


def test_every_way_is_on_the_page() -> None:
    assert (len(SBATCH), len(YAML)) == (1, 2)
    assert len(commands()) == 9


@pytest.mark.parametrize("command", commands())
def test_a_command_starts_what_this_version_takes(command: str) -> None:
    words = shlex.split(re.sub(r"\$\([^)]*\)|\$\w+", "2", command))  # the scheduler's values
    if words[0] == "torchrun":
        started = get_args_parser().parse_args(words[1:])
        assert started.module and started.training_script == "adapt"
        words = started.training_script_args
    else:
        assert words[:3] == ["python", "-m", "adapt"]
        words = words[3:]
    options, rest = _parser().parse_known_args(words)
    assert not [word for word in rest if word.startswith("-")]
    load_recipe(find_recipe(options.recipe), [*options.overrides, *rest])


def test_the_files_ask_for_as_many_processes_as_there_are_gpus() -> None:
    (script,) = SBATCH
    assert "--ntasks-per-node=4" in script and "--gres=gpu:4" in script
    (job,) = (block["spec"]["trainer"] for block in YAML if block.get("kind") == "TrainJob")
    assert job["numProcPerNode"] == job["resourcesPerNode"]["limits"]["nvidia.com/gpu"]

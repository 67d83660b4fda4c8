"""The command line as a user meets it: in a process of its own, with its texts and exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapt import __version__
from adapt.recipe import Recipe, find_recipe, load_recipe, recipe_names

# What a subprocess runs to prove that an answer came without torch; stdout and stderr stay the command's own.
WITHOUT_TORCH = """
import sys
from adapt.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as leave:
    code = leave.code
loaded = [name for name in ("torch", "numpy", "transformers", "lightning") if name in sys.modules]
sys.exit(f"imported {loaded}" if loaded else code)
"""


def _run(folder: Path, *arguments: str, program: tuple[str, ...] = ("-m", "adapt")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120)


def _run_without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = _run(folder, *arguments, program=("-c", WITHOUT_TORCH))
    assert "imported [" not in done.stderr
    return done


def _printed_recipe(folder: Path, done: subprocess.CompletedProcess[str]) -> Recipe:
    assert done.returncode == 0, done.stderr
    saved = folder / "printed.yaml"
    saved.write_text(done.stdout, encoding="utf-8")
    return load_recipe(saved)


@pytest.mark.parametrize("arguments", [("--help",), ("fit", "--help"), ("evaluate", "--help"), ("recipes", "--help")])
def test_help_answers_without_torch(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = _run_without_torch(tmp_path, *arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")
    assert done.stderr == ""


def test_without_a_command_the_help_tells_which_there_are(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == _run(tmp_path, "--help").stdout


def test_help_names_the_commands(tmp_path: Path) -> None:
    text = _run(tmp_path, "--help").stdout
    assert all(f"\n    {command} " in text for command in ("fit", "evaluate", "recipes"))


@pytest.mark.parametrize("arguments", [("list",), ("show",), ("copy",), ("keys",), ("schema",)])
def test_help_of_recipes_says_what_the_action_does(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    summary, named = _run(tmp_path, "recipes", *arguments, "--help").stdout.split("\n\n", 1)
    assert summary.startswith(f"usage: adapt recipes {arguments[0]} ")
    assert not named.startswith(("options", "positional"))
    assert not named.count("RECIPE\n")  # a word of the call without its meaning


def test_version(tmp_path: Path) -> None:
    assert _run(tmp_path, "--version").stdout == f"adapt {__version__}\n"


def test_no_command_is_a_wrong_call(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_recipes_are_listed_without_torch(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path, "recipes", "list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == recipe_names()


def test_a_recipe_is_shown_as_it_is_written(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path, "recipes", "show", "medical_ct")
    assert done.returncode == 0
    assert done.stdout == find_recipe("medical_ct").read_text(encoding="utf-8")


def test_the_schema_is_printed(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path, "recipes", "schema")
    assert json.loads(done.stdout) == Recipe.model_json_schema()


def test_a_copied_recipe_is_a_recipe_and_is_never_overwritten(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path, "recipes", "copy", "folder")
    assert done.returncode == 0
    copied = tmp_path / "folder.yaml"
    assert load_recipe(copied) == load_recipe(find_recipe("folder"))
    copied.write_text("mine\n", encoding="utf-8")
    again = _run(tmp_path, "recipes", "copy", "folder")
    assert again.returncode == 2
    assert again.stderr == "adapt: error: folder.yaml exists already and is not overwritten; name another target\n"
    assert copied.read_text(encoding="utf-8") == "mine\n"


def test_a_recipe_is_copied_into_a_folder_or_to_a_name(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    assert _run(tmp_path, "recipes", "copy", "folder", "below").returncode == 0
    assert (tmp_path / "below" / "folder.yaml").is_file()
    done = _run(tmp_path, "recipes", "copy", "folder", "mine.yaml")
    assert done.stdout == "wrote mine.yaml; run it with: adapt fit --recipe mine.yaml\n"
    assert (tmp_path / "mine.yaml").is_file()


def test_a_target_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = _run(tmp_path, "recipes", "copy", "folder", "nowhere/mine.yaml")
    assert done.returncode == 2
    assert done.stderr == (
        "adapt: error: nowhere/mine.yaml cannot be written (No such file or directory); make the folder that it "
        "belongs in, or name another target\n"
    )


def test_a_wrong_recipe_is_answered_without_traceback_or_torch(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {kind: folder, root: x}\nsed: 1\nseed: a\n", encoding="utf-8")
    done = _run_without_torch(tmp_path, "fit", "--recipe", "mine.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("adapt: error: recipe mine.yaml has 2 problems:\n")
    assert "mine.yaml:2  sed = 1" in done.stderr
    assert "mine.yaml:3  seed = 'a'" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_adds_the_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sed: 1\n", encoding="utf-8")
    done = _run(tmp_path, "fit", "--recipe", "mine.yaml", "--debug")
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback")
    assert "adapt: error: recipe mine.yaml has 2 problems:" in done.stderr


@pytest.mark.parametrize(
    ("command", "nearest"),
    [
        (("fit", "--recipe", "medcal_ct"), "medical_ct"),
        (("recipes", "show", "quikstart"), "quickstart"),
        (("evaluate", "--recipe", "foldr"), "folder"),
    ],
)
def test_an_unknown_recipe_names_the_nearest(tmp_path: Path, command: tuple[str, ...], nearest: str) -> None:
    done = _run_without_torch(tmp_path, *command)
    assert done.returncode == 2
    assert f"did you mean {nearest}?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", recipe_names())
def test_the_printed_config_is_the_same_recipe(tmp_path: Path, name: str) -> None:
    done = _run_without_torch(tmp_path, "fit", "--recipe", name, "--print-config")
    assert _printed_recipe(tmp_path, done) == load_recipe(find_recipe(name))


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "--recipe", "folder", "seed=1", "--print-config", "output=x"),
        ("fit", "seed=1", "--recipe", "folder", "output=x", "--print-config"),
        ("fit", "--print-config", "seed=1", "output=x", "--recipe", "folder"),
        ("fit", "--recipe=folder", "--print-config", "seed=2", "--debug", "output=x", "seed=1"),
        ("evaluate", "--recipe", "folder", "seed=1", "--print-config", "output=x"),
        ("evaluate", "seed=1", "output=x", "--recipe", "folder", "--print-config"),
        ("evaluate", "--recipe", "folder", "--print-config", "seed=1", "output=x"),
    ],
)
def test_overrides_count_wherever_they_stand(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    recipe = _printed_recipe(tmp_path, _run(tmp_path, *arguments))
    assert recipe == load_recipe(find_recipe("folder"), ["seed=1", "output=x"])


def test_the_value_of_an_override_may_begin_with_a_dash(tmp_path: Path) -> None:
    done = _run(tmp_path, "fit", "--recipe", "folder", "output=-x", "--print-config")
    assert _printed_recipe(tmp_path, done).output == "-x"


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "--recipe", "folder", "--max-epochs", "3"),
        ("fit", "--recipe", "folder", "seed=1", "--dry-rn"),
        ("evaluate", "--recipe", "folder", "--dry-run"),
        ("recipes", "list", "extra"),
        ("recipes", "show", "folder", "seed=1"),
        ("train",),
        ("fit",),
    ],
)
def test_a_wrong_call_ends_with_2_and_no_traceback(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = _run_without_torch(tmp_path, *arguments)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    done = _run(tmp_path, "fit", "--recipe", "folder", "--max-epochs", "3")
    assert "unrecognised: --max-epochs; see adapt fit --help" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("runs/x", "--recipe", "folder"), ("seed=1",)])
def test_evaluate_takes_a_run_or_a_recipe(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = _run_without_torch(tmp_path, "evaluate", *arguments)
    assert done.returncode == 2
    assert "exactly one of them" in done.stderr


def test_evaluate_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    done = _run_without_torch(tmp_path, "evaluate", "runs/x")
    assert done.returncode == 1
    assert "runs/x is not the folder of a run: it has no recipe.yaml" in done.stderr


def test_evaluate_reads_the_recipe_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "folder" / "2026-01-31_09-30-00"
    run.mkdir(parents=True)
    printed = _run(tmp_path, "fit", "--recipe", "folder", "seed=9", "--print-config").stdout
    (run / "recipe.yaml").write_text(printed, encoding="utf-8")
    done = _run(tmp_path, "evaluate", str(run), "--print-config", "evaluation.gallery=0")
    assert _printed_recipe(tmp_path, done) == load_recipe(find_recipe("folder"), ["seed=9", "evaluation.gallery=0"])


@pytest.mark.parametrize("arguments", [("recipes", "show", "folder"), ("recipes", "schema")])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path, arguments: tuple[str, ...], unbuffered: bool) -> None:
    """As in `adapt recipes show folder | head -1`: a short text is only written when Python ends."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if unbuffered:
        environment["PYTHONUNBUFFERED"] = "1"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "adapt", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.stderr == ""
    assert done.returncode == 0

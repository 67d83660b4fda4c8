"""`adapt push` through the command line, against a Hub on this machine."""

import getpass
import json
import platform
import re
import shutil
from pathlib import Path

import pytest
import torch
from finished_runs import PATIENTS, SIZE, make_run
from huggingface_hub import ModelCard
from local_hub import COMMIT, Fault, LocalHub
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForMaskGeneration, SamModel, SamProcessor

from adapt.cli import main
from adapt.hub.loaded import answers
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters.tiny import tiny_folder

pytestmark = [
    # peft 0.21 asks transformers 5 by a name that it deprecates
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    # huggingface-hub 2.4 uploads by a keyword that its client deprecates
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]

REPO = "team/sam-nuclei"
PUSHED = {
    "README.md",
    "adapt.json",
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "recipe.yaml",
    "results.json",
}
LORA = "tuning: {mode: lora, rank: 4, blocks: 2}"


def push(run: Path, *more: str, repo: str = REPO) -> int:
    return main(["push", str(run), "--repo", repo, *more])


def executed(code: list[str]) -> dict[str, object]:
    names: dict[str, object] = {}
    exec("\n".join(code), names)
    return names


@pytest.mark.parametrize("mode", ["decoder_run", "lora_run"])
def test_what_is_pushed_loads_with_plain_transformers_and_answers_as_the_run(
    mode: str, request: pytest.FixtureRequest, hub: LocalHub, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Path = request.getfixturevalue(mode)
    assert push(run) == 0
    first, pushed = hub.repos[REPO].commits
    assert hub.repos[REPO].private
    assert set(pushed.files) == PUSHED | set(first.files)
    told = capsys.readouterr()
    url, revision, _, *code = told.out.splitlines()
    assert (url, revision) == (f"{hub.endpoint}/{REPO}", f"revision {pushed.oid}")
    assert "to the bit" in told.err
    assert len(code) == 3
    assert isinstance(executed(code)["processor"], SamProcessor)
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run).model
    for family in (SamModel, AutoModelForMaskGeneration):
        plain = family.from_pretrained(REPO, revision=pushed.oid, dtype=torch.float32).eval()
        for one, other in zip(answers(plain, SIZE), answers(tuned, SIZE), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_code_on_the_card_works_as_it_stands(
    decoder_run: Path, hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert push(decoder_run) == 0
    card = ModelCard(hub.repos[REPO].commits[-1].files["README.md"].decode())
    _, loading, _, using, *_ = card.text.split("```")
    assert len(loading.removeprefix("python").strip().splitlines()) == 3
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 150), (90, 120, 30)).save("image.png")
    names = executed([using.removeprefix("python")])
    best = names["best"]
    assert isinstance(best, torch.Tensor)
    assert (best.shape, best.dtype) == ((150, 200), torch.bool)


def test_an_adapter_alone_is_put_on_its_base_by_plain_peft(
    hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add_folder("team/base", tiny_folder())
    run = make_run(tmp_path / "runs", base="team/base", size=None, more=LORA)
    assert push(run, "--adapter-only") == 0
    files = set(hub.repos[REPO].commits[-1].files)
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md", "recipe.yaml"} <= files
    assert "model.safetensors" not in files
    names = executed(capsys.readouterr().out.splitlines()[3:])
    model = names["model"]
    assert isinstance(model, PeftModel)
    assert model.peft_config["default"].revision == COMMIT
    tuned = load_tuned(load_recipe(run / "recipe.yaml", ["model.attention=stock"]), run).model
    assert all(torch.equal(*pair) for pair in zip(answers(model.eval(), 256), answers(tuned, 256), strict=True))
    card = ModelCard(hub.repos[REPO].commits[-1].files["README.md"].decode())
    assert (card.data.base_model, card.data.library_name) == ("team/base", "peft")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("tuning: {mode: decoder}", "has no adapter, since its tuning.mode trains the model itself"),
        (LORA, "this one's is not on the Hub; push the merged model"),
        ("tuning: {mode: scale_shift}", "plain peft cannot run what tuning.mode scale_shift"),
        ("tuning: {mode: adapter, width: 8}", "read by neither transformers nor peft"),
    ],
)
def test_an_adapter_that_nobody_could_load_is_refused(
    more: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "runs", more=more)
    assert main(["push", str(run), "--repo", REPO, "--adapter-only", "--dry-run", "--output", str(tmp_path / "x")]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_an_adapter_at_another_input_size_than_its_base_is_refused(
    hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add_folder("team/base", tiny_folder())
    run = make_run(tmp_path / "runs", base="team/base", more=LORA)
    assert push(run, "--adapter-only") == 1
    assert "trained at another input size" in capsys.readouterr().err
    assert REPO not in hub.repos


# ---------------------------------------------------------------------------------------------- what leaves here


def dry(run: Path, output: Path, *more: str) -> dict[str, bytes]:
    assert push(run, "--dry-run", "--output", str(output), *more) == 0
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_a_dry_run_writes_what_would_be_pushed_and_asks_nobody(
    decoder_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert set(dry(decoder_run, tmp_path / "package")) == PUSHED
    assert "model.safetensors" in capsys.readouterr().out
    assert push(decoder_run, "--dry-run", "--output", str(tmp_path / "package")) == 1
    assert "is there already" in capsys.readouterr().err


def test_nothing_of_this_machine_and_nobody_s_name_is_pushed(tmp_path: Path) -> None:
    home = tmp_path / "alice"
    more = f"""{LORA}
hub:
  card: {{data: 'Slides, see {home}/notes.txt', domain: 'from ~/slides', limits: 'C:\\Users\\alice\\x'}}
"""
    run = make_run(tmp_path / "runs", more=more, home=str(home))
    files = dry(run, tmp_path / "package")
    secrets = ["alice", str(tmp_path), platform.node(), "/home", *PATIENTS, "one_click_01_worst", "PNG"]
    if getpass.getuser() != "root":  # a word that other words have in them
        secrets.append(getpass.getuser())
    texts = {name: content for name, content in files.items() if name != "model.safetensors"}
    assert [(name, secret) for name, content in texts.items() for secret in secrets if secret.encode() in content] == []
    header = files["model.safetensors"][:100_000]
    assert not any(secret.encode() in header for secret in secrets[:2])


def test_pictures_are_pushed_only_if_asked_for(decoder_run: Path, tmp_path: Path) -> None:
    files = dry(decoder_run, tmp_path / "package", "--pictures", "2")
    assert set(files) - PUSHED == {"pictures/1.png", "pictures/2.png"}
    assert b"](pictures/2.png)" in files["README.md"]
    assert b"pictures below" in files["README.md"]
    assert b"pictures" not in dry(decoder_run, tmp_path / "without")["README.md"].split(b"<details>")[0]


def test_the_marker_has_the_checksum_of_each_file(decoder_run: Path, tmp_path: Path) -> None:
    files = dry(decoder_run, tmp_path / "package")
    assert set(json.loads(files["adapt.json"])["sha256"]) == PUSHED - {"adapt.json"}


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "repo", ["nuclei", "a/b/c", "team/", "team/a b", "team/a--b", "../x", "team/x.git", "http://x/y"]
)
def test_a_name_that_is_none_is_refused(repo: str, decoder_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push(decoder_run, repo=repo) == 2
    assert "is no name of a Hub repository: give owner/name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--dry-run"], "give both, or neither"),
        (["--output", "x"], "give both, or neither"),
        (["trainer.epochs=3"], "would change what the run was"),
        (["hub.card.licence=mit"], "did you mean license?"),
    ],
)
def test_options_that_say_nothing_are_refused(
    more: list[str], told: str, decoder_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(decoder_run, *more) == 2
    assert told in capsys.readouterr().err


def test_somewhere_to_push_to_must_be_named(decoder_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(decoder_run)]) == 2
    assert "--repo owner/name, or hub.repo" in capsys.readouterr().err


def copied(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder / run.parent.name / run.name)
    return folder / run.parent.name / run.name


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("recipe.yaml", "is not the folder of a run"),
        ("report.html", "has not finished: .*fit --resume"),
        ("model", "its best checkpoint is not there"),
        ("model/model.safetensors", "the weights cannot be read"),
        ("results.json", "results.json cannot be read"),
    ],
)
def test_a_run_that_is_not_whole_is_refused_before_anything_is_made(
    gone: str, told: str, decoder_run: Path, hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(decoder_run, tmp_path)
    shutil.rmtree(run / gone) if (run / gone).is_dir() else (run / gone).unlink()
    assert push(run) == 1
    assert re.search(told, capsys.readouterr().err)
    assert REPO not in hub.repos


def test_a_repository_of_somebody_else_is_left_as_it_was(
    decoder_run: Path, hub: LocalHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, {"pytorch_model.bin": b"theirs"}, private=True)
    assert push(decoder_run) == 1
    assert "files that adapt has not pushed (pytorch_model.bin)" in capsys.readouterr().err
    assert len(hub.repos[REPO].commits) == 1


def test_what_comes_back_otherwise_than_it_was_pushed_is_told(
    decoder_run: Path, hub: LocalHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.served["model.safetensors"] = lambda content: content[:-4] + b"\0\0\x80?"
    assert push(decoder_run) == 1
    assert "does not answer as what was pushed" in capsys.readouterr().err


def test_a_base_that_is_gated_is_told(hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add_folder("team/base", tiny_folder())
    run = make_run(tmp_path / "runs", base="team/base", size=None, more=LORA)
    hub.repos["team/base"].gated = True
    shutil.rmtree(tmp_path / "hub")  # what making the run has fetched
    assert push(run) == 1
    assert "Ask for access on https://huggingface.co/team/base" in capsys.readouterr().err


def test_a_push_that_fails_leaves_no_repository_half_filled(
    decoder_run: Path, hub: LocalHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault("POST .*/commit/", times=6))
    assert push(decoder_run) == 1
    assert "nothing was committed" in capsys.readouterr().err
    assert len(hub.repos[REPO].commits) == 1

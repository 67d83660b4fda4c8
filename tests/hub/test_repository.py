"""One commit or none, whatever fails on the way; and nothing of somebody else's is written over."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants
from local_hub import READ_TOKEN, Fault, LocalHub

from adapt.errors import HubError
from adapt.hub.package import Identity
from adapt.hub.repository import check_content, check_login, commit, find
from adapt.hub.retry import ATTEMPTS

# huggingface-hub 2.4 uploads by a keyword that its client deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

REPO = "team/model"
COMMITTED = f"POST /api/models/{REPO}/commit/main"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A card\n",
    "model.safetensors": b"weights" * 1000,
    "adapt.json": b"{}",
}
OURS = Identity(recipe="nuclei", base="facebook/sam-vit-base", kind="model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "package"
    place.mkdir()
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    return place


def push(folder: Path, lines: list[str] | None = None, *, private: bool = True, replace: bool = False) -> str:
    told = [] if lines is None else lines
    return commit(REPO, folder, title="nuclei: model", private=private, replace=replace, tell=told.append)


def pushed(hub: LocalHub) -> dict[str, bytes]:
    return {name: content for name, content in hub.repos[REPO].commits[-1].files.items() if name != ".gitattributes"}


def test_all_files_come_in_one_commit(hub: LocalHub, folder: Path) -> None:
    oid = push(folder)
    assert [one.oid for one in hub.repos[REPO].commits][1:] == [oid]
    assert pushed(hub) == FILES


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_is_made_private_unless_told_otherwise(private: bool, hub: LocalHub, folder: Path) -> None:
    push(folder, private=private)
    assert hub.repos[REPO].private is private


@pytest.mark.parametrize(
    "request_", ["POST /api/repos/create", "GET /api/models", "POST .*/commit/", "POST .*/preupload/"]
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_server_that_fails_for_a_while_is_asked_again(request_: str, times: int, hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault(request_, times=times))
    push(folder, lines := [])
    assert pushed(hub) == FILES
    assert len(hub.repos[REPO].commits) == 2
    assert "preupload" in request_ or (len(lines) == times and "HTTP 500" in lines[0])  # its client asks again itself


def test_a_card_that_the_server_cannot_check_for_a_while_is_checked_again(hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault("POST /api/validate-yaml", times=3))
    push(folder)
    assert pushed(hub) == FILES


def test_a_server_that_goes_on_failing_is_told_and_nothing_is_committed(hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault("POST .*/commit/", times=6))
    with pytest.raises(HubError, match=r"answers with an error \(HTTP 500\); try again later; nothing was committed"):
        push(folder)
    assert len(hub.repos[REPO].commits) == 1
    assert sum(asked.startswith(COMMITTED) for asked in hub.requests) == ATTEMPTS
    push(folder)  # and later it goes on as if nothing had been
    assert pushed(hub) == FILES


def test_waits_grow_and_no_two_clients_wait_alike(hub: LocalHub, folder: Path, waits: list[float]) -> None:
    hub.faults.append(Fault("POST .*/commit/", times=5))
    push(folder)
    assert len(waits) == 5
    assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.5, 1, 2, 4, 8), strict=True))
    hub.faults.append(Fault("GET /api/models", times=5))
    before = list(waits)
    push(folder)
    assert waits[len(before) :] != before


def test_a_server_that_asks_for_time_gets_it(hub: LocalHub, folder: Path, waits: list[float]) -> None:
    hub.faults.append(Fault("POST .*/commit/", status=429, headers={"Retry-After": "17"}))
    push(folder)
    assert pushed(hub) == FILES
    assert len(waits) == 1
    assert 17 < waits[0] <= 18


def test_a_server_that_asks_for_an_hour_is_not_waited_for(hub: LocalHub, folder: Path, waits: list[float]) -> None:
    hub.faults.append(Fault("POST .*/commit/", status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(HubError, match="HTTP 429"):
        push(folder)
    assert waits == []


def test_an_upload_that_is_cut_is_sent_again_whole(hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault("PUT /lfs/", times=2, status=0))
    push(folder)
    assert pushed(hub) == FILES


def test_a_network_that_goes_away_in_the_middle_is_told_and_nothing_is_committed(hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault("PUT /lfs/", times=1000, status=0))
    with pytest.raises(HubError, match=r"the Hub cannot be reached .* nothing was committed"):
        push(folder)
    assert len(hub.repos[REPO].commits) == 1


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub: LocalHub, folder: Path) -> None:
    hub.faults.append(Fault("POST .*/commit/", status=0, after=True))
    oid = push(folder)
    assert [one.oid for one in hub.repos[REPO].commits][1:] == [oid]
    assert sum(asked.startswith(COMMITTED) for asked in hub.requests) == 1


def test_a_repository_that_changes_meanwhile_is_not_written_over(hub: LocalHub, folder: Path) -> None:
    hub.add(REPO, {"a.txt": b"a"})
    found = find(REPO, tell=lambda line: None)
    assert found is not None
    hub.faults.append(Fault("POST .*/commit/", status=412))
    with pytest.raises(HubError, match="has changed while it was pushed to; push again; nothing was committed"):
        push(folder)


def test_the_same_again_makes_no_commit(hub: LocalHub, folder: Path) -> None:
    assert push(folder) == push(folder)
    assert len(hub.repos[REPO].commits) == 2


def test_what_an_earlier_push_left_goes_and_what_people_put_there_stays(hub: LocalHub, folder: Path) -> None:
    push(folder)
    (folder / "model.safetensors").unlink()
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    hub.repos[REPO].commits[-1].files["NOTICE"] = b"by hand"
    push(folder)
    assert set(pushed(hub)) == {"README.md", "adapt.json", "adapter_model.safetensors", "NOTICE"}
    push(folder, replace=True)
    assert set(pushed(hub)) == {"README.md", "adapt.json", "adapter_model.safetensors"}


def check(hub: LocalHub, *, private: bool = True, replace: bool = False) -> None:
    found = find(REPO, tell=lambda line: None)
    assert found is not None
    check_content(REPO, found, OURS, private=private, replace=replace, tell=lambda line: None)


def marker(identity: Identity) -> bytes:
    return json.dumps({"adapt": "0.1", **vars(identity)}).encode()


def test_a_repository_with_another_model_is_refused_unless_told(hub: LocalHub) -> None:
    other = Identity(recipe="roofs", base="facebook/sam-vit-base", kind="model")
    hub.add(REPO, {"adapt.json": marker(other)}, private=True)
    with pytest.raises(
        HubError, match=r"holds the model of recipe roofs .*, not the model of recipe nuclei .*--replace"
    ):
        check(hub)
    check(hub, replace=True)


@pytest.mark.parametrize("files", [{"pytorch_model.bin": b""}, {"adapt.json": b"[1]"}, {"adapt.json": b"\xff"}])
def test_a_repository_of_another_tool_is_refused_unless_told(files: dict[str, bytes], hub: LocalHub) -> None:
    hub.add(REPO, files, private=True)
    with pytest.raises(HubError, match=rf"files that adapt has not pushed \({next(iter(files))}\)"):
        check(hub)
    check(hub, replace=True)


def test_the_same_model_is_pushed_over_itself(hub: LocalHub) -> None:
    hub.add(REPO, {"adapt.json": marker(OURS), "config.json": b"{}"}, private=True)
    check(hub)


def test_nothing_private_goes_into_a_repository_that_everyone_sees(hub: LocalHub) -> None:
    hub.add(REPO, {}, private=False)
    with pytest.raises(HubError, match=r"is public, .*--public"):
        check(hub, replace=True)
    check(hub, private=False)


# ------------------------------------------------------------------------------------------------ who may push


def log_in(hub: LocalHub, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    check_login(REPO, tell=lambda line: None)


def test_without_a_token_nothing_is_asked(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="you need a token of the Hub, and none is here; log in with hf auth login"):
        check_login(REPO, tell=lambda line: None)
    assert hub.requests == []


def test_a_wrong_token_is_told(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubError, match=r"does not know the token .*; log in again"):
        log_in(hub, "hf_wrong", monkeypatch)


def test_a_token_that_may_only_read_is_told(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubError, match="the token may only read"):
        log_in(hub, READ_TOKEN, monkeypatch)


def test_a_name_that_belongs_to_others_is_told(hub: LocalHub, folder: Path) -> None:
    with pytest.raises(HubError, match=r"you may not write to facebook/model \(HTTP 403.*nothing was committed"):
        commit("facebook/model", folder, title="x", private=True, replace=False, tell=lambda line: None)


def test_without_a_network_it_is_told_at_once(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"the Hub cannot be reached \(OfflineModeIsEnabled"):
        check_login(REPO, tell=lambda line: None)
    assert waits == []

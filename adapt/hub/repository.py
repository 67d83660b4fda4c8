"""A repository of the Hub: may we write to it, what does it hold, and one commit that is there whole or not at all."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is the client's own, by version
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from adapt.errors import HubError
from adapt.hub.package import MARKER, OURS, PICTURES, Identity, digests, read_identity
from adapt.hub.retry import reason, retried, unreachable

INITIAL = frozenset((".gitattributes",))
"""What the Hub itself puts into a new repository."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A repository as it is now.

    Attributes:
        head: its newest commit.
        private: who can see it.
        files: their names.
    """

    head: str
    private: bool
    files: frozenset[str]


def check_login(repo: str, *, tell: Tell) -> None:
    """Fail early, before anything is trained or uploaded, if there is no token that may write.

    Raises:
        HubError: no token, one that the Hub does not know, or one that may only read; or no network.
    """
    if get_token() is None:
        raise HubError(
            f"to push to {repo} you need a token of the Hub, and none is here; log in with hf auth login, or set "
            "HF_TOKEN (https://huggingface.co/settings/tokens, with the right to write)"
        )
    with told(repo):
        who = retried(lambda: HfApi().whoami(), what="login", tell=tell)
    if who.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError(
            "the token may only read; make one that may write at https://huggingface.co/settings/tokens, then hf auth "
            "login"
        )


def find(repo: str, *, tell: Tell) -> Found | None:
    """The repository; None if there is none yet, or none that this token may see."""
    try:
        with told(repo):
            info = retried(lambda: HfApi().model_info(repo), what=f"look at {repo}", tell=tell)
    except _NotThereError:
        return None
    names = frozenset(sibling.rfilename for sibling in info.siblings or [])
    return Found(head=str(info.sha), private=bool(info.private), files=names)


def check_content(repo: str, found: Found, ours: Identity, *, private: bool, replace: bool, tell: Tell) -> None:
    """Refuse to write over what somebody else has made, or to show what should be private.

    Raises:
        HubError: it holds another model, or files of another tool, and `replace` is off; or it is public.
    """
    if private and not found.private:
        raise HubError(
            f"{repo} is there already and is public, so that everyone would see the model; push with --public "
            "(hub.private: false), or make it private on its page"
        )
    if replace or found.files <= INITIAL:
        return
    theirs = None
    if MARKER in found.files:
        with told(repo):
            path = retried(
                lambda: HfApi().hf_hub_download(repo, MARKER, revision=found.head), what=f"look at {repo}", tell=tell
            )
        theirs = read_identity(Path(path).read_bytes())
    if theirs != ours:
        named = ", ".join(sorted(found.files - INITIAL)[:5])
        holds = f"{theirs}, not {ours}" if theirs else f"files that adapt has not pushed ({named})"
        raise HubError(f"{repo} is there already and holds {holds}; name another --repo, or add --replace")


def commit(repo: str, folder: Path, *, title: str, private: bool, replace: bool, tell: Tell) -> str:
    """Put the files of a folder into a repository, in one commit; make the repository if it is not there.

    Whatever fails on the way, and however often it is tried again, there is this one commit or none.

    Args:
        repo: owner/name.
        folder: its files are pushed, and nothing else.
        title: of the commit.
        private: of a repository that is made.
        replace: remove every other file; else those of an earlier push alone.
        tell: gets a line for each failure after which it is tried again.

    Returns:
        The commit.

    Raises:
        HubError: it cannot be done; the repository is as it was.
    """
    api = HfApi()
    found = find(repo, tell=tell)
    with told(repo, doing="nothing was committed"):
        if found is None:
            retried(lambda: api.create_repo(repo, private=private, exist_ok=True), what=f"make {repo}", tell=tell)
            found = find(repo, tell=tell)
            if found is None:
                raise HubError(f"{repo} was made, but the Hub does not show it yet; push again in a minute")
    local = digests(folder)
    content = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in local.items()).encode()).hexdigest()
    unique = f"{title} ({content[:12]})"
    gone = {name for name in found.files - set(local) - INITIAL if replace or name in OURS or name.startswith(PICTURES)}
    operations = [CommitOperationAdd(name, folder / name) for name in local]
    removals = [CommitOperationDelete(name) for name in sorted(gone)]
    parent, tries = found.head, 0

    def once() -> str:
        nonlocal tries
        tries += 1
        newest = api.list_repo_commits(repo)[0] if tries > 1 else None
        if newest is not None and newest.commit_id != parent and newest.title == unique:
            return newest.commit_id  # it had arrived, and only the answer was lost
        made = api.create_commit(repo, [*operations, *removals], commit_message=unique, parent_commit=parent)
        return str(made.oid)

    with told(repo, doing="nothing was committed"):
        return retried(once, what=f"push to {repo}", tell=tell)


class _NotThereError(HubError):
    """No such repository, or none that may be seen."""


@contextmanager
def told(repo: str, *, doing: str = "") -> Iterator[None]:
    """Errors of the Hub and of the network as one sentence with a remedy."""
    end = f"; {doing}" if doing else ""
    try:
        yield
    except GatedRepoError:
        raise HubError(
            f"{repo} is gated; ask for access on its page (https://huggingface.co/{repo}), then log in: hf auth login"
            f"{end}"
        ) from None
    except RepositoryNotFoundError:
        raise _NotThereError(
            f"there is no repository {repo} that you may see; correct the name, or log in to a private one: hf auth "
            f"login{end}"
        ) from None
    except RevisionNotFoundError:
        raise HubError(f"{repo} has no such revision; give a branch, tag or commit of it{end}") from None
    except (HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OSError, RuntimeError, ValueError) as error:
        raise _refused(repo, error, end) from None


def _refused(repo: str, error: Exception, end: str) -> HubError:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return HubError(f"the Hub does not know the token ({reason(error)}); log in again: hf auth login{end}")
    if status == 403:
        return HubError(
            f"you may not write to {repo} ({reason(error)}); name a --repo of yours or of your team, or use a token "
            f"with the right to write{end}"
        )
    if status == 412:
        return HubError(f"{repo} has changed while it was pushed to; push again{end}")
    if status is None and not unreachable(error):
        return HubError(f"{repo}: {reason(error)}{end}")
    if status is None:
        return HubError(f"the Hub cannot be reached ({reason(error)}); check the network, then try again{end}")
    return HubError(f"{repo}: the Hub answers with an error ({reason(error)}); try again later{end}")

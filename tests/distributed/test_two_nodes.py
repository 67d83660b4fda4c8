"""Two nodes on one machine: network namespaces that a pair of virtual devices joins; and their link is cut."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from launching import LONGEST, RECIPE, fingerprint, launched, newest_checkpoint, only_run, wait_for

pytestmark = pytest.mark.slow

TIMEOUT, GRACE = 15, 10
"""Seconds: of the recipe, and what may come on top of it."""
LOST = f"was not to be reached for trainer.process_timeout={TIMEOUT} seconds"


@dataclass(frozen=True)
class Node:
    """A network namespace with one device; both nodes have the same disk."""

    name: str
    device: str
    address: str


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    """Two nodes that reach each other and nobody else."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root, and the command ip, to make network namespaces")
    number = os.getpid()
    both = tuple(Node(f"adapt-{number}-{i}", f"ad{number}{i}"[:15], f"10.213.77.{i + 1}") for i in range(2))
    with ExitStack() as made:
        for node in both:
            found = subprocess.run(["ip", "netns", "add", node.name], capture_output=True, text=True)
            if found.returncode:
                pytest.skip(f"network namespaces cannot be made here: {found.stderr.strip()}")
            made.callback(subprocess.run, ["ip", "netns", "delete", node.name], check=True)
        first, second = both
        _ip(
            "link",
            "add",
            first.device,
            "netns",
            first.name,
            "type",
            "veth",
            "peer",
            second.device,
            "netns",
            second.name,
        )
        for node in both:
            _ip("-n", node.name, "address", "add", f"{node.address}/24", "dev", node.device)
            _ip("-n", node.name, "link", "set", node.device, "up")
            _ip("-n", node.name, "link", "set", "lo", "up")
        yield first, second


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _start(nodes: tuple[Node, Node], folder: Path, running: ExitStack, *more: str) -> list[subprocess.Popen[bytes]]:
    """The same command on both nodes."""
    first, _ = nodes
    processes = []
    for rank, node in enumerate(nodes):
        command = [
            *("ip", "netns", "exec", node.name, sys.executable, "-m", "torch.distributed.run"),
            *("--nnodes", "2", "--node-rank", str(rank), "--nproc-per-node", "1"),
            *("--master-addr", first.address, "--master-port", "29512", "-m", "adapt", "fit"),
            *("--recipe", str(folder / "small.yaml"), f"trainer.process_timeout={TIMEOUT}", *more),
        ]
        environment = {"GLOO_SOCKET_IFNAME": node.device}
        processes.append(running.enter_context(launched(command, folder / f"log{rank}", environment=environment)))
    return processes


def test_two_nodes_train_and_a_cut_link_ends_both_in_time_and_a_restart_goes_on(
    nodes: tuple[Node, Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(f"{RECIPE}cache: {tmp_path}/cache\n", encoding="utf-8")
    with ExitStack() as running:
        straight = _start(nodes, tmp_path, running, f"output={tmp_path}/straight")
        assert [process.wait(LONGEST) for process in straight] == [0, 0], _texts(tmp_path)
    assert (only_run(tmp_path / "straight") / "report.html").is_file()
    whole = fingerprint(only_run(tmp_path / "straight"))

    output = tmp_path / "runs"
    again = (f"output={output}", "--resume", "auto", "trainer.checkpoint_minutes=0")
    with ExitStack() as running:
        processes = _start(nodes, tmp_path, running, *again)
        wait_for(lambda: newest_checkpoint(output) >= "epoch_00001_batch_000002", processes[0], tmp_path / "log0")
        _ip("-n", nodes[0].name, "link", "set", nodes[0].device, "down")
        cut = time.monotonic()
        told = [_seconds_until(lambda log=log: LOST in log.read_text(encoding="utf-8"), cut) for log in _logs(tmp_path)]
        took = [_seconds_until(lambda process=process: process.poll() is not None, cut) for process in processes]
        with capsys.disabled():
            print(f"\nlink cut: told after {told}, ended after {took} s; trainer.process_timeout={TIMEOUT}")
        assert max(told) <= max(took) <= TIMEOUT + GRACE
        assert [process.returncode for process in processes] == [1, 1]
    assert newest_checkpoint(output) < "epoch_00002"  # in mid-epoch

    _ip("-n", nodes[0].name, "link", "set", nodes[0].device, "up")
    with ExitStack() as running:
        processes = _start(nodes, tmp_path, running, *again)
        assert [process.wait(LONGEST) for process in processes] == [0, 0], _texts(tmp_path)
    assert "going on after" in (tmp_path / "log0").read_text(encoding="utf-8")
    assert fingerprint(only_run(output)) == whole


def _logs(folder: Path) -> list[Path]:
    return [folder / f"log{rank}" for rank in range(2)]


def _texts(folder: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8") for log in _logs(folder))


def _seconds_until(condition: Callable[[], bool], begun: float) -> float:
    while not condition():
        assert time.monotonic() - begun < LONGEST
        time.sleep(0.02)
    return round(time.monotonic() - begun, 1)

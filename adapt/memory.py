"""What to do when memory is not enough, and how much of it there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from adapt.errors import RunError
from adapt.recipe import Recipe

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What allocators say that raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator, of a GPU or of the machine, has failed."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


@contextmanager
def memory_errors_explained(recipe: Recipe, *, image_size: int, encoder_trains: bool) -> Iterator[None]:
    """Turn an allocator's error inside into one that says what to lower.

    Raises:
        RunError: memory was not enough.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        said = (str(error).strip().splitlines() or ["no memory is left"])[0]
        advice = "; ".join(what_to_lower(recipe, image_size=image_size, encoder_trains=encoder_trains))
        raise RunError(f"out of memory in training ({said}). What helps, the cheapest first: {advice}") from None


def what_to_lower(recipe: Recipe, *, image_size: int, encoder_trains: bool) -> list[str]:
    """Values of a recipe that cost memory, and how they are now; what changes the result least comes first."""
    trainer, advice = recipe.trainer, []
    if recipe.model.attention == "stock":
        advice.append("model.attention=folded")
    if encoder_trains and not trainer.recompute:
        advice.append("trainer.recompute=true, which costs time")
    if trainer.batch_size > 1:
        more = trainer.accumulate * 2
        advice.append(
            f"trainer.batch_size={trainer.batch_size // 2} (now {trainer.batch_size}) with trainer.accumulate={more}, "
            "which makes steps as large as before; --auto-batch finds the largest batch"
        )
    if trainer.objects_per_image > 1:
        advice.append(f"trainer.objects_per_image={trainer.objects_per_image // 2} (now {trainer.objects_per_image})")
    if trainer.precision == "32-true":
        advice.append("trainer.precision=bf16-mixed")
    if recipe.loss.at == "image":
        advice.append("loss.at=mask (now image)")
    if encoder_trains:
        advice.append(f"fewer trained blocks, or none: tuning.mode=decoder (now {recipe.tuning.mode})")
    advice.append(
        f"a smaller model.input_size (now {image_size}), which sees less detail, or a smaller model.checkpoint"
    )
    return advice


def free_bytes(device: torch.device) -> int:
    """Memory that this process could still take on a device.

    Raises:
        RunError: this kind of device, or system, does not say.
    """
    if device.type == "cuda":
        unused_cache = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_cache
    if device.type != "cpu":
        raise RunError(f"how much memory is free on {device} is not known; set trainer.batch_size")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        available = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        raise RunError(
            "how much memory is free is read from /proc, which is not here; set trainer.batch_size"
        ) from None
    return min([available, *_room_of_container()])


def _room_of_container() -> list[int]:
    """What control groups leave to this process; nothing if none limits it."""
    found = []
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
            try:
                numbers = [int((folder / name).read_text(encoding="utf-8")) for name in (limit, used)]
            except (OSError, ValueError):  # not there, or `max`: no limit
                continue
            found.append(max(0, numbers[0] - numbers[1]))
    return found


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak anew.

    Raises:
        RunError: the system does not allow it.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        raise RunError(
            "the peak of memory cannot be measured here (/proc/self/clear_refs); set trainer.batch_size"
        ) from None


def peak_bytes(device: torch.device) -> int:
    """The most memory that this process has held on a device since `reset_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return _of_process("VmHWM")


def held_bytes(device: torch.device) -> int:
    """The memory that this process holds on a device now."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else _of_process("VmRSS")


def _of_process(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

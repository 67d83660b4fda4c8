"""A folder with what a run has put into a model, and with the decoder if it has trained; not the model itself.

What peft has inserted is kept as peft keeps it, so that `PeftModel.from_pretrained(stock_model, folder)` reads it; the
rest as `adapter.safetensors`, and a memory that was trained on clips as `memory.safetensors`. `adapter.json` says on
which weights it stands.
"""

import copy
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from adapt.errors import CheckpointError
from adapt.recipe import AdapterTuning, InsertingTuning, LoraTuning, ScaleShiftTuning, TextTokenTuning
from adapt.segmenters import PromptableSegmenter, memory_of
from adapt.segmenters.segmenter import TEXT_TOKEN
from adapt.tuning.inserted import ADAPTER, INSERTED, insert_by_peft, peft_layers
from adapt.tuning.modes import choose
from adapt.tuning.quantised import quantise
from adapt.tuning.text_token import insert_text_token
from adapt.wording import listed

FACTS, OWN, PEFT = "adapter.json", "adapter.safetensors", "adapter_model.safetensors"
MEMORY = "memory.safetensors"
PREFIX, SHARED_PREFIX = "base_model.model.", "base_model."
"""What peft writes in front of the name of a layer's weight, and of one that layers share."""

SHARED = ("vera_A", "vera_B")
"""The matrices that VeRA shares between layers; peft keeps them once, with the model."""
STATISTICS = re.compile(r"\.running_(mean|var)$")
"""Of batch norms: no parameters, but what an adapter stands on all the same."""


@dataclass(frozen=True)
class BaseWeights:
    """The weights that an adapter stands on.

    Attributes:
        checkpoint: `model.checkpoint` of the recipe.
        revision: the Hub commit; None for a local checkpoint.
        input_size: side of the model's input, pixels.
        sha256: of all weights.
    """

    checkpoint: str
    revision: str | None
    input_size: int
    sha256: str


def base_weights(segmenter: PromptableSegmenter, checkpoint: str) -> BaseWeights:
    """Of an untouched segmenter, or of one with inserted networks whose own weights are untouched."""
    return BaseWeights(checkpoint, segmenter.commit, segmenter.spec.image_size, _digest(segmenter))


def _digest(segmenter: PromptableSegmenter) -> str:
    digest = hashlib.sha256()
    statistics = [(name, value) for name, value in segmenter.model.named_buffers() if STATISTICS.search(name)]
    for name, weight in (*sorted(segmenter.named_parameters()), *sorted(statistics)):
        if not INSERTED.search(name):
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype};".encode())
            digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_adapter(segmenter: PromptableSegmenter, folder: Path, *, tuning: InsertingTuning, base: BaseWeights) -> None:
    """Write what a mode has inserted, and the decoder and the memory of a video model if they trained.

    Args:
        segmenter: with inserted parts.
        folder: empty.
        tuning: as in the recipe.
        base: the weights without all that.
    """
    facts = {"base": asdict(base), "tuning": tuning.model_dump(mode="json")}
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    memory = _memory(segmenter)
    if any(parameter.requires_grad for parameter in memory.values()):
        _write(dict(memory), folder / MEMORY)
    weights = _slots(segmenter, decoder=tuning.decoder)
    config = _peft_config(segmenter)
    if config is None:
        _write(weights, folder / OWN)
        return
    config = copy.deepcopy(config)
    config.base_model_name_or_path, config.revision, config.inference_mode = base.checkpoint, base.revision, True
    config.modules_to_save = [name_of(segmenter, segmenter.mask_decoder)] if tuning.decoder else None
    config.save_pretrained(str(folder))
    _write({_as_peft(name): value for name, value in weights.items()}, folder / PEFT)


def load_adapter(segmenter: PromptableSegmenter, folder: Path) -> None:
    """Insert what a folder holds into an untouched segmenter, which then gives what the saved one gave, to the bit.

    It is left in eval mode.

    Raises:
        CheckpointError: a file is missing or damaged, or the segmenter's weights are not those it was trained on.
    """
    base, tuning = _facts(folder)
    _check_base(segmenter, base, folder)
    try:
        if isinstance(tuning, TextTokenTuning):  # its CLIP need not be there
            saved = load_file(folder / OWN)
            of_prompts = name_of(segmenter, segmenter.prompt_encoder)
            insert_text_token(segmenter, width=saved[f"{of_prompts}.{TEXT_TOKEN}.weight"].shape[1])
        elif isinstance(tuning, AdapterTuning | ScaleShiftTuning):
            choose(segmenter, tuning)
            saved = load_file(folder / OWN)
        else:
            if isinstance(tuning, LoraTuning) and tuning.encoder_bits is not None:
                quantise(segmenter, bits=tuning.encoder_bits)
            config = PeftConfig.from_pretrained(str(folder))
            config.modules_to_save = None  # the decoder's weights are read into the decoder itself
            insert_by_peft(segmenter, config)
            saved = load_file(folder / PEFT)
        remembered = load_file(folder / MEMORY) if (folder / MEMORY).exists() else {}
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be read ({error}); copy the run's folder again, or fit again") from None
    peft = _peft_config(segmenter) is not None
    slots = {_as_peft(n) if peft else n: value for n, value in _slots(segmenter, decoder=tuning.decoder).items()}
    if remembered:
        saved |= remembered
        slots |= _memory(segmenter)
    wrong = sorted(slots.keys() ^ saved.keys())
    wrong += [name for name in slots.keys() & saved.keys() if slots[name].shape != saved[name].shape]
    if wrong:
        raise CheckpointError(f"{folder} does not fit the model: {listed(wrong)}; copy the run's folder again")
    with torch.no_grad():
        for name, value in slots.items():
            value.copy_(saved[name])
    segmenter.eval()


def _facts(folder: Path) -> tuple[BaseWeights, InsertingTuning]:
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        tuning: InsertingTuning = TypeAdapter(InsertingTuning).validate_json(json.dumps(facts["tuning"]))
        return BaseWeights(**facts["base"]), tuning
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / FACTS} cannot be read ({str(error).splitlines()[0]}); copy the run's folder again, or fit again"
        ) from None


def _check_base(segmenter: PromptableSegmenter, base: BaseWeights, folder: Path) -> None:
    found = _digest(segmenter)
    if found != base.sha256:
        revision = f", revision {base.revision}" if base.revision else ""
        raise CheckpointError(
            f"{folder} stands on other weights (sha256 {base.sha256[:12]}…) than this model's ({found[:12]}…): set "
            f"model.checkpoint to the ones it was trained on, {base.checkpoint}{revision} at {base.input_size} px"
        )


def _peft_config(segmenter: PromptableSegmenter) -> PeftConfig | None:
    configs: dict[str, PeftConfig] = getattr(segmenter.model, "peft_config", {})
    return configs.get(ADAPTER)


def _as_peft(name: str) -> str:
    return f"{PREFIX if name not in SHARED else SHARED_PREFIX}{name}"


def _slots(segmenter: PromptableSegmenter, *, decoder: bool) -> dict[str, Tensor]:
    """What is kept, by its name in the file; but for parts of fused layers the tensors of the model themselves."""
    if _peft_config(segmenter) is None:
        inserted: dict[str, Tensor] = {
            name: p for name, p in segmenter.model.named_parameters() if INSERTED.search(name)
        }
    else:
        inserted = _peft_weights(segmenter)
    if not decoder:
        return inserted
    name = name_of(segmenter, segmenter.mask_decoder)
    return inserted | {f"{name}.{key}": value for key, value in segmenter.mask_decoder.named_parameters()}


def _memory(segmenter: PromptableSegmenter) -> dict[str, nn.Parameter]:
    """The parameters of the memory by their names in the stock model; none in families of images."""
    memory = memory_of(segmenter)
    own = set() if memory is None else {id(parameter) for parameter in memory.parameters}
    return {name: parameter for name, parameter in segmenter.model.named_parameters() if id(parameter) in own}


def name_of(segmenter: PromptableSegmenter, part: nn.Module) -> str:
    """What the stock model calls a part of it."""
    names: dict[int, str] = {id(module): name for name, module in segmenter.model.named_modules()}
    return names[id(part)]


def _peft_weights(segmenter: PromptableSegmenter) -> dict[str, Tensor]:
    """The tensors of the wrapped layers, by the names that they have in a file of peft."""
    found: dict[str, Tensor] = {}
    for name, layer in peft_layers(segmenter):
        for kind in layer.adapter_layer_names:
            held: Any = getattr(layer, kind, None)
            if held is None or ADAPTER not in held:
                continue
            value = held[ADAPTER]
            tensor = value if isinstance(value, Tensor) else value.weight
            bare = isinstance(value, Tensor) or kind == "lora_magnitude_vector"
            found[f"{name}.{kind}" if bare else f"{name}.{kind}.weight"] = tensor
        found |= {shared: getattr(layer, shared)[ADAPTER] for shared in SHARED if hasattr(layer, shared)}
    return found


def _write(weights: dict[str, Tensor], path: Path) -> None:
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}, path)

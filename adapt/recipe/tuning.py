"""Which parameters train, by `mode`; each mode has its own keys, and only those."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adapt.recipe.settings import Settings, Share

Role = Literal["query", "key", "value", "proj", "mlp", "decoder_attention"]


def _no_repeats(targets: list[Role]) -> list[Role]:
    if len(set(targets)) != len(targets):
        raise ValueError(f"a target is named twice: {', '.join(targets)}")
    return targets


Targets = Annotated[
    list[Role],
    Field(
        min_length=1,
        description="Which Linear layers: query, key, value and proj (the output) of the encoder's attention, both "
        "of its mlp, decoder_attention (all of the mask decoder's; with decoder: false).",
    ),
    AfterValidator(_no_repeats),
]

Blocks = Annotated[
    Literal["all", "half"] | Annotated[int, Field(ge=1)],
    Field(
        description="Of the encoder: all, half (the last half), or how many of the last ones. What lies in front of "
        "them is never trained through: late placement needs less memory, and its features can be cached."
    ),
]

TrainsDecoder = Annotated[bool, Field(description="Train the mask decoder along.")]

Rank = Annotated[int, Field(ge=1, description="Of the low-rank update; at most the layer's smaller side.")]

Alpha = Annotated[float, Field(gt=0, description="The update is scaled by alpha / rank.")]


class DecoderTuning(Settings):
    """The mask decoder trains; the encoder is frozen."""

    mode: Literal["decoder"] = "decoder"
    layers: Literal["all", "hq"] = Field(
        "all", description="Of the mask decoder: all, or those that SAM-HQ has added to SAM's (hq), as its authors did."
    )
    prompt_encoder: bool = Field(False, description="Train the prompt encoder along with the mask decoder.")


class NormTuning(Settings):
    """Of the encoder, only layer norms and biases train."""

    mode: Literal["norm"] = "norm"
    norms: bool = Field(True, description="Layer norms, those of the neck included.")
    biases: bool = Field(True, description="Biases of all other layers of the blocks.")
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class LoraTuning(Settings):
    """Low-rank updates beside Linear layers (LoRA)."""

    mode: Literal["lora"] = "lora"
    rank: Rank = 8
    alpha: Annotated[float, Field(gt=0, description="Scaled by alpha / rank; with rslora by alpha / sqrt(rank).")] = 8.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="Of the update's input, in training.")] = 0.0
    dora: bool = Field(False, description="Learn magnitude and direction apart (DoRA); slower.")
    rslora: bool = Field(False, description="Scale by the root of the rank (rsLoRA), for ranks of 32 and more.")
    targets: Targets = Field(["query", "value"])
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True
    encoder_bits: Literal[4, 8] | None = Field(
        None, description="Keep the frozen encoder in 4 or 8 bits (bitsandbytes); CUDA only, and never merged."
    )


class Ia3Tuning(Settings):
    """A learnt factor a channel (IA3): of the layers' outputs, and of the inputs of the MLP's."""

    mode: Literal["ia3"] = "ia3"
    targets: Targets = Field(["query", "key", "value", "mlp"])
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class LohaTuning(Settings):
    """Updates that are the elementwise product of two low-rank ones (LoHa)."""

    mode: Literal["loha"] = "loha"
    rank: Rank = 8
    alpha: Alpha = 8.0
    targets: Targets = Field(["query", "key", "value"])
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class OftTuning(Settings):
    """Rotations of the layers' inputs, block by block (OFT)."""

    mode: Literal["oft"] = "oft"
    block_size: int = Field(32, ge=2, description="Channels that rotate among themselves; divides the layer's input.")
    targets: Targets = Field(["query", "key", "value"])
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class VeraTuning(Settings):
    """Random matrices, shared by all layers and frozen, and learnt factors between them (VeRA)."""

    mode: Literal["vera"] = "vera"
    rank: int = Field(256, ge=1, description="Of the shared matrices; larger than a LoRA's.")
    targets: Targets = Field(["query", "key", "value"])
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class AdapterTuning(Settings):
    """Small networks between the frozen layers of the encoder's blocks."""

    mode: Literal["adapter"] = "adapter"
    kind: Literal["medical_sam", "sam_med2d", "adaptformer"] = Field(
        "medical_sam",
        description="medical_sam: bottlenecks behind the attention and beside the MLP; sam_med2d: channel and space "
        "adapter in front of the MLP; adaptformer: a bottleneck beside the MLP.",
    )
    width: int = Field(64, ge=1, description="Channels of the bottleneck.")
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class ScaleShiftTuning(Settings):
    """A factor and an offset a channel behind each Linear layer and layer norm (SSF)."""

    mode: Literal["scale_shift"] = "scale_shift"
    blocks: Blocks = "all"
    decoder: TrainsDecoder = True


class TextTokenTuning(Settings):
    """A prompt token from CLIP's embedding of an object, which a text can take the place of; all else is frozen."""

    mode: Literal["text_token"] = "text_token"
    clip: str = Field(
        "openai/clip-vit-large-patch14-336",
        min_length=1,
        description="The CLIP whose embeddings are projected: Hub id, or local folder.",
    )
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit) of the CLIP.")
    context: float = Field(
        1.5, ge=1, description="Side of the crop around an object, as a multiple of the longer side of its box."
    )
    decoder: TrainsDecoder = False


class FullTuning(Settings):
    """Everything trains."""

    mode: Literal["full"] = "full"
    drop_path: Share = Field(
        0.0, lt=1, description="Chance that the last block is skipped for an image, in training; less in those before."
    )


PeftTuning = LoraTuning | Ia3Tuning | LohaTuning | OftTuning | VeraTuning
"""Modes that the library peft inserts."""

InsertingTuning = PeftTuning | AdapterTuning | ScaleShiftTuning | TextTokenTuning
"""Modes that put something into the model; a run of them keeps what was put in, not the model."""

TuningSettings = Annotated[
    DecoderTuning | NormTuning | InsertingTuning | FullTuning,
    Field(discriminator="mode"),
]

INSERTING = frozenset({"lora", "ia3", "loha", "oft", "vera", "adapter", "scale_shift", "text_token"})
"""Modes of `InsertingTuning`."""

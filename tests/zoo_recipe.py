"""Real architectures, tiny and with random weights: how to build and to train them.

Everything comes from the configuration classes of `transformers`, offline.
"""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

STEPS = 4
BATCH, LENGTH, VOCABULARY = 2, 12, 99
LARGEST = 30_000_000
"""Parameters beyond which shrinking did not work."""

_WIDTHS = (
    "hidden_size d_model n_embd dim embed_dim embedding_size projection_dim word_embed_proj_dim hidden_dim"
    " encoder_hidden_size decoder_hidden_size moe_intermediate_size shared_expert_intermediate_size lru_width"
    " expert_ffn_hidden_size image_size"
)
_DEPTHS = (
    "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_encoder_layers"
    " num_decoder_layers depth n_blocks num_key_value_heads n_head_kv num_experts_per_tok moe_topk top_k_experts"
    " linear_num_key_heads num_key_heads"
)
_HEADS = (
    "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads attention_heads"
    " num_experts num_local_experts n_routed_experts mamba_n_heads time_step_rank conv_kernel linear_num_value_heads"
    " rotary_dim"
)
_HEAD_SIZES = (
    "head_dim d_kv kv_channels d_head attention_head_dim head_size qk_rope_head_dim qk_nope_head_dim v_head_dim"
    " patch_size state_size mamba_d_state linear_key_head_dim linear_value_head_dim attention_window"
)
_HIDDEN = (
    "intermediate_size d_ff ffn_dim encoder_ffn_dim decoder_ffn_dim n_inner d_inner ffn_hidden_size"
    " hidden_size_ffn mlp_dim"
)
_LENGTHS = "max_position_embeddings n_positions n_ctx max_seq_len max_source_positions max_target_positions"
SMALL: dict[str, int] = {
    **dict.fromkeys(_WIDTHS.split(), 32),
    **dict.fromkeys(_DEPTHS.split(), 2),
    **dict.fromkeys(_HEADS.split(), 4),
    **dict.fromkeys(_HEAD_SIZES.split(), 8),
    **dict.fromkeys(_HIDDEN.split(), 64),
    **dict.fromkeys(_LENGTHS.split(), 128),
    **dict.fromkeys(("n_shared_experts", "n_group", "topk_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "sliding_window"), 16),
    "vocab_size": VOCABULARY,
}
_PER_LAYER = (
    "layer_types", "layers_block_type", "mlp_layer_types", "attention_types", "block_types", "no_rope_layers",
    "mlp_only_layers", "moe_layers",
)  # fmt: skip
_SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")

HEADS = {
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
    "MASKED_LM": transformers.AutoModelForMaskedLM,
    "SEQ_TO_SEQ_CAUSAL_LM": transformers.AutoModelForSeq2SeqLM,
    "IMAGE_CLASSIFICATION": transformers.AutoModelForImageClassification,
    "AUDIO_CLASSIFICATION": transformers.AutoModelForAudioClassification,
    "BASE": transformers.AutoModel,
}


def architectures() -> list[str]:
    """Every model type that has one of the heads above; towers of others are left to their owners."""
    types = [name for name in CONFIG_MAPPING if not name.endswith(("_text", "_vision"))]
    return [name for name in types if head_of(name) is not None]


def head_of(model_type: str) -> str | None:
    """The first head that exists for a model type."""
    for name in HEADS:
        table = "MODEL_MAPPING_NAMES" if name == "BASE" else f"MODEL_FOR_{name}_MAPPING_NAMES"
        if model_type in getattr(modeling_auto, table):
            return name
    return None


# --- building ------------------------------------------------------------------------------------------------


def shrink(config: Any, seen: set[int] | None = None) -> None:
    """Make a configuration tiny, with everything inside it."""
    seen = seen if seen is not None else set()
    if id(config) in seen:
        return
    seen.add(id(config))
    values = dict(config.__dict__)
    for name, small in SMALL.items():
        old = values.get(name)
        if isinstance(old, int) and not isinstance(old, bool) and (old > small or name == "head_dim"):
            setattr(config, name, small)
    for value in values.values():
        if isinstance(value, transformers.PretrainedConfig):
            shrink(value, seen)
    _shorten(config, values)
    for name in _SPECIAL:
        old = values.get(name)
        if (isinstance(old, int) and old >= VOCABULARY) or (name == "eos_token_id" and isinstance(old, list)):
            setattr(config, name, 1)


def _shorten(config: Any, values: dict[str, Any]) -> None:
    """Cut lists with an entry per layer, keeping as many kinds of layer as fit."""
    layers = getattr(config, "num_hidden_layers", 2)
    for name in _PER_LAYER:
        old = values.get(name)
        if not isinstance(old, list) or not isinstance(layers, int) or len(old) <= layers:
            continue
        kinds = list(dict.fromkeys(old)) if isinstance(old[0], str) else old
        varied = len(set(map(str, old[:layers]))) >= min(layers, len(set(map(str, old))))
        setattr(config, name, old[:layers] if varied else (kinds * layers)[:layers])


def seed(number: int) -> None:
    """All generators that models draw from."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def build(model_type: str) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """A tiny model in training mode and a batch for it, the same every time."""
    config = CONFIG_MAPPING[model_type]()
    shrink(config)
    config.use_cache = False
    maker = HEADS[head_of(model_type) or "BASE"]
    with torch.device("meta"):
        size = sum(p.numel() for p in maker.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{model_type} does not get small: {size} parameters")
    seed(0)
    model = maker.from_config(config).train()
    return model, batch_for(model, config)


def batch_for(model: nn.Module, config: Any) -> dict[str, torch.Tensor]:
    """Inputs by the model's main input and signature."""
    names = inspect.signature(model.forward).parameters
    main = getattr(model, "main_input_name", "input_ids")
    batch: dict[str, torch.Tensor] = {}
    tokens = torch.randint(3, 90, (BATCH, LENGTH))
    if main == "pixel_values":
        batch["pixel_values"] = _image(getattr(config, "vision_config", config))
        if "input_ids" in names:
            batch["input_ids"] = tokens
    elif main == "input_values":
        batch["input_values"] = torch.randn(BATCH, 4000)
    elif main == "input_features":
        batch["input_features"] = _spectrogram(config)
    else:
        batch["input_ids"] = tokens
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in names:
        batch["decoder_input_ids"] = torch.randint(3, 90, (BATCH, LENGTH))
    if "labels" in names and set(batch) <= {"input_ids", "decoder_input_ids"} and "LM" in type(model).__name__:
        batch["labels"] = tokens
    return batch


def _image(config: Any) -> torch.Tensor:
    size = getattr(config, "image_size", 32)
    size = size[0] if isinstance(size, (list, tuple)) else size
    size = size if isinstance(size, int) else 32
    return torch.randn(BATCH, getattr(config, "num_channels", 3) or 3, size, size)


def _spectrogram(config: Any) -> torch.Tensor:
    bins = getattr(config, "num_mel_bins", 80)
    if "whisper" in config.model_type:
        return torch.randn(BATCH, bins, 2 * getattr(config, "max_source_positions", 100))
    return torch.randn(BATCH, 64, getattr(config, "feature_projection_input_dim", bins))


# --- training ------------------------------------------------------------------------------------------------


def floats(output: Any) -> Iterator[torch.Tensor]:
    """Every tensor in an output that a loss could be made of."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point() and output.requires_grad:
            yield output
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from floats(item)
    elif hasattr(output, "values"):
        for item in output.values():
            yield from floats(item)


@dataclass
class Plain:
    """What a training did, seen by nobody but autograd."""

    losses: list[float] = field(default_factory=list)
    received: set[str] = field(default_factory=set)


def train(
    model: nn.Module, batch: dict[str, torch.Tensor], seen: Plain, turns: Iterable[object] = range(STEPS)
) -> None:
    """The usual loop."""
    seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in turns:
        optimizer.zero_grad()
        output = model(**batch)
        if "labels" in batch:
            loss = output.loss
        else:
            loss = torch.stack([x.float().pow(2).mean() for x in floats(output)]).sum()
        loss.backward()
        seen.received.update(name for name, p in model.named_parameters() if p.grad is not None)
        optimizer.step()
        seen.losses.append(loss.item())

"""No false alarm on real architectures: tiny models of `transformers`, each trained a few steps and judged.

`benchmarks/zoo.py` does the same with all that can be built.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("transformers")

import torch
import transformers

from tests.zoo_judge import WAYS, judge
from tests.zoo_recipe import architectures

pytestmark = pytest.mark.filterwarnings("ignore")  # what other people's models warn of is not ours

LANGUAGE = [
    "albert",
    "arcee",
    "bart",
    "bert",
    "biogpt",
    "bitnet",
    "bloom",
    "camembert",
    "codegen",
    "cohere",
    "cohere2",
    "deberta",
    "deberta-v2",
    "diffllama",
    "distilbert",
    "electra",
    "ernie4_5",
    "falcon",
    "fnet",
    "gemma",
    "gemma2",
    "glm",
    "gpt2",
    "gpt_bigcode",
    "gpt_neo",
    "gpt_neox",
    "gptj",
    "granite",
    "llama",
    "mistral",
    "modernbert",
    "mpt",
    "opt",
    "roc_bert",
    "roberta",
    "squeezebert",
    "switch_transformers",
    "t5",
    "whisper",
    "canine",
    "mobilebert",
]
EXPERTS = ["cohere2_moe", "deepseek_v4", "ernie4_5_moe", "granitemoe", "mixtral", "qwen3_moe"]
RECURRENT = ["falcon_mamba", "mamba", "recurrent_gemma", "qwen3_5"]
VISION = [
    "beit",
    "clip",
    "clip_vision_model",
    "data2vec-vision",
    "dinov2",
    "dinov3_vit",
    "dpt",
    "focalnet",
    "ijepa",
    "mobilenet_v2",
    "mobilevit",
    "sam_vision_model",
    "vit",
    "vit_mae",
    "vit_msn",
]
SEVERAL_TOWERS = ["aria", "audioflamingo3", "gemma3", "glmasr", "llava", "modernvbert", "qwen3_vl", "visual_bert"]
AUDIO = ["higgs_audio_v2", "sew", "wav2vec2-bert"]
TYPES = [*LANGUAGE, *EXPERTS, *RECURRENT, *VISION, *SEVERAL_TOWERS, *AUDIO]


@pytest.fixture(autouse=True)
def one_quiet_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


@pytest.mark.parametrize("model_type", TYPES)
def test_only_what_truly_got_no_gradient_is_told(model_type: str) -> None:
    verdict = judge(model_type, WAYS if TYPES.index(model_type) % 4 == 0 else WAYS[:1])
    assert verdict.wrong == []
    assert verdict.warned <= verdict.never


def test_the_zoo_is_large_and_exists() -> None:
    assert len(set(TYPES)) == len(TYPES) >= 60
    assert set(TYPES) <= set(architectures())

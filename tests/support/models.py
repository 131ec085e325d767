"""Tiny random models of every architecture that Transformers ships as ``*ForMaskedLM``."""

import pytest
import torch
from transformers import AutoModelForMaskedLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

VOCABULARY = 64

# The names under which architectures keep their sizes.
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "d_model": 32,
    "dim": 32,
    "emb_dim": 32,
    "embedding_size": 32,
    "embedding_dim": 32,
    "intermediate_size": 48,
    "d_inner": 48,
    "hidden_dim": 48,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "d_ff": 48,
    "feed_forward_size": 48,
    "num_hidden_layers": 2,
    "num_layers": 2,
    "n_layers": 2,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_attention_heads": 4,
    "n_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "mask_token_id": 3,
    "mask_index": 3,
    "pad_index": 1,
    "bos_index": 0,
    "eos_index": 2,
    "unk_index": 3,
}

# What a family needs beside that to be built, or to be built small.
OWN = {
    "modernbert": {"pad_token_id": 1, "global_attn_every_n_layers": 2, "local_attention": 8},
    "longformer": {"attention_window": [4, 4]},
    "big_bird": {"attention_type": "original_full"},
    "convbert": {"embedding_size": 32, "conv_kernel_size": 3},
    "mobilebert": {"intra_bottleneck_size": 32, "true_hidden_size": 32, "embedding_size": 32},
    "funnel": {
        "block_sizes": [1, 1],
        "block_repeats": [1, 1],
        "num_decoder_layers": 1,
        "d_head": 8,
        "n_head": 4,
    },
    "nystromformer": {"segment_means_seq_len": 8, "num_landmarks": 8},
    "tapas": {"type_vocab_sizes": [2, 8, 8, 8, 8, 8, 4]},
    "esm": {"position_embedding_type": "rotary", "emb_layer_norm_before": False},
    "squeezebert": {
        "q_groups": 1,
        "k_groups": 1,
        "v_groups": 1,
        "post_attention_groups": 1,
        "intermediate_groups": 1,
        "output_groups": 1,
    },
    "ibert": {"quant_mode": False},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "xmod": {"languages": ["en"], "default_language": "en"},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 8},
    "roc_bert": {"pronunciation_vocab_size": 8, "shape_vocab_size": 8},
    "reformer": {
        "axial_pos_embds": False,
        "num_hidden_layers": 2,
        "attn_layers": ["local", "local"],
        "local_attn_chunk_length": 4,
        "is_decoder": False,
        "max_position_embeddings": 64,
    },
    "perceiver": {"num_latents": 4, "d_latents": 32, "num_self_attends_per_block": 1},
    "fnet": {"use_tpu_fourier_optimizations": False},
}

# Two families read images beside text. Their sizes are those of a family for text and of SigLIP.
WITH_IMAGES = {"modernvbert": "modernbert", "ultravbert": "ultrabert"}
IMAGES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 16,
}

# Perceiver answers as many places as it has positions, however many tokens it is given.
LEFT_OUT = {"perceiver"}
# Families in a form that changes itself in a forward pass, or draws in evaluation mode.
VARIANTS = {
    "big_bird-sparse": ("big_bird", {"attention_type": "block_sparse", "block_size": 4}),
    "reformer-lsh": (
        "reformer",
        {"attn_layers": ["local", "lsh"], "lsh_attn_chunk_length": 4, "num_hashes": 2},
    ),
    "ibert-quantized": ("ibert", {"quant_mode": True}),
    "eurobert-dynamic": (
        "eurobert",
        {
            "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0},
            "max_position_embeddings": 16,
        },
    ),
    "esm-absolute": ("esm", {"position_embedding_type": "absolute"}),
}
FAMILIES = tuple(sorted(set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) - LEFT_OUT))
# One family of each kind of head, of positions and of attention, for the default run.
TYPICAL = {
    *("albert", "bart", "bert", "deberta-v2", "distilbert", "electra", "esm", "funnel"),
    *("mobilebert", "modernbert", "modernvbert", "nystromformer", "reformer", "roberta", "xmod"),
}


def sweep(*names: str):
    """Return the families as parameters; those that are like a typical one run with --full."""
    default = TYPICAL | VARIANTS.keys()
    return [pytest.param(name, marks=[] if name in default else pytest.mark.full) for name in names]


def tiny_model(family: str, **changes):
    """Build a tiny random model of a family, or raise what its constructor raises."""
    torch.manual_seed(0)
    if text := WITH_IMAGES.get(family):
        text_config = _small(text, changes)
        config = CONFIG_MAPPING[family](
            text_config=text_config.to_dict(), vision_config=IMAGES, pixel_shuffle_factor=2
        )
    else:
        config = _small(family, changes)
    return AutoModelForMaskedLM.from_config(config)


def _small(family, changes):
    """Return the configuration of a tiny model."""
    defaults = CONFIG_MAPPING[family]().to_dict()
    sizes = {key: value for key, value in SMALL.items() if key in defaults or key == "vocab_size"}
    return CONFIG_MAPPING[family](**(sizes | OWN.get(family, {}) | changes))


def variant(name: str, **changes):
    """Build a tiny random model of a family, or of a variant of one."""
    family, own = VARIANTS.get(name, (name, {}))
    return tiny_model(family, **(own | changes))


def without_dropout(family, **changes):
    """Return a family's tiny model with every dropout rate 0."""
    defaults = tiny_model(family).config.to_dict()
    rates = {
        key: 0.0 for key, value in defaults.items() if "dropout" in key and isinstance(value, float)
    }
    return tiny_model(family, **(rates | changes))

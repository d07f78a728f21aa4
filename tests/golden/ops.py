#!/usr/bin/env python3
"""Makes tests/golden/ops/ops.safetensors: inputs and outputs of single modules of the original framework, in float32
and bfloat16, on random input. Names: CASE.DTYPE.TENSOR.

Pinned: torch 2.9.1, transformers 4.57.6.
Run:  OMP_NUM_THREADS=1 python tests/golden/ops.py"""

import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.models.qwen3_vl import modeling_qwen3_vl as vl
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig, Qwen3VLVisionConfig
from transformers.models.qwen3_vl_moe import modeling_qwen3_vl_moe as moe
from transformers.models.qwen3_vl_moe.configuration_qwen3_vl_moe import Qwen3VLMoeTextConfig

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops")
OUT = {}
torch.manual_seed(20240517)


def put(case, dtype, **tensors):
    for name, tensor in tensors.items():
        OUT[f"{case}.{'f32' if dtype == torch.float32 else 'bf16'}.{name}"] = tensor.detach().contiguous().clone()


def draw(dtype, *shape, scale=1.0):
    return (torch.randn(*shape) * scale).to(dtype)


def elementwise(dtype):
    x = draw(dtype, 5, 33, scale=3)
    put("gelu_erf", dtype, x=x, y=F.gelu(x))
    put("gelu_tanh", dtype, x=x, y=F.gelu(x, approximate="tanh"))
    up = draw(dtype, 5, 33)
    put("swiglu", dtype, gate=x, up=up, y=F.silu(x) * up)
    put("add", dtype, a=x, b=up, y=x + up)
    put("softmax", dtype, x=x, y=F.softmax(x, dim=-1, dtype=torch.float32).to(dtype))


def norms(dtype):
    x = draw(dtype, 7, 37, scale=2)
    x[3] = 1.5
    x[4] = x[4] * 1e-3
    norm = vl.Qwen3VLTextRMSNorm(37, eps=1e-6)
    norm.weight.data = 1 + 0.25 * torch.randn(37)
    norm = norm.to(dtype)
    put("rms_norm", dtype, x=x, weight=norm.weight, y=norm(x))
    layer = torch.nn.LayerNorm(37, eps=1e-6)
    layer.weight.data = 1 + 0.25 * torch.randn(37)
    layer.bias.data = 0.3 * torch.randn(37)
    layer = layer.to(dtype)
    put("layer_norm", dtype, x=x, weight=layer.weight, bias=layer.bias, y=layer(x))


def rotary(dtype):
    config = Qwen3VLTextConfig(hidden_size=256, num_attention_heads=2, head_dim=128, rope_theta=5e6,
                               rope_scaling={"rope_type": "default", "mrope_section": [24, 20, 20]})
    yarn = Qwen3VLTextConfig(hidden_size=256, num_attention_heads=2, head_dim=128, rope_theta=5e6,
                             max_position_embeddings=1000000,
                             rope_scaling={"rope_type": "yarn", "factor": 3.0, "mrope_section": [24, 20, 20],
                                           "original_max_position_embeddings": 262144})
    positions = torch.tensor([[0, 7, 300, 4097, 262143], [0, 3, 280, 4097, 262143], [0, 11, 291, 4097, 262143]])
    for case, chosen in (("mrope", config), ("mrope_yarn", yarn)):
        module = vl.Qwen3VLTextRotaryEmbedding(chosen)
        cos, sin = module(torch.zeros(1, dtype=dtype), positions[:, None, :])
        put(case, dtype, positions=positions, cos=cos[0, :, :64], sin=sin[0, :, :64], inv_freq=module.inv_freq)
    q = draw(dtype, 1, 3, 5, 128)
    module = vl.Qwen3VLTextRotaryEmbedding(config)
    cos, sin = module(q, positions[:, None, :])
    y, _ = vl.apply_rotary_pos_emb(q, q, cos, sin)
    put("rope_text", dtype, x=q[0].transpose(0, 1), cos=cos[0, :, :64], sin=sin[0, :, :64], y=y[0].transpose(0, 1))

    config = Qwen3VLVisionConfig(depth=1, hidden_size=288, num_heads=4, intermediate_size=40, out_hidden_size=48,
                                 deepstack_visual_indexes=[0], num_position_embeddings=49)
    tower = vl.Qwen3VLVisionModel(config)
    tower.pos_embed.weight.data = torch.randn(49, 288)
    tower = tower.to(dtype)
    tower.rotary_pos_emb = vl.Qwen3VLVisionRotaryEmbedding(36)  # the conversion of the module cut its frequencies
    grids = torch.tensor([[1, 6, 10], [2, 4, 2]])
    angles = tower.rot_pos_emb(grids)
    emb = torch.cat((angles, angles), dim=-1)
    x = draw(dtype, 76, 4, 72)
    y, _ = vl.apply_rotary_pos_emb_vision(x, x, emb.cos(), emb.sin())
    put("rope_vision", dtype, grids=grids, cos=angles.cos(), sin=angles.sin(), x=x[:9], y=y[:9])
    table = tower.pos_embed.weight[:, :5].contiguous()
    put("pos_interp", dtype, grids=grids, table=table, y=tower.fast_pos_embed_interpolate(grids)[:, :5])


def attention(dtype):
    class Module:
        num_key_value_groups = 3
        training = False

    q, k, v = draw(dtype, 1, 6, 4, 72, scale=1.5), draw(dtype, 1, 2, 11, 72), draw(dtype, 1, 2, 11, 72)
    mask = torch.full((4, 11), torch.finfo(dtype).min, dtype=dtype).triu(8)[None, None]
    y, _ = vl.eager_attention_forward(Module(), q, k, v, mask, scaling=72**-0.5)
    put("attention", dtype, q=q[0].transpose(0, 1), k=k[0].transpose(0, 1), v=v[0].transpose(0, 1), y=y[0])


def experts(dtype):
    config = Qwen3VLMoeTextConfig(hidden_size=20, moe_intermediate_size=12, num_experts=9, num_experts_per_tok=3)
    block = moe.Qwen3VLMoeTextSparseMoeBlock(config).eval()
    for parameter in block.parameters():
        parameter.data = torch.randn_like(parameter) / parameter.shape[1] ** 0.5
    block = block.to(dtype)
    x = draw(dtype, 1, 13, 20, scale=2)
    y, logits = block(x)
    put("moe", dtype, x=x[0], logits=logits, gate_up=block.experts.gate_up_proj, down=block.experts.down_proj, y=y[0])


def merger(dtype):
    config = Qwen3VLVisionConfig(hidden_size=10, out_hidden_size=14)
    for case, after in (("merger", False), ("deepstack_merger", True)):
        module = vl.Qwen3VLVisionPatchMerger(config, use_postshuffle_norm=after)
        for name, parameter in module.named_parameters():
            scale = parameter.shape[1] ** -0.5 if parameter.dim() == 2 else 0.3
            parameter.data = torch.randn_like(parameter) * scale + (1.0 if name == "norm.weight" else 0.0)
        module = module.to(dtype)
        x = draw(dtype, 24, 10, scale=2)
        put(case, dtype, x=x, y=module(x), norm_weight=module.norm.weight, norm_bias=module.norm.bias,
            fc1=module.linear_fc1.weight, fc1_bias=module.linear_fc1.bias, fc2=module.linear_fc2.weight,
            fc2_bias=module.linear_fc2.bias)


if __name__ == "__main__":
    for chosen_dtype in (torch.float32, torch.bfloat16):
        for make in (elementwise, norms, rotary, attention, experts, merger):
            make(chosen_dtype)
    os.makedirs(HERE, exist_ok=True)
    save_file(OUT, os.path.join(HERE, "ops.safetensors"))

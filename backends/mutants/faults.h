/* The faults inside kernels, in the order of the museum: X(identifier, name, section, entry, what is wrong,
 * excuse). Names are the museum's slugs; those of its section 8, 10 and 15 that it does not have are ours.
 *
 * Each fault sits at its place in the kernel behind honest_fault(backend, QVL_FAULT_...). Where two rows of
 * the museum would be one fault here, it is planted once:
 * - norm.cast_order_residual is norm.cast_order: no entry adds and normalises in one;
 * - moe.softmax_topk_only is no fault: the contract renormalises, and a softmax over the chosen is that;
 * - moe.flag_ignored is moe.no_renorm: there is no flag;
 * - vit.mask_dropped also stands for window masks: no layer of this family has windows. */
#ifndef QVL_BACKENDS_MUTANTS_FAULTS_H
#define QVL_BACKENDS_MUTANTS_FAULTS_H

#include <stddef.h>

// clang-format off
#define QVL_KERNEL_FAULTS(X) \
    X(POS_BLOCKED_FOR_INTERLEAVED, "pos.blocked_for_interleaved", 1, "mrope_table", \
      "lanes in blocks of T, H and W where Qwen3-VL interleaves them", NULL) \
    X(POS_INTERLEAVED_FOR_BLOCKED, "pos.interleaved_for_blocked", 1, "mrope_table", \
      "lanes interleaved where Qwen2.5-VL has blocks", NULL) \
    X(POS_FUSED_READS_ROW0, "pos.fused_reads_row0", 1, "mrope_table", \
      "height and width turn with the temporal position", NULL) \
    X(POS_ROW_STRIDE_IS_T, "pos.row_stride_is_T", 1, "mrope_table", \
      "rows of the position array taken to be as long as they are used", NULL) \
    X(POS_ROTATE_STYLE_FIXED, "pos.rotate_style_fixed", 1, "rope", \
      "neighbouring elements turn together instead of element i and i + d/2", NULL) \
    X(ROPE_FREQ_BF16, "rope.freq_bf16", 2, "mrope_table", "inverse frequencies rounded to bf16", NULL) \
    X(ROPE_POS_BF16, "rope.pos_bf16", 2, "mrope_table", "positions rounded to bf16", NULL) \
    X(ROPE_TABLE_TOO_SHORT, "rope.table_too_short", 2, "mrope_table", \
      "a table of 4096 positions, read modulo its length", NULL) \
    X(ROPE_YARN_IGNORED, "rope.yarn_ignored", 2, "mrope_table", "the YaRN fields are never read", NULL) \
    X(ROPE_YARN_FACTOR_DROPPED, "rope.yarn_factor_dropped", 2, "mrope_table", \
      "the attention factor of the config is replaced by the formula", NULL) \
    X(ROPE_YARN_FACTOR_SQUARED, "rope.yarn_factor_squared", 2, "mrope_table", \
      "the attention factor is multiplied onto the formula", NULL) \
    X(ROPE_YARN_RATIO_COLLAPSE, "rope.yarn_ratio_collapse", 2, "mrope_table", \
      "the full formula although both mscale fields ask for their ratio", NULL) \
    X(ROPE_SIN_COS_INDEX, "rope.sin_cos_index", 2, "rope", \
      "tables of d/2 entries indexed as if each entry stood twice", NULL) \
    X(QKNORM_SKIPPED_BY_FUSION, "qknorm.skipped_by_fusion", 2, "rms_norm", \
      "the norm of heads is left out when there is one row", NULL) \
    X(QKNORM_PARTIAL_WRITE, "qknorm.partial_write", 2, "rms_norm", \
      "a quarter of each head is stored, the rest keeps older values", NULL) \
    X(QKNORM_HEADS_PER_WARP, "qknorm.heads_per_warp", 2, "rms_norm", \
      "from 64 rows on, only the first of four heads is normalised", NULL) \
    X(NORM_CAST_ORDER, "norm.cast_order", 3, "rms_norm", \
      "rounded after the weight instead of before it", NULL) \
    X(NORM_EPS_HARDCODED, "norm.eps_hardcoded", 3, "rms_norm", "eps is 1e-5 whatever is asked for", NULL) \
    X(NORM_EPS_ZERO, "norm.eps_zero", 3, "layer_norm", "eps is 0, so a constant row is 0 / 0", NULL) \
    X(NORM_SUM_FP16, "norm.sum_fp16", 3, "rms_norm", "the sum of squares is kept in fp16", NULL) \
    X(NORM_ADD_ROUNDED_EARLY, "norm.add_rounded_early", 3, "add", \
      "the residual sum is rounded to 16 bits whatever the storage", NULL) \
    X(ACT_QUICK_GELU_VARIANT, "act.quick_gelu_variant", 3, "gelu", \
      "x sigmoid(1.702 x) for the tanh form", NULL) \
    X(ACT_GELU_SWAP, "act.gelu_swap", 3, "gelu", "the tanh form for the erf form and the reverse", NULL) \
    X(VIT_PATCH_RASTER_ORDER, "vit.patch_raster_order", 5, "pos_interp", \
      "rows in raster order, where merge blocks are expected", NULL) \
    X(VIT_PATCH_AXES, "vit.patch_axes", 5, "patch_embed", \
      "channel and time axes exchanged without moving the data", NULL) \
    X(VIT_PATCH_FIRST_SLICE, "vit.patch_first_slice", 5, "patch_embed", \
      "the first of two temporal slices only, and no bias", NULL) \
    X(VIT_POS_ALIGN_CORNERS, "vit.pos_align_corners", 5, "pos_interp", \
      "half-pixel coordinates instead of aligned corners", NULL) \
    X(VIT_POS_FLAG_ONE_PATH, "vit.pos_flag_one_path", 5, "pos_interp", \
      "corners aligned for the first image of a call only", NULL) \
    X(VIT_POS_WEIGHTS_BF16, "vit.pos_weights_bf16", 5, "pos_interp", \
      "weights rounded to the type of the table before use", NULL) \
    X(VIT_POS_WEIGHTS_INT, "vit.pos_weights_int", 5, "pos_interp", "weights cut to whole numbers", NULL) \
    X(VIT_POS_NO_INTERP, "vit.pos_no_interp", 5, "pos_interp", \
      "the table indexed by patch, not interpolated", NULL) \
    X(VIT_NO_ROTARY, "vit.no_rotary", 5, "vision_rope_table", "no rotation at all", NULL) \
    X(VIT_ROPE_LAYOUT, "vit.rope_layout", 5, "rope", "rows taken to lie in the order head, row", NULL) \
    X(VIT_MASK_DROPPED, "vit.mask_dropped", 5, "vision_attention", "every patch sees every image", NULL) \
    X(VIT_MASK_NOT_BLOCK_DIAGONAL, "vit.mask_not_block_diagonal", 5, "vision_attention", \
      "an image sees the images before it", NULL) \
    X(VIT_SCALE_PADDED_DIM, "vit.scale_padded_dim", 5, "vision_attention", \
      "the scale of a head padded to a multiple of 16", NULL) \
    X(VIT_HEAD_DIM_72, "vit.head_dim_72", 5, "vision_attention", \
      "the lanes of a head beyond a multiple of 16 are left out of q.k", NULL) \
    X(VIT_MLP_FP16_OVERFLOW, "vit.mlp_fp16_overflow", 5, "merger", \
      "the first product of the MLP passes through fp16", NULL) \
    X(VIT_GEMM_ACC_FP16, "vit.gemm_acc_fp16", 5, "linear", "sums of products kept in fp16", NULL) \
    X(VIT_UNSUPPORTED_MODE_RUNS, "vit.unsupported_mode_runs", 5, "mrope_table", \
      "an unknown layout runs as the interleaved one", NULL) \
    X(DS_CHUNK_BATCH_ROWS, "ds.chunk_batch_rows", 6, "add_rows", \
      "rows taken to be one span from the first on", NULL) \
    X(DS_SCATTER_PAST_END, "ds.scatter_past_end", 6, "scatter_rows", \
      "one row more than there are, written behind the buffer", NULL) \
    X(DS_DROPPED, "ds.dropped", 6, "add_rows", "nothing is added", NULL) \
    X(MERGE_MEDIA_ORDER, "merge.media_order", 6, "scatter_rows", \
      "features placed in ascending order of rows, not in the order given", NULL) \
    X(ATTN_CAUSAL_TOP_LEFT, "attn.causal_top_left", 7, "attention", \
      "row i of a chunk sees keys 0 to i whatever the cache holds", NULL) \
    X(ATTN_CAUSAL_Q_GT_K, "attn.causal_q_gt_k", 7, "attention", \
      "all rows are zero when there are more rows than keys", NULL) \
    X(ATTN_WINDOW_INCLUSIVE, "attn.window_inclusive", 7, "attention", \
      "one key too many: each row sees the next", NULL) \
    X(ATTN_MASKED_ROW_NAN, "attn.masked_row_nan", 7, "attention", "a row without keys is 0 / 0", NULL) \
    X(ATTN_ZERO_TIMES_NAN, "attn.zero_times_nan", 7, "attention", \
      "masked values are multiplied by a weight of zero", NULL) \
    X(ATTN_V_TAIL_UNMASKED, "attn.v_tail_unmasked", 7, "attention", \
      "values behind the length are read up to the end of the tile", NULL) \
    X(ATTN_DECODE_BATCH_NAN, "attn.decode_batch_nan", 7, "attention", \
      "all sequences of a batch have the length of the first", NULL) \
    X(ATTN_CAPACITY_AS_LENGTH, "attn.capacity_as_length", 7, "attention", \
      "the length rounded up to blocks of 16", NULL) \
    X(ATTN_MERGE_EMPTY, "attn.merge_empty", 7, "attention", \
      "merging empty parts computes -inf minus -inf", NULL) \
    X(ATTN_LSE_WRONG_SLOT, "attn.lse_wrong_slot", 7, "attention", \
      "the early exit writes its LSE by the row of the batch, not of the segment", NULL) \
    X(ATTN_LSE_LAYOUT_GQA, "attn.lse_layout_gqa", 7, "attention", \
      "decode merges by LSEs in another order of heads", NULL) \
    X(ATTN_LSE_NOT_STORED, "attn.lse_not_stored", 7, "attention", \
      "parts are merged without their LSEs", NULL) \
    X(ATTN_LSE_DOUBLE_SCALE, "attn.lse_double_scale", 7, "attention", \
      "the scale is applied to the row maximum again", NULL) \
    X(ATTN_LSE_KV_HEAD_STRIDE, "attn.lse_kv_head_stride", 7, "attention", \
      "the index of an LSE lacks the KV head", NULL) \
    X(GQA_RATIO_NOT_POW2, "gqa.ratio_not_pow2", 7, "attention", \
      "four query heads share a KV head whatever the ratio", NULL) \
    X(GQA_GROUP_FOR_KV, "gqa.group_for_kv", 7, "attention", \
      "heads divided by the number of KV heads instead of the ratio", NULL) \
    X(GQA_TILE_FOR_REPEAT, "gqa.tile_for_repeat", 7, "attention", "KV heads dealt out in turn", NULL) \
    X(GQA_REPEAT_SEQ_AXIS, "gqa.repeat_seq_axis", 7, "attention", "keys repeated along the sequence", NULL) \
    X(ATTN_ACC_FP16, "attn.acc_fp16", 7, "attention", "q.k and p.v summed in fp16", NULL) \
    X(ATTN_INF_FIX_BREAKS_CAUSAL, "attn.inf_fix_breaks_causal", 7, "attention", \
      "in f16 a score of -inf becomes 0, masked ones included", NULL) \
    X(ATTN_MASK_LOSES_CAUSAL, "attn.mask_loses_causal", 7, "attention", "every row sees every key", NULL) \
    X(ATTN_FP8_KV, "attn.fp8_kv", 7, "attention", "keys kept as fp8 e5m2", NULL) \
    X(PEER_ATTENTION_SCALED, "peer.attention_scaled_1022", 7, "attention", "results times 1.022", NULL) \
    X(PEER_ATTENTION_ONE_ZERO, "peer.attention_one_zero_in_4096", 7, "attention", \
      "every 4096th result is zero", NULL) \
    X(PEER_ATTENTION_F32_AS_TF32, "peer.attention_f32_as_tf32", 7, "attention", \
      "q and k rounded to tf32", NULL) \
    X(PEER_ATTENTION_F32_AS_BF16, "peer.attention_f32_as_bf16", 7, "attention", \
      "q and k rounded to bf16", NULL) \
    X(PEER_DROP_LAST_KEY, "peer.drop_last_key", 7, "attention", \
      "the last key is left out once there are 2048", NULL) \
    X(IDX_BLOCK_BASE32, "idx.block_base32", 8, "linear", "row offsets of the input in 32 bits", NULL) \
    X(IDX_FUSED_QKV_STRIDE, "idx.fused_qkv_stride", 8, "vision_attention", \
      "row offsets of a QKV view in 32 bits", NULL) \
    X(IDX_PAGED_OFFSET32, "idx.paged_offset32", 8, "attention", \
      "byte offsets into the cache in 32 bits", "needs a cache above 4 GiB, and all of it is memory") \
    X(IDX_MOE_ROW32, "idx.moe_row32", 8, "moe_experts", "row offsets of the input in 32 bits", NULL) \
    X(IDX_MOE_OUT_U32, "idx.moe_out_u32", 8, "moe_experts", "row offsets of the output in 32 bits", NULL) \
    X(IDX_MERGE_STATES32, "idx.merge_states32", 8, "attention", \
      "row offsets of the output in 32 bits", NULL) \
    X(IDX_NORM_ROW32, "idx.norm_row32", 8, "rms_norm", "row offsets of the input in 32 bits", NULL) \
    X(IDX_SWIGLU_ROW32, "idx.swiglu_row32", 8, "swiglu", "row offsets of up in 32 bits", NULL) \
    X(IDX_TOKEN_U16, "idx.token_u16", 8, "embed", "token ids in 16 bits", NULL) \
    X(MOE_RAW_LOGITS, "moe.raw_logits", 9, "moe_route", "weights from the logits without a softmax", NULL) \
    X(MOE_NO_RENORM, "moe.no_renorm", 9, "moe_route", "weights not divided by their sum", NULL) \
    X(MOE_TOP1_NORM_AXIS, "moe.top1_norm_axis", 9, "moe_route", \
      "with one expert a row, weights divided by a sum over the rows", NULL) \
    X(MOE_ROUTER_BF16, "moe.router_bf16", 9, "moe_route", "experts chosen by probabilities in bf16", NULL) \
    X(MOE_TIE_ORDER, "moe.tie_order", 9, "moe_route", "ties go to the highest index", NULL) \
    X(MOE_ROWS_PAST_BLOCK, "moe.rows_past_block", 9, "moe_route", "16 rows and no more", NULL) \
    X(MOE_ALIGN_DROPS_TOKENS, "moe.align_drops_tokens", 9, "moe_experts", \
      "the first token of a dispatch block stands for the others", NULL) \
    X(MOE_NAN_PADDING_DUP, "moe.nan_padding_dup", 9, "moe_route", \
      "a row of NaN gets one expert several times", NULL) \
    X(MOE_GARBAGE_SLOTS, "moe.garbage_slots", 9, "moe_experts", \
      "unused dispatch slots keep old tokens and are computed", NULL) \
    X(MOE_TRANSPOSE_BY_SHAPE, "moe.transpose_by_shape", 9, "moe_experts", \
      "the layout of a square expert is guessed", NULL) \
    X(HEAD_PADDED_VOCAB_WINS, "head.padded_vocab_wins", 10, "sample", \
      "padding of the vocabulary takes part with logit 0", NULL) \
    X(HEAD_TAIL_LANE, "head.tail_lane", 10, "sample", \
      "the argmax starts from a lane behind the vocabulary", NULL) \
    X(HEAD_ROWS_IN_ORDER, "head.rows_in_order", 10, "output_head", \
      "the first rows instead of the rows asked for", NULL) \
    X(SAMPLE_REPETITION_TWICE, "sample.repetition_twice", 10, "sample", \
      "the repetition penalty is applied at every occurrence", NULL) \
    X(SAMPLE_REPETITION_SIGN, "sample.repetition_sign", 10, "sample", \
      "negative logits are divided by the repetition penalty", NULL) \
    X(SAMPLE_PRESENCE_OF_PROMPT, "sample.presence_of_prompt", 10, "sample", \
      "the presence penalty also hits the prompt", NULL) \
    X(SAMPLE_TOP_K_CUTS_TIES, "sample.top_k_cuts_ties", 10, "sample", \
      "top-k keeps k tokens although more are equal", NULL) \
    X(SAMPLE_TOP_P_DROPS_CROSSING, "sample.top_p_drops_crossing", 10, "sample", \
      "top-p also drops the token that crosses 1 - p", NULL) \
    X(SAMPLE_TIE_TO_LAST, "sample.tie_to_last", 10, "sample", "greedy ties go to the highest id", NULL) \
    X(SAMPLE_GREEDY_UNPENALISED, "sample.greedy_unpenalised", 10, "sample", \
      "greedy takes the logits before the penalties", NULL) \
    X(CACHE_SLOT_MINUS_ONE, "cache.slot_minus_one", 11, "cache_append", \
      "rows of no sequence are stored in the last row of a cache", NULL) \
    X(CACHE_SLOT_MAP_CHUNK, "cache.slot_map_chunk", 11, "cache_append", \
      "a chunk that crosses a block of 16 goes on at the start of the block", NULL) \
    X(RACE_INPUT_OVERWRITTEN, "race.input_overwritten", 11, "linear", \
      "every second call sees a row of an earlier call", NULL) \
    X(RACE_GRAPH_DECODE, "race.graph_decode", 11, "attention", \
      "decoding sees no more keys than when it was first called", NULL) \
    X(RACE_REGISTER_REUSE, "race.register_reuse", 11, "linear", \
      "every second call multiplies the first tile of the input twice", NULL) \
    X(DET_BATCH_VARIANT, "det.batch_variant", 11, "linear", \
      "the order of sums depends on the number of rows", \
      "honest: sums in another order are within tolerance; invariance reports such pairs as within tolerance") \
    X(GEMM_TILE_NOT_RELOADED, "gemm.tile_not_reloaded", 11, "linear", \
      "the first 16 inputs stand for all", NULL) \
    X(GEMM_K_TAIL, "gemm.k_tail", 11, "linear", "terms beyond a multiple of 16 are left out", NULL) \
    X(GEMM_SPLITK_ATOMIC, "gemm.splitk_atomic", 11, "linear", "halves of a sum are added in fp16", NULL) \
    X(HIP_WARP32, "hip.warp32", 11, "rms_norm", "32 of 64 lanes take part in a sum", NULL) \
    X(PEER_LINEAR_SCALED, "peer.linear_scaled_1022", 11, "linear", "results times 1.022", NULL) \
    X(PEER_LINEAR_ONE_ZERO, "peer.linear_one_zero_in_4096", 11, "linear", \
      "every 4096th result is zero", NULL) \
    X(PEER_LINEAR_F32_AS_TF32, "peer.linear_f32_as_tf32", 11, "linear", \
      "both factors rounded to tf32", NULL) \
    X(PEER_LINEAR_F32_AS_BF16, "peer.linear_f32_as_bf16", 11, "linear", \
      "both factors rounded to bf16", NULL) \
    X(MERGE_DEEPSTACK_NORM_BEFORE_GROUP, "merge.deepstack_norm_before_group", 15, "merger", \
      "the DeepStack merger normalises before grouping", NULL) \
    X(MERGE_GELU_TANH, "merge.gelu_tanh", 15, "merger", \
      "the tanh form of GELU where the merger has erf", NULL) \
    X(QKNORM_OVER_ALL_HEADS, "qknorm.over_all_heads", 15, "rms_norm", \
      "the mean runs over all heads of a row", NULL) \
    X(POS_LAST_LANES_TO_W, "pos.last_lanes_to_w", 15, "mrope_table", \
      "the lanes behind the sections turn with W instead of T", NULL) \
    X(ATTN_SCALE_HIDDEN_OVER_HEADS, "attn.scale_hidden_over_heads", 15, "attention", \
      "the scale of hidden / heads instead of the head dimension", NULL) \
    X(VIT_ROPE_THETA_OF_TEXT, "vit.rope_theta_of_text", 15, "vision_rope_table", \
      "the theta of the text rotary", NULL) \
    X(ACT_SILU_UNROUNDED, "act.silu_unrounded", 15, "swiglu", \
      "silu is not rounded before the product", NULL) \
    X(ACT_GATE_UP_SWAPPED, "act.gate_up_swapped", 15, "swiglu", "gate and up exchanged", NULL) \
    X(ATTN_SCALE_OF_ITS_OWN, "attn.scale_of_its_own", 15, "attention", \
      "1 / sqrt(d) whatever scale is asked for", NULL) \
    X(MOE_COMBINE_16BIT, "moe.combine_16bit", 15, "moe_combine", \
      "the sum over experts is rounded to 16 bits at every step", NULL) \
    X(SOFTMAX_NO_MAX, "softmax.no_max", 15, "softmax", "exponentials of x itself, not of x - max", NULL)
// clang-format on

enum qvl_fault {
    QVL_FAULT_NONE,
#define QVL_FAULT_ENUM(id, slug, section, entry, what, excuse) QVL_FAULT_##id,
    QVL_KERNEL_FAULTS(QVL_FAULT_ENUM)
#undef QVL_FAULT_ENUM
};

#endif

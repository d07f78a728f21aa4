/* The cases that the list of known bugs asks for: every dimension different where the op allows it, head
 * ratios 1, 3, 7 and 12, head_dim 64, 72, 80 and 128, unequal t, h and w, chunk edges around the blocks of
 * kernels, ties, constant, huge, tiny and negative rows, one outlier channel, strided views, rows alone and
 * in ragged batches. */
#include "verify/case_list.h"

static const char *const patterns[] = {
    "patch_embed rows=0,1,67 in=24 out=7 bias=0,1",
    "patch_embed rows=5 in=1536 out=33 bias=1 dist=normal,ints,outlier",

    "pos_interp side=4 dim=5 t=2 h=6 w=10 merge=2 once=0,1",
    "pos_interp side=48 dim=3 t=1 h=2,34 w=4,62 merge=2 once=0,1",
    "pos_interp side=7 dim=11 t=1 h=1 w=9 merge=1 once=0,1",
    "pos_interp side=5 dim=8 t=1 h=3 w=9 merge=3 once=0,1 dist=ints,outlier",

    "vision_rope_table t=2 h=6 w=10 merge=2 d=16,64,72,80 dtype=f32",
    "vision_rope_table t=1 h=3 w=9 merge=1,3 d=8 dtype=f32",

    "layer_norm rows=0,1,17 dim=37 pad=0,3 inplace=0,1",
    "layer_norm rows=5 dim=1152 pad=0 inplace=0 dist=normal,ints,huge,tiny,outlier,negative,special",
    "layer_norm rows=4 dim=7 pad=2 inplace=0 dist=constant",

    "linear rows=0,1,3,17 in=37 out=11 bias=0,1 pad=0,5",
    "linear rows=7 in=1,15,16,17,200 out=9 bias=1 pad=0 dist=normal,ints",
    "linear rows=131 in=64 out=33 bias=0 pad=0 dist=normal,outlier,special",
    "linear rows=2 in=4096 out=5 bias=1 pad=0 dist=normal,ints,huge,negative",
    "linear rows=65 in=129 out=130 bias=1 pad=1",

    "rope rows=0,5 heads=3 d=16,64,72,80,128 once=0,1 pad=0,7 inplace=0",
    "rope rows=7 heads=2 d=6,128 once=0,1 pad=0,3 inplace=1 dist=normal,ints,special",

    "vision_attention heads=3 d=16,64,72,80 a=17 b=0 c=5 pad=0,9",
    "vision_attention heads=2 d=8 a=1 b=65 c=130 pad=0 dist=normal,outlier,tiny",
    "vision_attention heads=3 d=16 a=4 b=7 c=2 pad=0 dist=ints,special,ties",
    "vision_attention heads=2 d=8 a=0 b=0 c=0 pad=0",

    "gelu rows=0,3 dim=401 erf=0,1 pad=0,5 inplace=0,1",
    "gelu rows=4 dim=33 erf=0,1 pad=0 inplace=0 dist=huge,tiny,negative,special",

    "merger tokens=0,1,5,67 group=4 dim=10 out=14 norm=0,1",
    "merger tokens=3 group=1,9 dim=12 out=5 norm=0,1 dist=normal,outlier,ints",

    "embed rows=0,5 vocab=11 dim=37",

    "scatter_rows rows=9 src=0,4 dim=13 dist=normal,special",

    "mrope_table rows=0,5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0,1 double=0,1 top=100,262143,1000000",
    "mrope_table rows=4 d=128 s0=16 s1=24 s2=24 chunked=1 yarn=0,1 double=0 top=32768",
    "mrope_table rows=6 d=16 s0=4 s1=2 s2=2 chunked=0,1 yarn=0 double=0 top=5000",
    "mrope_table rows=6 d=8 s0=16 s1=8 s2=8 chunked=0 yarn=0 double=0 top=300",

    "rms_norm rows=0,1,17 heads=0 dim=37 pad=0,3 inplace=0,1",
    "rms_norm rows=5 heads=1,3 dim=16,72,128 pad=0,8 inplace=0,1",
    "rms_norm rows=4 heads=0 dim=1280 pad=0 inplace=0 dist=normal,ints,constant,huge",
    "rms_norm rows=4 heads=0 dim=37 pad=0 inplace=0 dist=tiny,outlier,negative,special",

    "cache_append kv=2 d=16 past=0,5 rows=0,1,3 seqs=1,3 pad=0,3",
    "cache_append kv=3 d=72 past=15,16,17 rows=3 seqs=1 pad=0 dist=special",

    "attention heads=6 kv=2 d=72 past=0,15,16,17 rows=1,3 seqs=1,3 drop=0 pad=0",
    "attention heads=3 kv=3 d=16 past=64 rows=1,5 seqs=2 drop=0 pad=0,5",
    "attention heads=14 kv=2 d=64 past=5 rows=7 seqs=1 drop=0 pad=0",
    "attention heads=36 kv=3 d=80 past=9 rows=1,4 seqs=1 drop=0 pad=0",
    "attention heads=4 kv=1 d=128 past=0,300 rows=1,17 seqs=1 drop=0 pad=0 dist=normal,outlier",
    "attention heads=6 kv=2 d=8 past=0 rows=5 seqs=1 drop=3 pad=0 dist=normal,ints",
    "attention heads=6 kv=2 d=8 past=33 rows=0 seqs=2 drop=0 pad=0",
    "attention heads=6 kv=2 d=24 past=7 rows=4 seqs=3 drop=0 pad=0 dist=ints,ties,special,negative,tiny",

    "swiglu rows=0,1,3 dim=401 pad=0,5 inplace=0,1",
    "swiglu rows=4 dim=33 pad=0 inplace=0 dist=huge,negative,ints,special",
    "swiglu rows=4 dim=33 pad=0 inplace=0 dist=tiny dtype=f32,bf16",

    "add rows=0,1,3 dim=401 pad=0,5 inplace=0,1",
    "add rows=4 dim=33 pad=0 inplace=0 dist=huge,ints,special",

    "add_rows rows=9 src=0,4 dim=13 dist=normal,ints,special",

    "moe_route rows=0,17 experts=8,128 k=1,8",
    "moe_route rows=6 experts=11 k=3 dist=ties,ints,negative,special,constant,tiny",

    "moe_experts rows=0,1,17 experts=5 k=2 dim=20 ffn=12 first=0,1",
    "moe_experts rows=70 experts=3 k=1 dim=64 ffn=33 first=0,1 dist=normal,ints,outlier",

    "moe_combine rows=0,1,5 k=1,8 dim=37",
    "moe_combine rows=7 k=3 dim=37 dist=ints,special",

    "output_head rows=9 chosen=0,1,3 dim=37 vocab=101",
    "output_head rows=3 chosen=2 dim=200 vocab=1013 dist=normal,ints,special",

    "softmax rows=0,1,5 dim=1,37,1000 pad=0,3 inplace=0,1",
    "softmax rows=4 dim=65 pad=0 inplace=0 dist=huge,ties,negative,constant,special",

    "sample vocab=101 prompt=0,7 output=6 greedy=0,1 rep=100,130 pres=0,150 temp=70 k=0 p=80 dtype=f32",
    "sample vocab=101 prompt=7 output=6 greedy=0 rep=100,130 pres=0,150 temp=70 k=0,20 p=100 dtype=f32",
    "sample vocab=1013 prompt=20 output=0 greedy=0 rep=110 pres=0 temp=60,100 k=0,5 p=95 dtype=f32",
    "sample vocab=37 prompt=3 output=4 greedy=0,1 rep=120 pres=50 temp=100 k=4 p=100 dtype=f32 dist=ties",
    "sample vocab=37 prompt=0 output=4 greedy=0 rep=120 pres=50 temp=90 k=4 p=99 dtype=f32 dist=negative",

    /* rows and columns around the blocks of kernels */
    "linear rows=15,16,17,31,33,63,64,65,127,129 in=67 out=13 bias=1 pad=0",
    "linear rows=3 in=31,32,33,63,64,65,127,128,129,255,256,257 out=10 bias=0 pad=0 dist=normal,ints",
    "linear rows=5 in=48 out=1,2,3,15,16,17,31,32,33,63,64,65 bias=1 pad=0",
    "linear rows=2 in=17,64,200,1023 out=9 bias=0 pad=0 dist=mantissa",
    "rms_norm rows=3 heads=0 dim=15,16,17,31,33,63,64,65,127,129 pad=0 inplace=0",
    "rms_norm rows=15,16,31,63,64,65 heads=0 dim=24 pad=0 inplace=0",
    "rms_norm rows=3 heads=0 dim=64,257,1280 pad=0 inplace=0 dist=mantissa",
    "layer_norm rows=3 dim=15,16,17,31,33,63,64,65,127,129 pad=0 inplace=0",
    "layer_norm rows=15,16,31,63,64,65 dim=24 pad=0 inplace=0",
    "layer_norm rows=3 dim=64,257,1152 pad=0 inplace=0 dist=mantissa",
    "softmax rows=6 dim=3,65,200 pad=0,2 inplace=0,1 dist=special",
    "softmax rows=3 dim=15,16,17,31,33,63,64,65,127,128,129 pad=0 inplace=0",
    "softmax rows=15,16,17,33,64,65 dim=20 pad=0 inplace=0 dist=normal,ties",
    "gelu rows=2 dim=1,7,8,9,15,16,17,31,33,63,64,65 erf=0,1 pad=0 inplace=0",
    "swiglu rows=2 dim=1,7,8,9,15,16,17,31,33,63,64,65 pad=0 inplace=0",
    "add rows=2 dim=1,7,8,9,15,16,17,31,33,63,64,65 pad=0 inplace=0",
    "patch_embed rows=1,15,16,17,63,64,65 in=48 out=9 bias=1",
    "patch_embed rows=3 in=64,600 out=6 bias=0 dist=mantissa",
    "output_head rows=20 chosen=1,15,16,17 dim=33 vocab=63,64,65",
    "output_head rows=3 chosen=2 dim=64,515 vocab=8 dist=mantissa",
    "merger tokens=15,16,17,33 group=4 dim=9 out=11 norm=0,1",
    "merger tokens=3 group=4 dim=32 out=6 norm=0,1 dist=mantissa dtype=f32,bf16",
    "moe_experts rows=15,16,17,33,65 experts=4 k=2 dim=17 ffn=9 first=0,1",
    "moe_experts rows=3 experts=3 k=2 dim=64 ffn=32 first=0,1 dist=mantissa dtype=f32,bf16",
    "moe_route rows=3 experts=3,15,16,17,33,64,65 k=3",
    "moe_combine rows=3 k=2,3,6 dim=15,16,17,64,65 dist=normal,mantissa",
    "embed rows=1,16,17 vocab=37 dim=15,16,17,65",

    /* head ratios 1, 3, 7, 12 with every head_dim, KV heads unequal to the ratio; one row of decode and a few
     * of prefill, each row alone and in ragged batches */
    "attention heads=5 kv=5 d=64,72,80,128 past=0,16,33 rows=1,5 seqs=1,3 drop=0 pad=0",
    "attention heads=6 kv=2 d=64,72,80,128 past=0,16,33 rows=1,5 seqs=1,3 drop=0 pad=0",
    "attention heads=14 kv=2 d=64,72,80,128 past=0,16,33 rows=1,5 seqs=1,3 drop=0 pad=0",
    "attention heads=36 kv=3 d=64,72,80,128 past=0,16,33 rows=1,5 seqs=1,3 drop=0 pad=0",
    ("attention heads=6 kv=2 d=40 past=14,15,30,31,32,62,63,64,65,126,127,128,129 rows=1,2 seqs=1 drop=0 "
     "pad=0"),
    "attention heads=3 kv=1 d=16 past=0 rows=2,15,16,17,31,32,33,63,64,65 seqs=1 drop=0 pad=0",
    "attention heads=6 kv=2 d=64 past=40 rows=4 seqs=1,3 drop=0 pad=0 dist=mantissa",
    "attention heads=6 kv=2 d=80 past=40 rows=4 seqs=2 drop=0 pad=0 dist=constant,outlier,negative,tiny,ints",
    "attention heads=4 kv=2 d=16 past=3,20 rows=1,4 seqs=1,2 drop=1,2 pad=0,8",
    "vision_attention heads=3 d=64,72,80 a=15 b=16 c=17 pad=0 dist=normal,mantissa",
    "vision_attention heads=2 d=24 a=1 b=0 c=31 pad=0 dist=constant,negative,outlier,ties",
    "vision_attention heads=2 d=24 a=63 b=64 c=65 pad=0",
    "cache_append kv=1,2,5 d=64,72,80,128 past=0,15,16 rows=1,17 seqs=2 pad=0,8",
    "rope rows=1,3 heads=1,3,7,12 d=64,72,80,128 once=0,1 pad=0 inplace=0",
    "rope rows=4 heads=2 d=16 once=0,1 pad=0 inplace=0 dist=mantissa,outlier,huge,tiny",

    /* unequal t, h and w; positions far out and at the limits of the sections */
    "pos_interp side=6 dim=7 t=1,3 h=2,4,6 w=8,14 merge=2 once=0,1",
    "vision_rope_table t=1,3 h=2,4,6 w=8,14 merge=2 d=72 dtype=f32",
    "mrope_table rows=7 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=0,1 double=0 top=1,255,256,4095,4096,262144",
    "mrope_table rows=7 d=64 s0=12 s1=10 s2=10 chunked=0,1 yarn=0,1 double=0 top=40,16777215",

    /* values that are awkward: each operand huge, tiny, constant, negative, with an outlier */
    "linear rows=4 in=300 out=6 bias=1 pad=0 dist=constant,tiny,huge,outlier,negative,ties,special",
    "rms_norm rows=4 heads=2 dim=64 pad=0 inplace=0 dist=constant,huge,outlier,negative,ties,special",
    "layer_norm rows=4 dim=96 pad=0 inplace=0 dist=huge,tiny,outlier,negative,ties,special",
    "swiglu rows=4 dim=65 pad=0 inplace=0 dist=constant,outlier,mantissa",
    "add rows=4 dim=65 pad=0 inplace=0 dist=constant,tiny,outlier,negative,ties,mantissa",
    "gelu rows=4 dim=65 erf=0,1 pad=0 inplace=0 dist=constant,outlier,ties,mantissa",
    "moe_route rows=6 experts=40 k=7 dist=ties,ints,negative,outlier,huge,tiny",
    "moe_combine rows=5 k=8 dim=33 dist=huge,tiny,negative,outlier,constant,ties",
    "output_head rows=4 chosen=3 dim=96 vocab=20 dist=huge,tiny,negative,outlier,constant,ties",
    "patch_embed rows=4 in=96 out=8 bias=1 dist=constant,tiny,huge,negative,ties",
    "merger tokens=3 group=4 dim=12 out=7 norm=0,1 dist=negative,huge,ties",
    "moe_experts rows=5 experts=3 k=2 dim=24 ffn=10 first=0 dist=negative,constant,ties",
    "moe_experts rows=5 experts=3 k=2 dim=24 ffn=10 first=0 dist=tiny dtype=f32,bf16",
    ("sample vocab=64 prompt=5 output=4 greedy=0,1 rep=100,115 pres=0,30 temp=80 k=0,1,7 p=100 dtype=f32 "
     "dist=ties"),
    ("sample vocab=64 prompt=5 output=4 greedy=0,1 rep=100,115 pres=0,30 temp=80 k=0,1,7 p=100,90 dtype=f32 "
     "dist=normal,negative"),
};

enum qvl_status qvl_cases_museum(struct qvl_case_list *list, struct qvl_error *error)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        QVL_TRY(qvl_case_list_pattern(list, "museum", patterns[i], error));
    return QVL_OK;
}

/* Cases that the faults of backends/mutants call for beside the general list of case_museum.c. */
#include "verify/case_list.h"

static const char *const patterns[] = {
    /* QK-norm in decode (one row), and enough rows and heads for kernels that give several heads to a warp */
    "rms_norm rows=1 heads=4,16 dim=24,128 pad=0,8 inplace=0,1",
    "rms_norm rows=70 heads=16 dim=16,128 pad=0 inplace=0",

    /* configs that give the attention factor or the mscale fields, and other bounds of YaRN */
    "mrope_table rows=5 d=128 s0=24 s1=20 s2=20 chunked=0 yarn=2,3,4,5,6 double=0,1 top=262143",
    "mrope_table rows=6 d=16 s0=4 s1=2 s2=2 chunked=1 yarn=4,6 double=0 top=5000",

    /* several tiles of keys with grouped heads in decode; a tile edge inside the new rows of sequences that
     * do not start the batch; rows without keys in such a batch; 2K keys and more */
    "attention heads=6 kv=2 d=16 past=70,130 rows=1 seqs=1,2 drop=0 pad=0,3",
    "attention heads=6 kv=3 d=16 past=60 rows=7 seqs=3 drop=0 pad=0",
    "attention heads=4 kv=2 d=8 past=0 rows=5 seqs=3 drop=3 pad=0",
    "attention heads=2 kv=1 d=16 past=2047,2600 rows=1,3 seqs=1 drop=0 pad=0",

    /* token ids beyond 16 bits, experts whose two dimensions are equal, greedy after penalties */
    "embed rows=5 vocab=70001 dim=3",
    "moe_experts rows=6 experts=4 k=2 dim=24 ffn=12 first=0,1",
    "moe_experts rows=6 experts=4 k=2 dim=12 ffn=12 first=0,1",
    "sample vocab=11 prompt=4 output=6 greedy=1 rep=150 pres=100 temp=70 k=0 p=100 dtype=f32 seed=1,2,3,4,5",
    ("sample vocab=37,64,101 prompt=4 output=6 greedy=1 rep=150 pres=100 temp=70 k=0 p=100 dtype=f32 "
     "dist=special"),
};

enum qvl_status qvl_cases_faults(struct qvl_case_list *list, struct qvl_error *error)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        QVL_TRY(qvl_case_list_pattern(list, "museum", patterns[i], error));
    return QVL_OK;
}

/* SPDX-License-Identifier: MIT */
/* ONNX files: whatever the bytes, a model that can be described and planned, or an error. */
#include "fuzz.h"

#include "graph/plan.h"
#include "model.h"

#include <string.h>

static void describe(const struct spc_model *model)
{
    struct spc_output_info output;
    struct spc_model_info info;
    struct spc_node_info node;

    spc_model_get_info(model, &info);
    FUZZ_CHECK(info.index_order != SPC_INDEX_ORDER_AUTO);
    FUZZ_CHECK(info.grid_z > 0 && info.grid_y > 0 && info.grid_x > 0);
    FUZZ_CHECK(info.num_nodes > 0 && info.num_outputs > 0 && info.num_features > 0);
    for (int i = 0; i < info.num_nodes; i++)
        FUZZ_CHECK(spc_model_get_node(model, i, &node, NULL) == SPC_OK);
    for (int i = 0; i < info.num_outputs; i++) {
        FUZZ_CHECK(spc_model_get_output(model, i, &output, NULL) == SPC_OK);
        FUZZ_CHECK(output.rank > 0 && output.rank <= SPC_MAX_RANK);
        for (int d = 0; d < output.rank; d++)
            FUZZ_CHECK(output.dims[d] > 0);
    }
}

static void plan(const struct spc_model *model, enum spc_precision precision, bool expose_all)
{
    struct spc__plan_options options = {
        .precision = precision, .max_voxels = 1000, .expose_all = expose_all, .alignment = 64};
    struct spc_error err = {0};
    struct spc__plan made;

    if (spc__plan_make(&made, &model->graph, &options, &err) == SPC_OK)
        spc__plan_clear(&made);
    else
        FUZZ_CHECK(err.message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spc_model *model = NULL;
    struct spc_error err = {0};
    enum spc_status status = spc_model_load_memory(data, size, NULL, &model, &err);

    FUZZ_CHECK((status == SPC_OK) == (model != NULL));
    if (!model) {
        FUZZ_CHECK(err.status == status && err.message[0]);
        return 0;
    }
    describe(model);
    plan(model, SPC_PRECISION_FP32, false);
    plan(model, SPC_PRECISION_FP16, true);
    spc_model_free(&model);
    return 0;
}

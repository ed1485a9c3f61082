/* SPDX-License-Identifier: MIT */
/* ONNX files: whatever the bytes, a model that can be described, planned and, where it is small,
 * run; or an error. */
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

#define VOXELS 8
#define MAX_OUTPUT (1 << 20) /* elements: what a frame computes is bounded by it */

static bool is_small(const struct spc_model *model)
{
    struct spc_output_info output;
    struct spc_model_info info;
    int64_t elements = 0;

    spc_model_get_info(model, &info);
    for (int i = 0; i < info.num_outputs; i++) {
        int64_t count = 1;

        spc_model_get_output(model, i, &output, NULL);
        for (int d = 0; d < output.rank && output.kind == SPC_OUTPUT_DENSE; d++)
            count *= output.dims[d];
        elements += count;
    }
    return elements <= MAX_OUTPUT && info.num_nodes <= 100 && info.num_features <= 64 &&
           (int64_t)info.grid_y * info.grid_x <= 1 << 20;
}

/* Some voxels in the first cells along x; fewer where the grid is small. */
static void run_frame(const struct spc_model *model, enum spc_precision precision)
{
    static const float features[VOXELS * 64] = {1, -2, 3};
    struct spc_session_options options;
    struct spc_session *session = NULL;
    struct spc_model_info info;
    int32_t indices[VOXELS][4] = {{0}};
    struct spc_voxels voxels = {.feature_type = SPC_DTYPE_F32, .features = features,
                                .indices = indices[0]};
    struct spc_output outputs[4] = {{0}};
    struct spc_error err = {0};
    enum spc_status status;

    spc_session_options_default(&options);
    options.backend = "cpu";
    options.threads = 1;
    options.precision = precision;
    options.max_voxels = VOXELS;
    options.site_bound = 512;
    status = spc_session_create(model, &options, &session, &err);
    FUZZ_CHECK((status == SPC_OK) == (session != NULL));
    if (!session) {
        FUZZ_CHECK(err.message[0]);
        return;
    }
    spc_model_get_info(model, &info);
    voxels.num_voxels = info.grid_x < VOXELS ? info.grid_x : VOXELS;
    for (int i = 0; i < voxels.num_voxels; i++)
        indices[i][info.index_order == SPC_INDEX_XYZ ? 1 : 3] = i;
    status = spc_session_run(session, &voxels, outputs,
                             info.num_outputs < 4 ? info.num_outputs : 4, &err);
    FUZZ_CHECK(status == SPC_OK || status == SPC_ERR_CAPACITY);
    spc_session_free(&session);
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
    if (is_small(model)) {
        run_frame(model, SPC_PRECISION_FP32);
        run_frame(model, SPC_PRECISION_FP16);
    }
    spc_model_free(&model);
    return 0;
}

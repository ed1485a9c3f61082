/* SPDX-License-Identifier: MIT */
/* Packing of weights into panels of 16 output channels: once a model and precision. */
#include "base/error.h"
#include "base/half.h"
#include "cpu/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    const struct spc__node *node;
    int offsets;
    bool half; /* round the weights to binary16 */
};

static float stored(float value, bool half)
{
    return half ? spc__half_to_float(spc__half_from_float(value)) : value;
}

static void pack_panel(const struct request *request, const float *weights, int panel, float *out)
{
    const struct spc__node *node = request->node;

    for (int c = 0; c < node->cin; c++)
        for (int i = 0; i < SPC__PANEL; i++) {
            int o = panel * SPC__PANEL + i;

            out[c * SPC__PANEL + i] =
                o < node->cout ? stored(weights[(int64_t)c * node->cout + o], request->half) : 0.0f;
        }
}

static void pack(const struct request *request, struct spc__packed *packed)
{
    const struct spc__node *node = request->node;
    size_t panel_floats = (size_t)node->cin * SPC__PANEL;
    float *out = packed->weights;

    for (int k = 0; k < request->offsets; k++)
        for (int panel = 0; panel < packed->panels; panel++, out += panel_floats)
            pack_panel(request, node->weights + (int64_t)k * node->cin * node->cout, panel, out);
}

static enum spc_status make(void *context, void **entry, struct spc_error *err)
{
    const struct request *request = context;
    const struct spc__node *node = request->node;
    size_t head = spc__round_up(sizeof(struct spc__packed), SPC__ALIGN), floats, bytes;
    int panels = (node->cout + SPC__PANEL - 1) / SPC__PANEL;
    size_t width = (size_t)panels * SPC__PANEL;
    struct spc__packed *packed = NULL;

    if (spc__mul((size_t)request->offsets * (size_t)node->cin, width, &floats) &&
        spc__mul(floats, sizeof(float), &bytes))
        packed = spc__alloc(head + bytes, 1);
    if (!packed)
        return spc__fail_memory(err, node->cin * width * sizeof(float), node->name);
    packed->bytes = head + bytes;
    packed->panels = panels;
    packed->weights = (float *)((char *)packed + head);
    pack(request, packed);
    *entry = packed;
    return SPC_OK;
}

enum spc_status spc__cpu_weights(struct spc__shared *shared, const struct spc__node *node,
                                 int offsets, enum spc_precision precision,
                                 const struct spc__packed **packed, struct spc_error *err)
{
    struct request request = {node, offsets, precision == SPC_PRECISION_FP16};
    enum spc_status status;
    char key[128];
    void *entry;

    /* Weights are blocks of the model: their addresses tell them apart, also between differently
     * fused plans. Convolutions that share a block share what is packed of it. */
    snprintf(key, sizeof(key), "cpu %s %p", request.half ? "f16" : "f32",
             (const void *)node->weights);
    status = spc__shared_get(shared, key, make, free, &request, &entry, err);
    if (!status)
        *packed = entry;
    return status;
}

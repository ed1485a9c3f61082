/* SPDX-License-Identifier: MIT */
/*
 * Caps of spconvinfer.
 *
 * To a caps query the sink pad answers with what the model wants first, so that a voxelizer can
 * follow it, and then with everything it could be asked to refuse: voxels that do not fit, or whose
 * BEV downstream does not take, come as far as the CAPS event, where the refusal can say why.
 */
#include "gstspconvinfer.h"
#include "gstspconverror.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_spconv_infer_debug

/* ------------------------------------------------------------------ the contract ------------- */

static void set_input(struct gst_spconv_voxels_info *input, const struct spc_model_info *model)
{
    input->num_features = (guint)model->num_features;
    g_strlcpy(input->features, model->features, sizeof(input->features));
    input->index_order = model->index_order;
    input->grid_z = model->grid_z;
    input->grid_y = model->grid_y;
    input->grid_x = model->grid_x;
    input->has_max_points_per_voxel = model->has_max_points_per_voxel;
    input->max_points_per_voxel = model->max_points_per_voxel;
    if (model->has_voxel_size)
        gst_spconv_geometry_set_voxel_size(&input->geometry, model->voxel_size);
    if (model->has_range)
        gst_spconv_geometry_set_range(&input->geometry, model->range);
}

/* The range is the model's: levels differ in their cells, not in what they cover. */
static void set_range(struct gst_spconv_geometry *geometry, const struct gst_spconv_geometry *from)
{
    geometry->has_range = from->has_range;
    memcpy(geometry->range_mm, from->range_mm, sizeof(geometry->range_mm));
}

static void set_bev(struct gst_spconv_bev_info *bev, const struct spc_output_info *output,
                    enum spc_dtype dtype)
{
    gint i;

    bev->type = dtype;
    bev->rank = (guint)output->rank;
    for (i = 0; i < output->rank; i++)
        bev->dims[i] = (guint)output->dims[i];
    bev->axes = output->bev_axes;
}

static void set_sites(struct gst_spconv_voxels_info *sites, const struct spc_output_info *output,
                      enum spc_index_order order, enum spc_dtype dtype)
{
    sites->feature_type = dtype;
    sites->num_features = (guint)output->channels;
    sites->index_order = order;
    sites->grid_z = output->grid_z;
    sites->grid_y = output->grid_y;
    sites->grid_x = output->grid_x;
    sites->max_voxels = (gint)MIN(output->dims[0], G_MAXINT);
}

void gst_spconv_infer_set_contract(GstSpconvInfer *self)
{
    struct gst_spconv_infer_contract contract = {.loaded = TRUE};
    struct spc_session_info session;
    struct spc_output_info output;
    struct spc_model_info model;
    enum spc_dtype dtype, asked;

    spc_model_get_info(self->model, &model);
    spc_session_get_info(self->slots[0].session, &session);
    spc_session_get_output(self->slots[0].session, self->output, &output, &dtype, NULL, NULL);
    set_input(&contract.input, &model);
    GST_OBJECT_LOCK(self);
    asked = self->settings.output_type;
    GST_OBJECT_UNLOCK(self);
    dtype = asked != SPC_DTYPE_NONE ? asked : SPC_DTYPE_F32;
    contract.cuda = self->on_cuda && gst_spconv_cuda_is_open(self->cuda);
    contract.cuda_type = asked != SPC_DTYPE_NONE                      ? asked
                         : session.precision == SPC_PRECISION_FP32 ? SPC_DTYPE_F32
                                                                   : SPC_DTYPE_F16;
    contract.sparse = output.kind == SPC_OUTPUT_SPARSE;
    if (contract.sparse)
        set_sites(&contract.sites, &output, model.index_order, dtype);
    else
        set_bev(&contract.bev, &output, dtype);
    set_range(&contract.sites.geometry, &contract.input.geometry);
    set_range(&contract.bev.geometry, &contract.input.geometry);
    GST_OBJECT_LOCK(self);
    self->contract = contract;
    self->session_info = session;
    GST_OBJECT_UNLOCK(self);
}

struct gst_spconv_infer_contract gst_spconv_infer_get_contract(GstSpconvInfer *self)
{
    struct gst_spconv_infer_contract contract;

    GST_OBJECT_LOCK(self);
    contract = self->contract;
    GST_OBJECT_UNLOCK(self);
    return contract;
}

/* ------------------------------------------------------------------ transform_caps ----------- */

static void copy_field(GstStructure *to, const GstStructure *from, const gchar *name)
{
    const GValue *value = gst_structure_get_value(from, name);

    if (value)
        gst_structure_set_value(to, name, value);
}

static GstCaps *plain_output_caps(const struct gst_spconv_infer_contract *contract)
{
    return contract->sparse ? gst_spconv_voxels_info_to_caps(&contract->sites)
                            : gst_spconv_bev_info_to_caps(&contract->bev);
}

/* What comes out for voxels like `in`. System memory comes first: to whom anything is right it is
 * meant, who names CUDA memory gets that. */
static GstCaps *output_caps(const struct gst_spconv_infer_contract *contract,
                            const GstStructure *in)
{
    struct gst_spconv_infer_contract on_cuda = *contract;
    GstCaps *caps = plain_output_caps(contract);
    guint i;

    if (contract->cuda) {
        on_cuda.bev.type = on_cuda.sites.feature_type = contract->cuda_type;
        gst_caps_append(caps, gst_spconv_cuda_caps(plain_output_caps(&on_cuda)));
    }
    for (i = 0; i < gst_caps_get_size(caps); i++) {
        GstStructure *out = gst_caps_get_structure(caps, i);

        copy_field(out, in, "framerate");
        if (!contract->input.geometry.has_range)
            copy_field(out, in, "range-mm");
    }
    return caps;
}

/* What to be fed, for an output like `out`: the model's wish; any voxels in its grid, so that who
 * insists on something else still learns of the grid; then everything. */
static GstCaps *input_caps(const struct gst_spconv_infer_contract *contract,
                           const GstStructure *out)
{
    static const gchar *const of_the_grid[] = {"grid-x", "grid-y", "grid-z", "voxel-size-um",
                                               "range-mm"};
    GstCaps *caps = gst_spconv_voxels_info_to_caps(&contract->input);
    GstCaps *any = gst_caps_from_string(GST_SPCONV_VOXELS_TEMPLATE), *grid = gst_caps_copy(any);
    guint i;

    for (i = 0; i < G_N_ELEMENTS(of_the_grid); i++)
        copy_field(gst_caps_get_structure(grid, 0), gst_caps_get_structure(caps, 0),
                   of_the_grid[i]);
    gst_caps_append(caps, grid);
    if (gst_spconv_cuda_is_built() && !contract->cuda)
        gst_caps_append(any, gst_spconv_cuda_caps(gst_caps_copy(any)));
    gst_caps_append(caps, any);
    for (i = 0; i < gst_caps_get_size(caps); i++)
        copy_field(gst_caps_get_structure(caps, i), out, "framerate");
    if (contract->cuda) { /* of each the same in CUDA memory, which saves the upload */
        GstCaps *on_cuda = gst_spconv_cuda_caps(gst_caps_copy(caps));

        gst_caps_append(on_cuda, caps);
        return on_cuda;
    }
    return caps;
}

static GstCaps *transform_caps(GstBaseTransform *trans, GstPadDirection direction, GstCaps *caps,
                               GstCaps *filter)
{
    struct gst_spconv_infer_contract contract =
        gst_spconv_infer_get_contract(GST_SPCONV_INFER(trans));
    GstPad *other = direction == GST_PAD_SINK ? trans->srcpad : trans->sinkpad;
    GstCaps *result, *intersection;
    guint i;

    if (contract.loaded && !gst_caps_is_any(caps)) {
        result = gst_caps_new_empty();
        for (i = 0; i < gst_caps_get_size(caps); i++) {
            const GstStructure *s = gst_caps_get_structure(caps, i);

            result = gst_caps_merge(result, direction == GST_PAD_SINK ? output_caps(&contract, s)
                                                                      : input_caps(&contract, s));
        }
    } else {
        result = gst_pad_get_pad_template_caps(other);
    }
    if (filter) {
        intersection = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(result);
        result = intersection;
    }
    return result;
}

/* The filter is not for downstream: the base class would take it there, and then nothing that
 * downstream refuses gets as far as an explanation. */
GstCaps *gst_spconv_infer_get_sink_caps(GstSpconvInfer *self, GstCaps *filter)
{
    GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD(self);
    GstCaps *template = gst_pad_get_pad_template_caps(pad);
    GstCaps *out = gst_pad_peer_query_caps(pad, template);
    GstCaps *caps = transform_caps(GST_BASE_TRANSFORM(self), GST_PAD_SRC, out, filter);

    gst_caps_unref(out);
    gst_caps_unref(template);
    return caps;
}

/* ------------------------------------------------------------------ set_caps ----------------- */

static void compare_ints(GString *text, const gchar *what, const gint *model, const gint *caps,
                         guint count)
{
    guint i;

    if (!memcmp(model, caps, count * sizeof(*model)))
        return;
    g_string_append_printf(text, " %s: the model says ", what);
    for (i = 0; i < count; i++)
        g_string_append_printf(text, "%s%d", i ? "," : "", model[i]);
    g_string_append(text, ", the caps say ");
    for (i = 0; i < count; i++)
        g_string_append_printf(text, "%s%d", i ? "," : "", caps[i]);
    g_string_append_c(text, ';');
}

static void compare_texts(GString *text, const gchar *what, const gchar *model, const gchar *caps)
{
    if (!g_str_equal(model, caps))
        g_string_append_printf(text, " %s: the model says %s, the caps say %s;", what, model, caps);
}

/* Everything in which the two disagree, both sides named; empty where they agree. */
static GString *compare_voxels(const struct gst_spconv_voxels_info *model,
                               const struct gst_spconv_voxels_info *caps)
{
    const gint model_grid[] = {model->grid_x, model->grid_y, model->grid_z};
    const gint caps_grid[] = {caps->grid_x, caps->grid_y, caps->grid_z};
    const gint model_features = (gint)model->num_features;
    const gint caps_features = (gint)caps->num_features;
    GString *text = g_string_new(NULL);

    compare_texts(text, "index-order", gst_spconv_index_order_name(model->index_order),
                  gst_spconv_index_order_name(caps->index_order));
    compare_ints(text, "grid (x,y,z)", model_grid, caps_grid, 3);
    compare_ints(text, "num-features", &model_features, &caps_features, 1);
    if (model->features[0] && caps->features[0])
        compare_texts(text, "features", model->features, caps->features);
    if (model->geometry.has_voxel_size && caps->geometry.has_voxel_size)
        compare_ints(text, "voxel-size-um", model->geometry.voxel_size_um,
                     caps->geometry.voxel_size_um, 3);
    if (model->geometry.has_range && caps->geometry.has_range)
        compare_ints(text, "range-mm", model->geometry.range_mm, caps->geometry.range_mm, 6);
    return text;
}

static gboolean check_input(GstSpconvInfer *self, const struct gst_spconv_infer_contract *contract)
{
    GString *text = compare_voxels(&contract->input, &self->input);
    gboolean ok = !text->len;

    if (!ok) {
        g_string_truncate(text, text->len - 1);
        gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused,
                               "The model and the voxels disagree.%s. Voxelize as the model was "
                               "trained, or take the model of these voxels.",
                               text->str);
    }
    g_string_free(text, TRUE);
    return ok;
}

static gboolean check_memory(GstSpconvInfer *self, const struct gst_spconv_infer_contract *contract,
                             const GstCaps *in)
{
    return contract->cuda || !gst_spconv_cuda_caps_are(in, 0) ||
           gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused,
                                  "The voxels are in CUDA memory, and the model runs on the CPU: "
                                  "set backend=cuda here, or backend=cpu where they are made.");
}

/* Another bound changes the means a little, and may be meant: no reason to refuse. */
static void warn_of_max_points(GstSpconvInfer *self, const struct gst_spconv_voxels_info *model)
{
    if (model->has_max_points_per_voxel && self->input.has_max_points_per_voxel &&
        model->max_points_per_voxel != self->input.max_points_per_voxel)
        GST_ELEMENT_WARNING(
            self, CORE, NEGOTIATION,
            ("The results will differ from training: the model says max-points-per-voxel %d, the "
             "caps say %d (0: all). Leave it unset in lidarvoxelize to follow the model.",
             model->max_points_per_voxel, self->input.max_points_per_voxel),
            (NULL));
}

/* The sessions were made for what was expected to be negotiated. */
static gboolean take_output_type(GstSpconvInfer *self, enum spc_dtype type)
{
    enum spc_dtype made = SPC_DTYPE_NONE; /* when the last try failed there are none */

    if (self->slots[0].session)
        spc_session_get_output(self->slots[0].session, self->output, NULL, &made, NULL, NULL);
    return made == type || gst_spconv_infer_make_sessions(self, type);
}

static gboolean set_caps(GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
    GstSpconvInfer *self = GST_SPCONV_INFER(trans);
    struct gst_spconv_infer_contract contract = gst_spconv_infer_get_contract(self);
    GError *error = NULL;
    gboolean ok;

    self->explained = TRUE;
    gst_spconv_infer_drain(self); /* downstream may ask for new caps at any time */
    ok = gst_spconv_voxels_info_parse(&self->input, in, &error) &&
         (contract.sparse ? gst_spconv_voxels_info_parse(&self->sites, out, &error)
                          : gst_spconv_bev_info_parse(&self->bev, out, &error));
    if (!ok) {
        gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused, "%s.", error->message);
        g_clear_error(&error);
    }
    if (!ok || !check_input(self, &contract) || !check_memory(self, &contract, in))
        return FALSE;
    warn_of_max_points(self, &contract.input);
    self->refused = FALSE;
    self->cuda_in = gst_spconv_cuda_caps_are(in, 0);
    self->cuda_out = gst_spconv_cuda_caps_are(out, 0);
    return take_output_type(self, contract.sparse ? self->sites.feature_type : self->bev.type);
}

/* The base class refuses in silence where downstream takes nothing of what the model gives. */
static void explain_refusal(GstSpconvInfer *self, GstCaps *in)
{
    struct gst_spconv_infer_contract contract = gst_spconv_infer_get_contract(self);
    GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD(self);
    GstCaps *out = output_caps(&contract, gst_caps_get_structure(in, 0));
    GstCaps *peer = gst_pad_peer_query_caps(pad, NULL);
    const gchar *advice = "";

    if (!self->on_cuda && gst_spconv_cuda_caps_name(peer))
        advice = " CUDA memory needs backend=cuda here: that says what is missing.";
    if (!GST_PAD_IS_FLUSHING(pad) && peer && !gst_caps_can_intersect(out, peer))
        gst_spconv_refuse_caps(GST_ELEMENT(self), &self->refused,
                               "Downstream does not take what the model gives: the model gives "
                               "%" GST_PTR_FORMAT ", downstream takes %" GST_PTR_FORMAT ".%s",
                               out, peer, advice);
    gst_caps_unref(out);
    gst_clear_caps(&peer);
}

gboolean gst_spconv_infer_take_caps(GstSpconvInfer *self, GstEvent *event)
{
    GstCaps *in;
    gboolean ok;

    gst_event_parse_caps(event, &in);
    gst_caps_ref(in);
    self->explained = FALSE;
    ok = GST_SPCONV_INFER_BASE->sink_event(GST_BASE_TRANSFORM(self), event);
    if (!ok && !self->explained)
        explain_refusal(self, in);
    gst_caps_unref(in);
    return ok;
}

void gst_spconv_infer_install_negotiation(GstBaseTransformClass *klass)
{
    klass->transform_caps = transform_caps;
    klass->set_caps = set_caps;
}

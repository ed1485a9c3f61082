/* SPDX-License-Identifier: MIT */
/* The model of spconvinfer and its sessions: loading, choosing the output, warm-up. */
#include "gstspconvinfer.h"
#include "gstspconverror.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_spconv_infer_debug

/* Voxels of the warm-up: columns of cells, so far apart that the levels below grow, as they do for
 * a real cloud, and the buffers of all levels are touched. */
#define WARM_UP_COLUMNS 64
#define WARM_UP_SPACING 4
#define WARM_UP_HEIGHT 8

static void log_engine(void *user, enum spc_log_level level, const char *message)
{
    static const GstDebugLevel levels[] = {
        [SPC_LOG_ERROR] = GST_LEVEL_ERROR,
        [SPC_LOG_WARNING] = GST_LEVEL_WARNING,
        [SPC_LOG_INFO] = GST_LEVEL_INFO,
        [SPC_LOG_DEBUG] = GST_LEVEL_DEBUG,
    };

    GST_CAT_LEVEL_LOG(GST_CAT_DEFAULT, levels[level], GST_OBJECT(user), "%s", message);
}

/* ------------------------------------------------------------------ the model ---------------- */

static gboolean load_model(GstSpconvInfer *self, const struct gst_spconv_infer_settings *settings)
{
    struct spc_model_options options;
    struct spc_error error;

    if (!settings->model_file || !settings->model_file[0]) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND, ("There is no model: set model-file."),
                          (NULL));
        return FALSE;
    }
    if (!g_file_test(settings->model_file, G_FILE_TEST_EXISTS)) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND,
                          ("Model file \"%s\" does not exist.", settings->model_file), (NULL));
        return FALSE;
    }
    spc_model_options_default(&options);
    options.index_order = settings->index_order;
    options.log = log_engine;
    options.log_user = self;
    if (spc_model_load_file(settings->model_file, &options, &self->model, &error)) {
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    return TRUE;
}

/* ------------------------------------------------------------------ warm-up ------------------ */

static gint64 fill_columns(const struct spc_model_info *model, gint64 bound, gint32 *indices)
{
    const gint32 side = WARM_UP_COLUMNS * WARM_UP_SPACING;
    const gboolean xyz = model->index_order == SPC_INDEX_XYZ;
    gint32 z, y, x; /* odd: a strided convolution spreads them */
    gint64 n = 0;

    for (y = 1; y < MIN(model->grid_y, side); y += WARM_UP_SPACING) {
        for (x = 1; x < MIN(model->grid_x, side); x += WARM_UP_SPACING) {
            for (z = 0; z < MIN(model->grid_z, WARM_UP_HEIGHT) && n < bound; z++, n++) {
                indices[4 * n] = 0;
                indices[4 * n + 1] = xyz ? x : z;
                indices[4 * n + 2] = y;
                indices[4 * n + 3] = xyz ? z : x;
            }
        }
    }
    return n;
}

/* A synthetic frame, so that the first real one costs what the others do. */
static gboolean warm_up(GstSpconvInfer *self, struct gst_spconv_infer_slot *slot,
                        GstClockTime *elapsed)
{
    const gsize rows = WARM_UP_COLUMNS * WARM_UP_COLUMNS * WARM_UP_HEIGHT;
    struct spc_voxels voxels = {.feature_type = SPC_DTYPE_F32};
    GstClockTime begin = gst_util_get_timestamp();
    struct spc_session_info session;
    struct spc_model_info model;
    struct spc_error error;
    enum spc_status status;
    gfloat *features;
    gint32 *indices = g_new(gint32, rows * 4);

    spc_model_get_info(self->model, &model);
    spc_session_get_info(slot->session, &session);
    features = g_new0(gfloat, rows * (gsize)model.num_features);
    voxels.num_voxels = fill_columns(&model, session.max_voxels, indices);
    voxels.features = features;
    voxels.indices = indices;
    memset(slot->outputs, 0, (gsize)(self->output + 1) * sizeof(*slot->outputs));
    begin = gst_util_get_timestamp();
    status = spc_session_run(slot->session, &voxels, slot->outputs, self->output + 1, &error);
    *elapsed = gst_util_get_timestamp() - begin;
    g_free(features);
    g_free(indices);
    if (status && status != SPC_ERR_CAPACITY) { /* small bounds are the user's choice */
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    return TRUE;
}

/* ------------------------------------------------------------------ sessions ----------------- */

static void free_sessions(GstSpconvInfer *self)
{
    gboolean entered = gst_spconv_cuda_enter(self->cuda);
    guint i;

    for (i = 0; i < G_N_ELEMENTS(self->slots); i++) {
        struct gst_spconv_infer_slot *slot = &self->slots[i];

        spc_session_free(&slot->session);
        gst_spconv_cuda_stream_free(&slot->stream);
        g_clear_pointer(&slot->outputs, g_free);
    }
    if (entered)
        gst_spconv_cuda_leave(self->cuda);
}

/* The output to push: the one that is named, else the first dense one, else the first. */
static gboolean choose_output(GstSpconvInfer *self, const gchar *name)
{
    const struct spc_session *session = self->slots[0].session;
    gint count = spc_session_num_outputs(session), i;
    GString *names = g_string_new(NULL);
    struct spc_output_info info;

    self->output = name ? -1 : 0;
    for (i = 0; i < count; i++) {
        spc_session_get_output(session, i, &info, NULL, NULL, NULL);
        g_string_append_printf(names, "%s%s", i ? ", " : "", info.name);
        if (name ? g_str_equal(info.name, name) : info.kind == SPC_OUTPUT_DENSE) {
            self->output = i;
            break;
        }
    }
    if (self->output < 0)
        GST_ELEMENT_ERROR(
            self, RESOURCE, SETTINGS,
            ("The model has no output \"%s\", its outputs are: %s.", name, names->str), (NULL));
    g_string_free(names, TRUE);
    return self->output >= 0;
}

static gboolean create_session(GstSpconvInfer *self,
                               const struct gst_spconv_infer_settings *settings,
                               struct gst_spconv_infer_slot *slot)
{
    struct spc_session_options options;
    struct spc_error error;

    spc_session_options_default(&options);
    options.backend = gst_spconv_backend_name(settings->backend);
    options.device = gst_spconv_cuda_is_open(self->cuda) ? -1 : settings->cuda_device_id;
    options.precision = settings->precision;
    options.threads = (int)settings->threads;
    options.max_voxels = settings->max_voxels;
    options.site_bound = settings->site_bound;
    options.output_type = self->session_type;
    options.cuda_graph = settings->cuda_graph;
    options.aux_stream = settings->aux_stream;
    options.sort_mask = settings->sort_mask;
    options.fixed_launch_points = settings->fixed_launch_points;
    options.tuning_cache = settings->tuning_cache;
    options.log = log_engine;
    options.log_user = self;
    if (spc_session_create(self->model, &options, &slot->session, &error)) {
        gst_spconv_post_error(GST_ELEMENT(self), &error);
        return FALSE;
    }
    if (!gst_spconv_cuda_is_open(self->cuda))
        return TRUE;
    slot->stream = gst_spconv_cuda_stream_new(self->cuda);
    if (!slot->stream)
        GST_ELEMENT_ERROR(self, LIBRARY, INIT,
                          ("No stream can be made on the CUDA device: does nvidia-smi list it?"),
                          (NULL));
    return slot->stream != NULL;
}

static gboolean create_sessions(GstSpconvInfer *self,
                                const struct gst_spconv_infer_settings *settings,
                                GstClockTime *elapsed)
{
    guint i;

    self->num_slots = settings->inflight;
    for (i = 0; i < self->num_slots; i++) {
        struct gst_spconv_infer_slot *slot = &self->slots[i];

        if (!create_session(self, settings, slot))
            return FALSE;
        if (!i && !choose_output(self, settings->output))
            return FALSE;
        slot->outputs = g_new0(struct spc_output, self->output + 1);
        if (!warm_up(self, slot, elapsed))
            return FALSE;
    }
    return TRUE;
}

gboolean gst_spconv_infer_make_sessions(GstSpconvInfer *self, enum spc_dtype type)
{
    struct gst_spconv_infer_settings settings;
    struct spc_session_info info;
    GstClockTime elapsed = 0;
    gboolean ok;

    if (self->slots[0].session && self->session_type == type)
        return TRUE;
    settings = gst_spconv_infer_settings_copy(self);
    free_sessions(self);
    self->session_type = type;
    ok = gst_spconv_enter_cuda(GST_ELEMENT(self), self->cuda);
    if (ok) {
        ok = create_sessions(self, &settings, &elapsed);
        gst_spconv_cuda_leave(self->cuda);
    }
    gst_spconv_infer_settings_clear(&settings);
    if (!ok) {
        free_sessions(self);
        return FALSE;
    }
    spc_session_get_info(self->slots[0].session, &info);
    self->on_cuda = g_str_equal(info.backend, "cuda");
    GST_OBJECT_LOCK(self);
    self->session_info = info;
    self->stats.latency = elapsed;
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

gboolean gst_spconv_infer_follow_context(GstSpconvInfer *self, GstBuffer *buffer)
{
    enum spc_dtype type = self->session_type;
    gint device;

    GST_OBJECT_LOCK(self);
    device = self->settings.cuda_device_id;
    GST_OBJECT_UNLOCK(self);
    free_sessions(self);
    if (gst_spconv_cuda_adopt(self->cuda, buffer, device))
        return gst_spconv_infer_make_sessions(self, type);
    GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS,
                      ("The voxels are not on CUDA device %d: set cuda-device-id to the same in "
                       "all elements, or in none.",
                       device),
                      (NULL));
    return FALSE;
}

/* ------------------------------------------------------------------ load and unload ---------- */

/* The device is looked at only where it may be used. Without a context of its own the engine takes
 * the device's primary one, or says why there is none. */
static void open_cuda(GstSpconvInfer *self, const struct gst_spconv_infer_settings *settings)
{
    struct spc_error why = {.status = SPC_OK};
    const char *name;
    gint i;

    if (settings->backend == GST_SPCONV_BACKEND_CPU)
        return;
    for (i = 0; (name = spc_backend_name(i, &why)); i++)
        if (g_str_equal(name, "cuda") && why.status == SPC_OK)
            gst_spconv_cuda_open(self->cuda, settings->cuda_device_id);
}

/* Downstream names what it takes; a guess, since caps are negotiated later. */
static enum spc_dtype guess_type(GstSpconvInfer *self,
                                 const struct gst_spconv_infer_settings *settings)
{
    enum spc_dtype type = settings->output_type;
    GstCaps *peer;

    if (type != SPC_DTYPE_NONE)
        return type;
    peer = gst_pad_peer_query_caps(GST_BASE_TRANSFORM_SRC_PAD(self), NULL);
    if (!gst_spconv_cuda_is_open(self->cuda) || !gst_spconv_cuda_caps_name(peer))
        type = SPC_DTYPE_F32;
    gst_caps_unref(peer);
    return type;
}

gboolean gst_spconv_infer_load(GstSpconvInfer *self)
{
    struct gst_spconv_infer_settings settings = gst_spconv_infer_settings_copy(self);
    gboolean ok = load_model(self, &settings);

    if (ok) {
        open_cuda(self, &settings);
        ok = gst_spconv_infer_make_sessions(self, guess_type(self, &settings));
    }
    self->overflow = settings.overflow;
    gst_spconv_infer_settings_clear(&settings);
    if (ok)
        gst_spconv_infer_set_contract(self);
    else
        gst_spconv_infer_unload(self);
    return ok;
}

/* The contract stays: what is upstream runs on for a moment, and shall not be told that anything
 * goes when it asks. */
void gst_spconv_infer_unload(GstSpconvInfer *self)
{
    free_sessions(self);
    spc_model_free(&self->model);
    gst_spconv_cuda_close(self->cuda);
}

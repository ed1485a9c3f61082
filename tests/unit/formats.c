/* SPDX-License-Identifier: MIT */
/* Array and point files: round trips, the bytes that NumPy writes, and every refusal. */
#include "base/half.h"
#include "formats/formats.h"
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/spc-formats-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int count_files(void)
{
    DIR *dir = opendir(folder);
    int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n - 2;
}

/* A file of NumPy's: format 1.0 unless `version` says otherwise, header padded to 128 bytes. */
static size_t make_npy(uint8_t *file, int version, const char *dict, const void *values,
                       size_t size)
{
    size_t start = version == 1 ? 10 : 12, length = 128 - start;

    memcpy(file, "\x93NUMPY", 6);
    file[6] = (uint8_t)version;
    file[7] = 0;
    memset(file + 8, 0, 4);
    file[8] = (uint8_t)length;
    memset(file + start, ' ', length);
    memcpy(file + start, dict, strlen(dict));
    file[127] = '\n';
    if (size)
        memcpy(file + 128, values, size);
    return 128 + size;
}

static size_t make_tensor(uint8_t *file, const int32_t *header, int words, const void *values,
                          size_t size)
{
    memcpy(file, header, 4 * (size_t)words);
    if (size)
        memcpy(file + 4 * (size_t)words, values, size);
    return 4 * (size_t)words + size;
}

static void check_refused(const void *data, size_t size, enum spc_status status, const char *says)
{
    struct spc_array array = {.rank = 77};
    struct spc_error err = {0};

    CHECK_INT(spc_array_parse(data, size, &array, &err), status);
    CHECK_INT(err.status, status);
    CHECK_TEXT(err.message, says);
    CHECK_INT(array.rank, 77); /* untouched */
    CHECK_INT(spc_array_parse(data, size, &array, NULL), status);
}

TEST(numpy_bytes)
{
    float values[6] = {0, 1, 2, 3, 4, 5};
    int64_t seven = 7;
    int8_t bytes[2] = {1, -2};
    uint8_t file[256];
    struct spc_array array;

    REQUIRE(!spc_array_parse(
        file, make_npy(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                       values, 24), &array, NULL));
    CHECK(array.dtype == SPC_DTYPE_F32 && array.rank == 2 && array.dims[0] == 2 &&
          array.dims[1] == 3 && array.size == 24 && !memcmp(array.data, values, 24));
    spc_array_free(&array);
    REQUIRE(!spc_array_parse(
        file, make_npy(file, 2, "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }", bytes,
                       2), &array, NULL));
    CHECK(array.dtype == SPC_DTYPE_I8 && array.rank == 1 && array.dims[0] == 2 &&
          ((int8_t *)array.data)[1] == -2);
    spc_array_free(&array);
    REQUIRE(!spc_array_parse(
        file, make_npy(file, 3, "{'shape': (), 'fortran_order': False, 'descr': \"<i8\"}", &seven,
                       8), &array, NULL));
    CHECK(array.dtype == SPC_DTYPE_I64 && array.rank == 0 && *(int64_t *)array.data == 7);
    spc_array_free(&array);
    CHECK(!array.data);
}

/* What we write is what NumPy 1.24 writes for the same array. */
TEST(numpy_header)
{
    struct spc_array array = {SPC_DTYPE_F32, 2, {2, 3}, NULL, 24};
    uint8_t expected[256], header[SPC__MAX_HEADER];
    size_t length;

    make_npy(expected, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", NULL, 0);
    REQUIRE(!spc__npy_header(&array, header, &length, NULL));
    CHECK_INT(length, 128);
    CHECK(!memcmp(header, expected, 128));
    array.rank = 1;
    array.dtype = SPC_DTYPE_U8;
    make_npy(expected, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", NULL, 0);
    REQUIRE(!spc__npy_header(&array, header, &length, NULL));
    CHECK(length == 128 && !memcmp(header, expected, 128));
}

static void check_round_trip(const char *name, const struct spc_array *array)
{
    struct spc_array back = {0};
    struct spc_error err = {0};

    CHECK_INT(spc_array_write(in_folder(name), array, &err), SPC_OK);
    CHECK_INT(spc_array_read(in_folder(name), &back, &err), SPC_OK);
    CHECK(back.dtype == array->dtype && back.rank == array->rank && back.size == array->size);
    CHECK(!memcmp(back.dims, array->dims, sizeof(int64_t) * (size_t)array->rank));
    CHECK(!array->size || !memcmp(back.data, array->data, array->size));
    spc_array_free(&back);
    unlink(in_folder(name));
}

TEST(round_trips)
{
    uint8_t values[512];

    for (size_t i = 0; i < sizeof(values); i++)
        values[i] = (uint8_t)(i * 37);
    for (int type = SPC_DTYPE_F32; type <= SPC_DTYPE_U64; type++)
        for (int rank = 0; rank <= SPC_MAX_RANK; rank++) {
            struct spc_array array = {.dtype = (enum spc_dtype)type, .rank = rank, .data = values};
            int64_t count = 1;

            for (int i = 0; i < rank; i++)
                count *= array.dims[i] = i % 4 ? 1 : 1 + i;
            array.size = (size_t)count * spc_dtype_size(array.dtype);
            check_round_trip("a.tensor", &array);
            check_round_trip("a.npy", &array);
            if (!rank)
                continue;
            array.dims[rank - 1] = 0; /* empty arrays travel too */
            array.size = 0;
            check_round_trip("a.tensor", &array);
            check_round_trip("a.npy", &array);
        }
    CHECK_INT(count_files(), 0);
}

TEST(tensor_refused)
{
    uint8_t file[256];
    float values[6] = {0};
    int32_t good[5] = {0x33ff1101, 2, 3, 2, 3};
    size_t size = make_tensor(file, good, 5, values, 24);

    for (size_t cut = 0; cut < size; cut++)
        check_refused(file, cut, SPC_ERR_FORMAT, cut < 4 ? "neither" : cut < 20 ? "cut off" : "24");
    check_refused(file, size + 1, SPC_ERR_FORMAT, "promises 24 bytes of values, 25 are there");
    check_refused(file, make_tensor(file, (int32_t[]){0x33ff1101, 9, 3}, 3, NULL, 0),
                  SPC_ERR_FORMAT, "rank 9");
    check_refused(file, make_tensor(file, (int32_t[]){0x33ff1101, -1, 3}, 3, NULL, 0),
                  SPC_ERR_FORMAT, "rank -1");
    check_refused(file, make_tensor(file, (int32_t[]){0x33ff1101, 1, 9, 1}, 4, NULL, 0),
                  SPC_ERR_UNSUPPORTED, "type number 9");
    check_refused(file, make_tensor(file, (int32_t[]){0x33ff1101, 2, 3, -2, 3}, 5, NULL, 0),
                  SPC_ERR_FORMAT, "dim 0 is negative");
    check_refused(file, make_tensor(file, (int32_t[]){0x33ff1101, 2, 3, 65536, 65536}, 5, NULL, 0),
                  SPC_ERR_UNSUPPORTED, "4294967296 bytes");
    check_refused(file,
                  make_tensor(file, (int32_t[]){0x33ff1101, 3, 4, INT32_MAX, INT32_MAX, 0}, 6, NULL,
                              0),
                  SPC_ERR_UNSUPPORTED, "more than");
    check_refused(file, make_tensor(file, (int32_t[]){0x01011ff3, 0, 3}, 3, values, 4),
                  SPC_ERR_FORMAT, "neither");
}

static void check_npy_refused(const char *dict, size_t size, enum spc_status status,
                              const char *says)
{
    uint8_t file[256], values[64] = {0};

    check_refused(file, make_npy(file, 1, dict, values, size), status, says);
}

TEST(npy_refused)
{
    static const struct {
        const char *dict;
        size_t size;
        enum spc_status status;
        const char *says;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", 24, SPC_ERR_UNSUPPORTED,
         "Fortran order"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3)}", 24, SPC_ERR_UNSUPPORTED,
         "big-endian"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", 16, SPC_ERR_UNSUPPORTED,
         "element type '<f8'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", 16, SPC_ERR_UNSUPPORTED,
         "type ''"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8,
         SPC_ERR_UNSUPPORTED, "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 20, SPC_ERR_FORMAT,
         "promises 24 bytes of values, 20 are there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 28, SPC_ERR_FORMAT,
         "28 are there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}", 24, SPC_ERR_FORMAT,
         "dim 1 is negative"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0,
         SPC_ERR_UNSUPPORTED, "more than"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 0,
         SPC_ERR_FORMAT, "no number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
         SPC_ERR_UNSUPPORTED, "more than 8 dims"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2}", 8, SPC_ERR_FORMAT, "not closed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8, SPC_ERR_FORMAT, "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", 8, SPC_ERR_FORMAT, "no tuple"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8, SPC_ERR_FORMAT, "no boolean"},
        {"{'descr': '<f4', 'shape': (2,)}", 8, SPC_ERR_FORMAT, "lacks 'fortran_order'"},
        {"{'fortran_order': False, 'shape': (2,)}", 8, SPC_ERR_FORMAT, "lacks 'descr'"},
        {"{'descr': '<f4', 'fortran_order': False}", 8, SPC_ERR_FORMAT, "lacks 'shape'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, SPC_ERR_FORMAT,
         "unknown or repeated key 'x'"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8,
         SPC_ERR_FORMAT, "repeated key 'descr'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, SPC_ERR_FORMAT,
         "behind its dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, SPC_ERR_FORMAT, "not closed"},
        {"", 8, SPC_ERR_FORMAT, "no dictionary"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_npy_refused(cases[i].dict, cases[i].size, cases[i].status, cases[i].says);
}

TEST(npy_header_refused)
{
    uint8_t file[256], values[8] = {0};
    size_t size = make_npy(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
                           values, 8);

    for (size_t cut = 6; cut < 128; cut++)
        check_refused(file, cut, SPC_ERR_FORMAT, "cut off");
    file[6] = 4;
    check_refused(file, size, SPC_ERR_UNSUPPORTED, "version 4.0");
    file[6] = 2;
    memset(file + 8, 0xff, 4);
    check_refused(file, size, SPC_ERR_UNSUPPORTED, "header of 4294967295 bytes");
    CHECK_INT(spc_array_parse(NULL, 3, NULL, NULL), SPC_ERR_ARGUMENT);
    check_refused("", 0, SPC_ERR_FORMAT, "neither");
}

TEST(write_refused)
{
    float value = 1;
    struct spc_array array = {SPC_DTYPE_F32, 1, {1}, &value, 4};
    struct spc_error err;

    CHECK_INT(spc_array_write(in_folder("a.txt"), &array, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, ".tensor or .npy");
    CHECK_INT(spc_array_write(in_folder("no/a.npy"), &array, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, "no/a.npy: cannot be written: No such file");
    array.size = 8;
    CHECK_INT(spc_array_write(in_folder("a.npy"), &array, &err), SPC_ERR_ARGUMENT);
    CHECK_TEXT(err.message, "make 4 bytes, the array has 8");
    array.dtype = (enum spc_dtype)99;
    CHECK_INT(spc_array_write(in_folder("a.npy"), &array, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_array_write(NULL, &array, &err), SPC_ERR_ARGUMENT);
    array = (struct spc_array){SPC_DTYPE_U8, 2, {0, (int64_t)1 << 31}, NULL, 0};
    CHECK_INT(spc_array_write(in_folder("a.tensor"), &array, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "does not fit a .tensor file");
    /* A folder of that name: the rename fails, and nothing is left beside it. */
    array = (struct spc_array){SPC_DTYPE_F32, 1, {1}, &value, 4};
    REQUIRE(!mkdir(in_folder("d.npy"), 0777));
    CHECK_INT(spc_array_write(in_folder("d.npy"), &array, &err), SPC_ERR_IO);
    CHECK_INT(count_files(), 1);
    rmdir(in_folder("d.npy"));
}

TEST(read_refused)
{
    struct spc_array array;
    struct spc_error err;
    FILE *file;

    CHECK_INT(spc_array_read(in_folder("none.npy"), &array, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, "none.npy: cannot be opened: No such file");
    CHECK_INT(spc_array_read(folder, &array, &err), SPC_ERR_IO);
    CHECK_TEXT(err.message, "is a folder");
    CHECK_INT(spc_array_read(NULL, &array, &err), SPC_ERR_ARGUMENT);
    file = fopen(in_folder("huge.npy"), "w");
    REQUIRE(file);
    REQUIRE(!ftruncate(fileno(file), ((off_t)4 << 30) + 1)); /* sparse: costs no disk */
    fclose(file);
    CHECK_INT(spc_array_read(in_folder("huge.npy"), &array, &err), SPC_ERR_UNSUPPORTED);
    CHECK_TEXT(err.message, "larger than the limit");
    unlink(in_folder("huge.npy"));
}

TEST(points_raw)
{
    const float values[8] = {1, 2, 3, 4, -1, -2, -3, -4};
    const uint16_t halves[3] = {0x3c00, 0xc000, 0x7c00};
    struct spc_array points;
    struct spc_error err;

    REQUIRE(!spc_points_parse(values, 32, 4, SPC_DTYPE_F32, &points, &err));
    CHECK(points.dtype == SPC_DTYPE_F32 && points.rank == 2 && points.dims[0] == 2 &&
          points.dims[1] == 4 && points.size == 32 && !memcmp(points.data, values, 32));
    spc_array_free(&points);
    REQUIRE(!spc_points_parse(halves, 6, 3, SPC_DTYPE_F16, &points, &err));
    CHECK(points.dims[0] == 1 && points.size == 12 && ((float *)points.data)[1] == -2 &&
          isinf(((float *)points.data)[2]));
    spc_array_free(&points);
    REQUIRE(!spc_points_parse(NULL, 0, 5, SPC_DTYPE_F16, &points, &err));
    CHECK(points.dims[0] == 0 && points.dims[1] == 5 && points.size == 0);
    spc_array_free(&points);
    CHECK_INT(spc_points_parse(values, 30, 4, SPC_DTYPE_F32, &points, &err), SPC_ERR_FORMAT);
    CHECK_TEXT(err.message, "30 bytes are no whole number of points of 4 float32");
    CHECK_INT(spc_points_parse(values, 32, 0, SPC_DTYPE_F32, &points, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_points_parse(values, 32, 4, SPC_DTYPE_NONE, &points, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_points_parse(values, 32, 17, SPC_DTYPE_F32, &points, &err), SPC_ERR_ARGUMENT);
    CHECK_INT(spc_points_parse(values, 32, 4, SPC_DTYPE_I32, &points, &err), SPC_ERR_ARGUMENT);
}

TEST(points_arrays)
{
    uint16_t halves[6] = {0x3c00, 0, 0, 0x4000, 0, 0};
    struct spc_array array = {SPC_DTYPE_F16, 2, {2, 3}, halves, 12}, points;
    const char *path = in_folder("p.npy");
    struct spc_error err;
    FILE *file;

    REQUIRE(!spc_array_write(path, &array, &err));
    REQUIRE(!spc_points_read(path, 0, SPC_DTYPE_NONE, &points, &err));
    CHECK(points.dtype == SPC_DTYPE_F32 && points.dims[0] == 2 && points.dims[1] == 3 &&
          points.size == 24 && ((float *)points.data)[3] == 2);
    spc_array_free(&points);
    CHECK_INT(spc_points_read(path, 4, SPC_DTYPE_NONE, &points, &err), SPC_ERR_FORMAT);
    CHECK_TEXT(err.message, "3 fields a point, 4 are expected");
    CHECK_INT(spc_points_read(path, 3, SPC_DTYPE_F32, &points, &err), SPC_ERR_FORMAT);
    array = (struct spc_array){SPC_DTYPE_F16, 1, {6}, halves, 12};
    REQUIRE(!spc_array_write(path, &array, &err));
    CHECK_INT(spc_points_read(path, 0, SPC_DTYPE_NONE, &points, &err), SPC_ERR_FORMAT);
    CHECK_TEXT(err.message, "rank 1");
    array = (struct spc_array){SPC_DTYPE_I8, 2, {6, 2}, halves, 12};
    REQUIRE(!spc_array_write(path, &array, &err));
    CHECK_INT(spc_points_read(path, 0, SPC_DTYPE_NONE, &points, &err), SPC_ERR_UNSUPPORTED);
    /* Raw values in a file that is called .npy are a broken .npy file. */
    file = fopen(path, "w");
    REQUIRE(file);
    fwrite(halves, 1, 12, file);
    fclose(file);
    CHECK_INT(spc_points_read(path, 3, SPC_DTYPE_F16, &points, &err), SPC_ERR_FORMAT);
    unlink(path);
}

/* All 65,536 halves, in one call (vectors) and one by one (scalar), give base/half.h's bits. */
TEST(convert_halves)
{
    uint16_t *halves = malloc(65536 * sizeof(*halves));
    float *floats = malloc(65536 * sizeof(*floats));
    int wrong = 0;

    for (uint32_t i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    spc_convert_f16_to_f32(halves, floats, 65536);
    for (uint32_t i = 0; i < 65536; i++) {
        float expected = spc__half_to_float((uint16_t)i), one;

        spc_convert_f16_to_f32(&halves[i], &one, 1);
        wrong += memcmp(&expected, &floats[i], 4) || memcmp(&expected, &one, 4);
    }
    CHECK_INT(wrong, 0);
    free(halves);
    free(floats);
}

/* float32 patterns of every exponent, and all around each rounding boundary. */
TEST(convert_floats)
{
    enum { COUNT = 1 << 20 };
    float *floats = malloc(COUNT * sizeof(*floats));
    uint16_t *halves = malloc(COUNT * sizeof(*halves));
    uint32_t state = 12345;
    int wrong = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = state = state * 1664525u + 1013904223u;

        if (i & 1) /* near a tie: low bits 0x0fff, 0x1000, 0x1001 */
            bits = (bits & ~0x1fffu) | (0xfffu + (bits >> 5) % 3);
        memcpy(&floats[i], &bits, 4);
    }
    spc_convert_f32_to_f16(floats, halves, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        wrong += halves[i] != spc__half_from_float(floats[i]);
    CHECK_INT(wrong, 0);
    spc_convert_f32_to_f16(floats, halves, 3);
    CHECK_INT(halves[2], spc__half_from_float(floats[2]));
    free(floats);
    free(halves);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(numpy_bytes);
    RUN(numpy_header);
    RUN(round_trips);
    RUN(tensor_refused);
    RUN(npy_refused);
    RUN(npy_header_refused);
    RUN(write_refused);
    RUN(read_refused);
    RUN(points_raw);
    RUN(points_arrays);
    RUN(convert_halves);
    RUN(convert_floats);
    rmdir(folder);
    return test_result();
}

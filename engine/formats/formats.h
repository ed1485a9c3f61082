/* SPDX-License-Identifier: MIT */
/* Array files: what the format readers and writers share. Parsers see bytes, never a path. */
#ifndef SPC_FORMATS_FORMATS_H
#define SPC_FORMATS_FORMATS_H

#include <spc/spc.h>

#define SPC__TENSOR_MAGIC 0x33ff1101u
#define SPC__MAX_ARRAY_BYTES ((uint64_t)4 << 30)
/* Room for either format's header at SPC_MAX_RANK. */
#define SPC__MAX_HEADER 512

/* Size in bytes of an array, with every limit checked: a known type, rank, no negative dim, and
 * no more than SPC__MAX_ARRAY_BYTES, counting empty dims as 1 so that no partial product of the
 * dims overflows later. */
enum spc_status spc__array_bytes(enum spc_dtype dtype, int rank, const int64_t *dims, size_t *bytes,
                                 struct spc_error *err);

/* A new array with a copy of `values`, which must be exactly what the dims need: `size` bytes are
 * there. Fails with SPC_ERR_FORMAT where they are not. */
enum spc_status spc__array_take(struct spc_array *array, enum spc_dtype dtype, int rank,
                                const int64_t *dims, const void *values, size_t size,
                                struct spc_error *err);

bool spc__is_tensor(const void *data, size_t size);
enum spc_status spc__tensor_parse(const void *data, size_t size, struct spc_array *array,
                                  struct spc_error *err);
/* Writes the header of `array` and its length. */
enum spc_status spc__tensor_header(const struct spc_array *array, uint8_t header[SPC__MAX_HEADER],
                                   size_t *length, struct spc_error *err);

bool spc__is_npy(const void *data, size_t size);
enum spc_status spc__npy_parse(const void *data, size_t size, struct spc_array *array,
                               struct spc_error *err);
enum spc_status spc__npy_header(const struct spc_array *array, uint8_t header[SPC__MAX_HEADER],
                                size_t *length, struct spc_error *err);

/* Whether `path` ends in `suffix` (".npy"). */
bool spc__has_suffix(const char *path, const char *suffix);

#endif

/* SPDX-License-Identifier: MIT */
/* Tuning files: what parses is what would be written. Also with the sum that the bytes want, which
 * no mutation hits by itself. */
#include "fuzz.h"

#include "base/hash.h"
#include "base/tuning.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One tuning behind the other. Returns how many bytes of them are whole. */
static size_t check(const char *text, size_t size)
{
    struct spc__tuning_text rest = {text, text + size, 0};

    while (rest.at < rest.end) {
        struct spc_error err = {SPC_OK, ""};
        struct spc__tuning tuning;
        const char *start = rest.at;
        char *again;
        size_t length;

        if (spc__tuning_parse(&rest, &tuning, &err)) {
            FUZZ_CHECK(err.status != SPC_OK && err.message[0] && rest.at == start);
            break;
        }
        FUZZ_CHECK(tuning.num_nodes >= 0 && tuning.num_nodes <= SPC__MAX_TUNED_NODES);
        FUZZ_CHECK(!spc__tuning_print(&tuning, &again, &length, NULL));
        FUZZ_CHECK(rest.at == start + length && !memcmp(again, start, length));
        free(again);
        spc__tuning_clear(&tuning);
    }
    return (size_t)(rest.at - text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 32);
    size_t whole;
    int sum;

    memcpy(text, data, size);
    whole = check(text, size);
    sum = snprintf(text + size, 32, "sum %016" PRIx64 "\n",
                   spc__hash(SPC__HASH_START, data + whole, size - whole));
    check(text, size + (size_t)sum);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The convolution kernel around tiles of up to 6 rows x 16 channels. The file that includes this
 * defines KERNEL(name), the kernel's full name, and tile(t, first, rows). */

/* All pairs against one panel, in tiles of at most 6 rows that are as even as can be. */
static void sweep(const struct tile *t)
{
    int64_t first = 0;

    for (int64_t left = (t->pairs + 5) / 6; left; left--) {
        int64_t rows = (t->pairs - first + left - 1) / left;

        switch (rows) {
        case 1:
            tile(t, first, 1);
            break;
        case 2:
            tile(t, first, 2);
            break;
        case 3:
            tile(t, first, 3);
            break;
        case 4:
            tile(t, first, 4);
            break;
        case 5:
            tile(t, first, 5);
            break;
        default:
            tile(t, first, 6);
            break;
        }
        first += rows;
    }
}

void KERNEL(conv)(const float *in, const int32_t *in_rows, const uint16_t *out_rows, int64_t pairs,
                  const float *weights, int cin, int panels, float *acc)
{
    struct tile t = {in, in_rows, out_rows, weights, acc, panels * SPC__PANEL, pairs, cin};

    for (int panel = 0; panel < panels; panel++) {
        sweep(&t);
        t.weights += (int64_t)cin * SPC__PANEL;
        t.acc += SPC__PANEL;
    }
}

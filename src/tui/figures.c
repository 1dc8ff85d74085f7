/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and names as text. */
#include "figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "edgewise/names.h"

/* "1.2e-5" instead of "1.2e-05": columns are few. */
static void print_power(char out[EW_FIGURE_SIZE], double value)
{
    snprintf(out, EW_FIGURE_SIZE, "%.1e", value);
    char *digits = strchr(out, 'e') + 2;
    if (*digits == '0') {
        memmove(digits, digits + 1, strlen(digits));
    }
}

const char *ew_figure(char out[EW_FIGURE_SIZE], double value)
{
    double size = fabs(value);
    if (isnan(value)) {
        snprintf(out, EW_FIGURE_SIZE, "-");
    } else if (isinf(value)) {
        snprintf(out, EW_FIGURE_SIZE, value < 0 ? "-inf" : "inf");
    } else if (size == 0.0) {
        snprintf(out, EW_FIGURE_SIZE, "0");
    } else if (size >= 99999.5 || size < 0.00095) {
        print_power(out, value);
    } else if (size >= 99.95) {
        snprintf(out, EW_FIGURE_SIZE, "%.0f", value);
    } else if (size >= 9.995) {
        snprintf(out, EW_FIGURE_SIZE, "%.1f", value);
    } else if (size >= 0.9995) {
        snprintf(out, EW_FIGURE_SIZE, "%.2f", value);
    } else {
        snprintf(out, EW_FIGURE_SIZE, "%.3f", value);
    }
    return out;
}

const char *ew_figure_signed(char out[EW_FIGURE_SIZE], double value)
{
    if (isnan(value) || value == 0.0) {
        return ew_figure(out, value);
    }
    char plain[EW_FIGURE_SIZE];
    ew_figure(plain, fabs(value));
    snprintf(out, EW_FIGURE_SIZE, "%c%.*s", value < 0 ? '-' : '+',
             EW_FIGURE_SIZE - 2, plain);
    return out;
}

double ew_without_noise(double difference, double size)
{
    double scale = fmax(1.0, fabs(size)); /* 1 where the size is not known */
    return fabs(difference) < 1e-6 * scale ? 0.0 : difference;
}

const char *ew_figure_count(char out[EW_FIGURE_SIZE], uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    int at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *ew_figure_percent(char out[EW_FIGURE_SIZE], double ratio)
{
    if (!isfinite(ratio) || fabs(ratio) > 1e4) {
        snprintf(out, EW_FIGURE_SIZE, "-");
    } else {
        double percent = 100.0 * ratio;
        snprintf(out, EW_FIGURE_SIZE, "%.*f%%",
                 fabs(percent) < 9.95 && percent != 0.0 ? 1 : 0, percent);
    }
    return out;
}

const char *ew_figure_time(char out[EW_FIGURE_SIZE], double seconds)
{
    if (!(seconds >= 0) || seconds > 1e7) {
        snprintf(out, EW_FIGURE_SIZE, "-:--");
        return out;
    }
    long s = lround(seconds);
    if (s >= 3600) {
        snprintf(out, EW_FIGURE_SIZE, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60,
                 s % 60);
    } else {
        snprintf(out, EW_FIGURE_SIZE, "%ld:%02ld", s / 60, s % 60);
    }
    return out;
}

static const char *take(char out[EW_NAME_SIZE], struct ew_buf *buf)
{
    snprintf(out, EW_NAME_SIZE, "%s", ew_buf_str(buf));
    ew_buf_finish(buf);
    return out;
}

const char *ew_name_of_sender(char out[EW_NAME_SIZE], const struct ew_graph *g,
                              uint32_t sender)
{
    struct ew_buf buf = {0};
    ew_sender_print(&buf, g, sender, EW_NAMES_CANONICAL);
    return take(out, &buf);
}

const char *ew_name_of_receiver(char out[EW_NAME_SIZE],
                                const struct ew_graph *g, uint32_t receiver)
{
    struct ew_buf buf = {0};
    ew_receiver_print(&buf, g, receiver, EW_NAMES_CANONICAL);
    return take(out, &buf);
}

const char *ew_name_of_edge(char out[EW_NAME_SIZE], const struct ew_graph *g,
                            uint32_t edge)
{
    struct ew_buf buf = {0};
    ew_edge_print(&buf, g, edge, EW_NAMES_CANONICAL);
    return take(out, &buf);
}

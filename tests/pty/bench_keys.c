/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a key to the frame that shows it, while ACDC runs: what is typed at the
 * command line, until it stands on the screen. Prints the median, the 99th
 * percentile and the largest, and fails when the 99th percentile is over the
 * limit of 16 ms (EDGEWISE_BENCH_MS).
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/common.h"

#include "ew_cmocka.h"
#include "pty_run.h"

enum { SAMPLES = 600, AT_ONCE = 30, ROWS = 40, COLS = 120 };

static bool row_has(struct program *p, int row, const char *text)
{
    char line[4 * PTY_MAX_COLS + 8];
    pty_row(p, row, line, sizeof(line));
    return strstr(line, text) != NULL;
}

/* The clock of a run is in the status line, the typed line below it. */
static bool acdc_runs(struct program *p)
{
    return row_has(p, ROWS - 2, " left");
}

static void run_acdc(struct program *p)
{
    pty_type(p, "RA");
    while (!acdc_runs(p)) {
        assert_true(pty_pump(p, 50));
        if (pty_shows(p, "ACDC done")) {
            fail_msg("ACDC was done before a key could be typed");
        }
    }
}

/* Type up to AT_ONCE letters while it runs; how many were timed. */
static size_t type_and_time(struct program *p, long long *us, size_t max)
{
    char text[AT_ONCE + 8] = ":";
    size_t n = 0;
    pty_type(p, ":");
    while (!row_has(p, ROWS - 1, " :")) {
        assert_true(pty_pump(p, 50));
    }
    while (n < max && n < AT_ONCE && acdc_runs(p)) {
        strcat(text, "x");
        long long start = pty_now_us();
        pty_type(p, "x");
        while (!row_has(p, ROWS - 1, text)) {
            assert_true(pty_pump(p, 50));
        }
        us[n++] = pty_now_us() - start;
    }
    pty_type(p, "\033");
    while (row_has(p, ROWS - 1, " :")) {
        assert_true(pty_pump(p, 50));
    }
    return n;
}

static int by_size(const void *x, const void *y)
{
    long long a = *(const long long *)x;
    long long b = *(const long long *)y;
    return a < b ? -1 : a > b;
}

static void keys_are_painted_while_acdc_runs(void **state)
{
    (void)state;
    static long long us[SAMPLES];
    struct program p;
    const char *limit = getenv("EDGEWISE_BENCH_MS");
    pty_start_task(&p, ROWS, COLS, "induction:n=200");
    pty_wait_ready(&p);
    for (size_t n = 0; n < SAMPLES;) {
        if (!acdc_runs(&p)) {
            run_acdc(&p);
        }
        n += type_and_time(&p, us + n, SAMPLES - n);
    }
    pty_type(&p, "\x03");
    pty_wait_gone(&p, " left");
    pty_type(&p, "\033Q"); /* out of the question, if it was done already */
    assert_int_equal(pty_finish(&p), 0);
    qsort(us, SAMPLES, sizeof(*us), by_size);
    double p99 = (double)us[SAMPLES * 99 / 100] / 1000.0;
    printf("key to frame while ACDC runs, %d keys: median %.2f ms, p99 %.2f "
           "ms, largest %.2f ms\n",
           SAMPLES, (double)us[SAMPLES / 2] / 1000.0, p99,
           (double)us[SAMPLES - 1] / 1000.0);
    assert_true(p99 < (limit ? atof(limit) : 16.0));
}

int main(void)
{
    pty_need();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_painted_while_acdc_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

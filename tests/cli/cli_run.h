/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the program as a user does, and looking at what it said. Every
 * helper fails the test with the program's own words when it cannot go on.
 *
 * The program runs in a child process. In tests that call cli_share_torch()
 * the child is a copy of the test with libtorch loaded, which saves seconds
 * a run; else, or with EDGEWISE_TEST_EXEC set, it is $EDGEWISE_BIN itself.
 */
#ifndef EW_TESTS_CLI_RUN_H
#define EW_TESTS_CLI_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a run left: exit status (or 128 + signal) and both streams. */
struct cli_result {
    int status;
    char *out; /* owned, NUL-terminated */
    char *err;
};

/* A group's set-up: load libtorch for all runs. */
int cli_share_torch(void **state);

/* Run the program with arguments up to the NULL. */
struct cli_result cli_call(const char *const *args);
#define CLI(...) cli_call((const char *const[]){__VA_ARGS__, NULL})
void cli_free(struct cli_result *result);

/* Run with standard output going to `path` and standard input closed. */
int cli_run_to(const char *path, const char *const *args);

/* Run, expect status 0, and parse what was printed; json_decref() it. */
json_t *cli_json(const char *const *args);
#define CLI_JSON(...) cli_json((const char *const[]){__VA_ARGS__, NULL})
/* A JSON file of the reference data, or of anywhere; json_decref() it. */
json_t *cli_load(const char *path);

/* The run ended with `status` and its standard error contains `text`. */
void cli_expect_error(struct cli_result result, int status, const char *text);

/* |a - b| <= atol + rtol |b|; prints `what` when not. */
bool cli_close_to(double a, double b, double atol, double rtol,
                  const char *what);

/* A new folder under the system's place for such; removed at exit. */
const char *cli_temp_dir(void);
/* "DIR/name" in it; a rotating static buffer. */
const char *cli_temp(const char *name);
void cli_write(const char *path, const char *text);

#endif

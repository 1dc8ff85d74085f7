/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, clicks and sizes at random, seeded, at the real program: it must not
 * end, hang, or leave the terminal in a state. In a build with a sanitizer
 * (-Db_sanitize=address) there are more of them.
 *
 * EDGEWISE_STORM_KEYS and EDGEWISE_STORM_SEED say how many, and which.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "edgewise/common.h"
#include "edgewise/rng.h"

#include "ew_cmocka.h"
#include "pty_run.h"

enum { BURST = 24 };

/* Keys of more than a byte. Searching is opened from outside of any line, so
 * that no file name that is typed leaves the folder; "q" and "Q" are not
 * among them, the footer's "quit" is clicked now and then. */
static const char *const specials[] = {
    "\033/",      "\033",
    "\033[A",     "\033[B",
    "\033[C",     "\033[D",
    "\033[5~",    "\033[6~",
    "\033OH",     "\033OF",
    "\033[Z",     "\033OP",
    "\033OR",     "\033OS",
    "\033[15~",   "\033[17~",
    "\033[18~",   "\033[20~",
    "\r",         "\t",
    "\x7f",       "\x01",
    "\x05",       "\x0b",
    "\x12",       "\x15",
    "\x0c",       "\x04",
    "\x03",       "\x1a",
    "\xc3\xa9",   "\xe4\xb8\xad",
    "\xff",       "\033[999~",
    "\033[<",     "\033]0;x",
    "\033:view ", "\033\\from:a0\r",
    "\033A",      "\033:view circuit\r",
    "\033E",      "\033:view where\r",
    "\033p",      "\033:view picture\r",
    "\033*",      "\033:view tokens\r",
};

static size_t put_mouse(char *out, size_t size, struct ew_rng *rng,
                        const struct program *p)
{
    static const int buttons[] = {0, 0, 64, 65, 1, 2, 35};
    int button = buttons[ew_rng_below(rng, EW_ARRAY_LEN(buttons))];
    int x = 1 + (int)ew_rng_below(rng, (uint64_t)p->cols + 20);
    int y = 1 + (int)ew_rng_below(rng, (uint64_t)p->rows + 5);
    return (size_t)snprintf(out, size, "\033[<%d;%d;%d%c", button, x, y,
                            ew_rng_below(rng, 4) ? 'M' : 'm');
}

static size_t put_key(char *out, size_t size, struct ew_rng *rng,
                      const struct program *p)
{
    uint64_t what = ew_rng_below(rng, 10);
    if (what < 1) {
        return put_mouse(out, size, rng, p);
    }
    if (what < 4) {
        const char *s = specials[ew_rng_below(rng, EW_ARRAY_LEN(specials))];
        return (size_t)snprintf(out, size, "%s", s);
    }
    char c;
    do {
        c = (char)(' ' + ew_rng_below(rng, 95));
    } while (strchr("qQ/", c));
    out[0] = c;
    return 1;
}

/* A footer's "quit" ends a program, and a new one goes on. What was typed
 * after it meets the shell's modes, where two ^C kill what is still closing. */
static void again_if_gone(struct program *p, bool gone)
{
    if (gone) {
        int status = pty_finish(p);
        assert_true(status == 0 ||
                    (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT));
        pty_start(p, 24, 80, NULL);
        pty_wait_for(p, "into logits");
    }
}

static void storm(uint64_t seed, int n_keys)
{
    struct program p;
    struct ew_rng rng;
    ew_rng_seed(&rng, seed);
    pty_start(&p, 24, 80, NULL);
    pty_wait_for(&p, "into logits");
    for (int sent = 0; sent < n_keys;) {
        char keys[BURST * 32];
        size_t len = 0;
        int burst = 1 + (int)ew_rng_below(&rng, BURST);
        for (int i = 0; i < burst; i++) {
            len += put_key(keys + len, sizeof(keys) - len, &rng, &p);
        }
        sent += burst;
        bool alive = write(p.fd, keys, len) == (ssize_t)len;
        for (uint64_t i = ew_rng_below(&rng, 6); alive && i > 0; i--) {
            alive = pty_pump(&p, 2);
        }
        for (uint64_t i = ew_rng_below(&rng, 12) < 1 ? 5 : 0; i > 0; i--) {
            pty_resize(&p, 1 + (int)ew_rng_below(&rng, 60),
                       1 + (int)ew_rng_below(&rng, 200));
        }
        again_if_gone(&p, !alive);
    }
    print_message("seed %llu: %d keys\n", (unsigned long long)seed, n_keys);
    pty_resize(&p, 24, 80);
    pty_type(&p, "\033\x03"); /* out of any line, stop what runs, and again */
    pty_wait_for(&p, "q quit");
    pty_type(&p, "\033\x0c:view journal\r");
    pty_wait_for(&p, "journal");
    pty_type(&p, "Q");
    assert_int_equal(pty_finish(&p), 0);
}

static void random_keys_and_sizes_do_no_harm(void **state)
{
    (void)state;
    const char *keys = getenv("EDGEWISE_STORM_KEYS");
    const char *seed = getenv("EDGEWISE_STORM_SEED");
    int n = keys ? atoi(keys) : EW_STORM_KEYS;
    if (seed) {
        storm(strtoull(seed, NULL, 10), n);
        return;
    }
    for (uint64_t s = 1; s <= 2; s++) {
        storm(s, n);
    }
}

int main(void)
{
    pty_need();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_and_sizes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

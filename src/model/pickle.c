/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine of pickle, protocols 2 to 4, as far as a state dict
 * needs it. Every operand is bounds-checked; a stack that runs empty, a memo
 * that was never filled and an opcode that is not listed end the reading.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "pickle_vm.h"

/* More values than any state dict has: a guard against nonsense. */
enum { MAX_VALUES = 1 << 24, MAX_STACK = 1 << 20 };

struct ew_pickle *ew_pickle_create(const char *file)
{
    struct ew_pickle *p = ew_xcalloc(1, sizeof(*p));
    p->file = file;
    return p;
}

void ew_pickle_destroy(struct ew_pickle *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->n_values; i++) {
        free(p->values[i]->text);
        free(p->values[i]->items);
        free(p->values[i]);
    }
    free(p->values);
    free(p->stack);
    free(p->memo);
    free(p);
}

bool ew_pickle_broken(struct ew_pickle *p, const char *what)
{
    return ew_fail(p->err, EW_ERR_INPUT, "%s: broken pickle: %s", p->file,
                   what);
}

/* ---- values and the stack ---- */

/* NULL (with the reason) only when there are far too many. */
struct ew_value *ew_pickle_make(struct ew_pickle *p, enum ew_value_kind kind)
{
    if (p->n_values >= MAX_VALUES) {
        ew_pickle_broken(p, "too many values");
        return NULL;
    }
    struct ew_value *v = ew_xcalloc(1, sizeof(*v));
    v->kind = kind;
    p->values =
        ew_grow(p->values, p->n_values, &p->cap_values, sizeof(*p->values));
    p->values[p->n_values++] = v;
    return v;
}

bool ew_pickle_push(struct ew_pickle *p, struct ew_value *v)
{
    if (!v) {
        return false;
    }
    if (p->n_stack >= MAX_STACK) {
        return ew_pickle_broken(p, "stack too deep");
    }
    p->stack = ew_grow(p->stack, p->n_stack, &p->cap_stack, sizeof(*p->stack));
    p->stack[p->n_stack++] = v;
    return true;
}

/* NULL (with the reason) when the stack is empty or a mark is in the way. */
struct ew_value *ew_pickle_pop(struct ew_pickle *p)
{
    if (p->n_stack == 0 || p->stack[p->n_stack - 1]->kind == EW_VALUE_MARK) {
        ew_pickle_broken(p, "stack runs empty");
        return NULL;
    }
    return p->stack[--p->n_stack];
}

static struct ew_value *top(struct ew_pickle *p)
{
    struct ew_value *v = ew_pickle_pop(p);
    p->n_stack += v ? 1 : 0;
    return v;
}

void ew_value_append(struct ew_value *v, struct ew_value *item)
{
    v->items =
        ew_grow(v->items, v->n_items, &v->cap_items, sizeof(struct ew_value *));
    v->items[v->n_items++] = item;
}

/* Move all above the last mark to the end of `into`; the mark goes too. */
static bool gather(struct ew_pickle *p, struct ew_value *into)
{
    size_t mark = p->n_stack;
    while (mark > 0 && p->stack[mark - 1]->kind != EW_VALUE_MARK) {
        mark--;
    }
    if (mark == 0) {
        return ew_pickle_broken(p, "no mark");
    }
    for (size_t i = mark; into && i < p->n_stack; i++) {
        ew_value_append(into, p->stack[i]);
    }
    p->n_stack = mark - 1;
    return true;
}

/* ---- operands ---- */

/* Little-endian number of `n` bytes, at most 8. */
static bool take_number(struct ew_pickle *p, int n, uint64_t *out)
{
    *out = 0;
    if (p->end - p->at < n) {
        return ew_pickle_broken(p, "cut short");
    }
    for (int i = n - 1; i >= 0; i--) {
        *out = *out << 8 | p->at[i];
    }
    p->at += n;
    return true;
}

static bool push_int(struct ew_pickle *p, int64_t number)
{
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_INT);
    if (v) {
        v->number = number;
    }
    return ew_pickle_push(p, v);
}

/* A text with its length in `n_len` bytes before it. */
static bool push_text(struct ew_pickle *p, int n_len)
{
    uint64_t len;
    if (!take_number(p, n_len, &len)) {
        return false;
    }
    if (len > (uint64_t)(p->end - p->at)) {
        return ew_pickle_broken(p, "cut short");
    }
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_TEXT);
    if (v) {
        v->text = ew_xstrndup((const char *)p->at, (size_t)len);
        p->at += len;
    }
    return ew_pickle_push(p, v);
}

/* An integer of `n` bytes, two's complement; one that is too large for us
 * (torch's magic number) is of no use and becomes None. */
static bool push_long(struct ew_pickle *p, uint64_t n)
{
    if (n > (uint64_t)(p->end - p->at)) {
        return ew_pickle_broken(p, "cut short");
    }
    if (n > 8) {
        p->at += n;
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_NONE));
    }
    uint64_t number = 0;
    if (!take_number(p, (int)n, &number)) {
        return false;
    }
    if (n > 0 && n < 8 && number >> (8 * n - 1) & 1) {
        number |= ~UINT64_C(0) << (8 * n);
    }
    return push_int(p, (int64_t)number);
}

static bool push_real(struct ew_pickle *p)
{
    if (p->end - p->at < 8) {
        return ew_pickle_broken(p, "cut short");
    }
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | p->at[i]; /* big-endian, the only one here */
    }
    p->at += 8;
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_REAL);
    if (v) {
        memcpy(&v->real, &bits, sizeof(v->real));
    }
    return ew_pickle_push(p, v);
}

/* ---- the memo ---- */

static bool memo_put(struct ew_pickle *p, uint64_t slot)
{
    struct ew_value *v = top(p);
    if (!v) {
        return false;
    }
    if (slot >= MAX_VALUES) {
        return ew_pickle_broken(p, "memo too large");
    }
    if (slot >= p->n_memo) {
        size_t n = p->n_memo ? p->n_memo : 64;
        while (n <= slot) {
            n *= 2;
        }
        p->memo = ew_xrealloc(p->memo, n, sizeof(*p->memo));
        memset(p->memo + p->n_memo, 0, (n - p->n_memo) * sizeof(*p->memo));
        p->n_memo = n;
    }
    p->n_memoized += p->memo[slot] ? 0 : 1;
    p->memo[slot] = v;
    return true;
}

static bool memo_get(struct ew_pickle *p, uint64_t slot)
{
    if (slot >= p->n_memo || !p->memo[slot]) {
        return ew_pickle_broken(p, "memo slot is empty");
    }
    return ew_pickle_push(p, p->memo[slot]);
}

/* Protocol 4 does not say which slot: the next. */
static bool memoize(struct ew_pickle *p)
{
    return memo_put(p, p->n_memoized);
}

/* ---- names of classes and functions ---- */

/* "module\nname\n" */
static bool global_lines(struct ew_pickle *p)
{
    char *part[2] = {NULL, NULL};
    bool ok = true;
    for (int i = 0; i < 2 && ok; i++) {
        const unsigned char *line_end =
            memchr(p->at, '\n', (size_t)(p->end - p->at));
        if (!line_end) {
            ok = ew_pickle_broken(p, "cut short");
            break;
        }
        part[i] = ew_xstrndup((const char *)p->at, (size_t)(line_end - p->at));
        p->at = line_end + 1;
    }
    ok = ok && ew_pickle_global(p, part[0], part[1]);
    free(part[0]);
    free(part[1]);
    return ok;
}

static bool global_from_stack(struct ew_pickle *p)
{
    struct ew_value *name = ew_pickle_pop(p);
    struct ew_value *module = name ? ew_pickle_pop(p) : NULL;
    if (!module) {
        return false;
    }
    if (name->kind != EW_VALUE_TEXT || module->kind != EW_VALUE_TEXT) {
        return ew_pickle_broken(p, "a name that is no text");
    }
    return ew_pickle_global(p, module->text, name->text);
}

/* ---- containers ---- */

static bool push_tuple(struct ew_pickle *p, int n)
{
    struct ew_value *items[3];
    for (int i = n - 1; i >= 0; i--) {
        items[i] = ew_pickle_pop(p);
        if (!items[i]) {
            return false;
        }
    }
    struct ew_value *v = ew_pickle_make(p, EW_VALUE_SEQ);
    for (int i = 0; v && i < n; i++) {
        ew_value_append(v, items[i]);
    }
    return ew_pickle_push(p, v);
}

/* Everything above the mark into a new container. */
static bool push_gathered(struct ew_pickle *p, enum ew_value_kind kind)
{
    struct ew_value *v = ew_pickle_make(p, kind);
    return v && gather(p, v) && ew_pickle_push(p, v);
}

/* `n` values (or all above the mark, -1) into the container below them. */
static bool add_items(struct ew_pickle *p, enum ew_value_kind kind, int n)
{
    struct ew_value *items = ew_pickle_make(p, EW_VALUE_SEQ);
    if (!items) {
        return false;
    }
    if (n < 0) {
        if (!gather(p, items)) {
            return false;
        }
    } else if (!push_tuple(p, n) || !(items = ew_pickle_pop(p))) {
        return false;
    }
    struct ew_value *into = top(p);
    if (!into) {
        return false;
    }
    if (into->kind != kind ||
        (kind == EW_VALUE_DICT && items->n_items % 2 != 0)) {
        return ew_pickle_broken(p, "items for something that holds none");
    }
    for (size_t i = 0; i < items->n_items; i++) {
        ew_value_append(into, items->items[i]);
    }
    return true;
}

/* The state of an object: of a dictionary, its _metadata; ignored. */
static bool build(struct ew_pickle *p)
{
    const struct ew_value *state = ew_pickle_pop(p);
    const struct ew_value *object = state ? top(p) : NULL;
    if (!object) {
        return false;
    }
    return object->kind == EW_VALUE_DICT ||
           ew_pickle_broken(p, "the state of something that is no dictionary");
}

/* ---- opcodes ---- */

static bool with_number(struct ew_pickle *p, int n,
                        bool (*use)(struct ew_pickle *p, uint64_t number))
{
    uint64_t number;
    return take_number(p, n, &number) && use(p, number);
}

static bool push_unsigned(struct ew_pickle *p, uint64_t number)
{
    return push_int(p, (int64_t)number);
}

static bool push_signed32(struct ew_pickle *p, uint64_t number)
{
    return push_int(p, (int32_t)(uint32_t)number);
}

static bool ignore(struct ew_pickle *p, uint64_t number)
{
    (void)p;
    (void)number;
    return true;
}

static bool run_data(struct ew_pickle *p, unsigned char op);

static bool run(struct ew_pickle *p, unsigned char op)
{
    switch (op) {
    case 0x80: /* PROTO */
        return with_number(p, 1, ignore);
    case 0x95: /* FRAME */
        return with_number(p, 8, ignore);
    case '(':
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_MARK));
    case '0': /* POP */
        return ew_pickle_pop(p) != NULL;
    case '1': /* POP_MARK */
        return gather(p, NULL);
    case 'q': /* BINPUT */
        return with_number(p, 1, memo_put);
    case 'r': /* LONG_BINPUT */
        return with_number(p, 4, memo_put);
    case 0x94:
        return memoize(p);
    case 'h': /* BINGET */
        return with_number(p, 1, memo_get);
    case 'j': /* LONG_BINGET */
        return with_number(p, 4, memo_get);
    case 'c':
        return global_lines(p);
    case 0x93: /* STACK_GLOBAL */
        return global_from_stack(p);
    case 'R':
        return ew_pickle_reduce(p);
    case 'Q': /* BINPERSID */
        return ew_pickle_persistent(p);
    case 'b':
        return build(p);
    default:
        return run_data(p, op);
    }
}

static bool run_data(struct ew_pickle *p, unsigned char op)
{
    switch (op) {
    case 'N':
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_NONE));
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_int(p, op == 0x88);
    case 'K': /* BININT1 */
        return with_number(p, 1, push_unsigned);
    case 'M': /* BININT2 */
        return with_number(p, 2, push_unsigned);
    case 'J': /* BININT */
        return with_number(p, 4, push_signed32);
    case 0x8a: /* LONG1 */
        return with_number(p, 1, push_long);
    case 'G': /* BINFLOAT */
        return push_real(p);
    case 'X': /* BINUNICODE */
    case 'T': /* BINSTRING */
        return push_text(p, 4);
    case 0x8c: /* SHORT_BINUNICODE */
    case 'U':  /* SHORT_BINSTRING */
        return push_text(p, 1);
    case ')':
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_SEQ));
    case 0x85:
    case 0x86:
    case 0x87: /* TUPLE1 .. TUPLE3 */
        return push_tuple(p, op - 0x84);
    case 't':
    case 'l':
        return push_gathered(p, EW_VALUE_SEQ);
    case ']':
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_SEQ));
    case 'a': /* APPEND */
        return add_items(p, EW_VALUE_SEQ, 1);
    case 'e': /* APPENDS */
        return add_items(p, EW_VALUE_SEQ, -1);
    case '}':
        return ew_pickle_push(p, ew_pickle_make(p, EW_VALUE_DICT));
    case 's': /* SETITEM */
        return add_items(p, EW_VALUE_DICT, 2);
    case 'u': /* SETITEMS */
        return add_items(p, EW_VALUE_DICT, -1);
    default:
        return ew_fail(p->err, EW_ERR_INPUT,
                       "%s: refused: pickle opcode 0x%02x, which no state "
                       "dict needs",
                       p->file, op);
    }
}

const struct ew_value *ew_pickle_read(struct ew_pickle *p,
                                      const unsigned char *bytes, size_t size,
                                      size_t *used, struct ew_err *err)
{
    p->at = bytes;
    p->end = bytes + size;
    p->n_stack = 0;
    p->n_memoized = 0;
    for (size_t i = 0; i < p->n_memo; i++) {
        p->memo[i] = NULL;
    }
    p->err = err;
    for (;;) {
        if (p->at == p->end) {
            ew_pickle_broken(p, "cut short");
            return NULL;
        }
        unsigned char op = *p->at++;
        if (op == '.') {
            break;
        }
        if (!run(p, op)) {
            return NULL;
        }
    }
    *used = (size_t)(p->at - bytes);
    return ew_pickle_pop(p);
}

const char *ew_value_kind_name(const struct ew_value *v)
{
    static const char *const names[] = {
        [EW_VALUE_NONE] = "None",       [EW_VALUE_INT] = "an integer",
        [EW_VALUE_REAL] = "a number",   [EW_VALUE_TEXT] = "a text",
        [EW_VALUE_SEQ] = "a list",      [EW_VALUE_DICT] = "a dictionary",
        [EW_VALUE_GLOBAL] = "a class",  [EW_VALUE_STORAGE] = "a storage",
        [EW_VALUE_TENSOR] = "a tensor", [EW_VALUE_MARK] = "nothing",
    };
    return names[v->kind];
}

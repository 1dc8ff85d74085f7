/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of names: for each end of an edge its pattern in the four
 * dialects. {l} is the layer, {h} the head, {e} the last layer. Printing and
 * reading both walk these patterns, so what is printed can be read.
 */
#include "edgewise/names.h"

#include <ctype.h>
#include <string.h>

enum role {
    ROLE_SENDER,
    ROLE_RECEIVER,
    ROLE_IN,  /* start of a direct edge, or an MLP's placeholder */
    ROLE_QKV, /* end of a direct edge, start of a head's placeholder */
};

struct name_row {
    enum role role;
    enum ew_node_kind kind;
    const char *pattern[4]; /* by enum ew_dialect */
};

// clang-format off
static const struct name_row rows[] = {
    {ROLE_SENDER, EW_NODE_INPUT,
     {"input", "blocks.0.hook_resid_pre[:]", "Resid Start", "embed"}},
    {ROLE_SENDER, EW_NODE_TOK,
     {"tok", "hook_embed[:]", "tok", "<token_embeds>"}},
    {ROLE_SENDER, EW_NODE_POS,
     {"pos", "hook_pos_embed[:]", "pos", "<pos_embeds>"}},
    {ROLE_SENDER, EW_NODE_HEAD,
     {"a{l}.h{h}", "blocks.{l}.attn.hook_result[:, :, {h}]", "A{l}.{h}",
      "<a{l}.{h}>"}},
    {ROLE_SENDER, EW_NODE_MLP,
     {"m{l}", "blocks.{l}.hook_mlp_out[:]", "MLP {l}", "<m{l}>"}},

    {ROLE_RECEIVER, EW_NODE_Q,
     {"a{l}.h{h}<q>", "blocks.{l}.hook_q_input[:, :, {h}]", "A{l}.{h}.Q",
      "<a{l}.{h}_q>"}},
    {ROLE_RECEIVER, EW_NODE_K,
     {"a{l}.h{h}<k>", "blocks.{l}.hook_k_input[:, :, {h}]", "A{l}.{h}.K",
      "<a{l}.{h}_k>"}},
    {ROLE_RECEIVER, EW_NODE_V,
     {"a{l}.h{h}<v>", "blocks.{l}.hook_v_input[:, :, {h}]", "A{l}.{h}.V",
      "<a{l}.{h}_v>"}},
    {ROLE_RECEIVER, EW_NODE_MLP,
     {"m{l}", "blocks.{l}.hook_mlp_in[:]", "MLP {l}", "<m{l}>"}},
    {ROLE_RECEIVER, EW_NODE_LOGITS,
     {"logits", "blocks.{e}.hook_resid_post[:]", "Resid End",
      "<resid_post>"}},

    {ROLE_IN, EW_NODE_Q,
     {"a{l}.h{h}.q_in", "blocks.{l}.hook_q_input[:, :, {h}]",
      "a{l}.h{h}.q_in", "<a{l}.{h}_q>"}},
    {ROLE_IN, EW_NODE_K,
     {"a{l}.h{h}.k_in", "blocks.{l}.hook_k_input[:, :, {h}]",
      "a{l}.h{h}.k_in", "<a{l}.{h}_k>"}},
    {ROLE_IN, EW_NODE_V,
     {"a{l}.h{h}.v_in", "blocks.{l}.hook_v_input[:, :, {h}]",
      "a{l}.h{h}.v_in", "<a{l}.{h}_v>"}},
    {ROLE_IN, EW_NODE_MLP,
     {"m{l}.in", "blocks.{l}.hook_mlp_in[:]", "m{l}.in", "<m{l}>"}},

    {ROLE_QKV, EW_NODE_Q,
     {"a{l}.h{h}.q", "blocks.{l}.attn.hook_q[:, :, {h}]", "a{l}.h{h}.q",
      "<a{l}.{h}>"}},
    {ROLE_QKV, EW_NODE_K,
     {"a{l}.h{h}.k", "blocks.{l}.attn.hook_k[:, :, {h}]", "a{l}.h{h}.k",
      "<a{l}.{h}>"}},
    {ROLE_QKV, EW_NODE_V,
     {"a{l}.h{h}.v", "blocks.{l}.attn.hook_v[:, :, {h}]", "a{l}.h{h}.v",
      "<a{l}.{h}>"}},
};
// clang-format on

/* ---- printing ---- */

static void print_end(struct ew_buf *out, const struct ew_graph *g,
                      enum role role, struct ew_node node,
                      enum ew_dialect dialect)
{
    const char *p = "?";
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        if (rows[i].role == role && rows[i].kind == node.kind) {
            p = rows[i].pattern[dialect];
            break;
        }
    }
    while (*p) {
        size_t plain = strcspn(p, "{");
        ew_buf_add_n(out, p, plain);
        p += plain;
        if (*p) {
            int n = p[1] == 'l'   ? node.layer
                    : p[1] == 'h' ? node.head
                                  : ew_graph_spec(g)->n_layers - 1;
            ew_buf_printf(out, "%d", n);
            p += strlen("{l}");
        }
    }
}

void ew_sender_print(struct ew_buf *out, const struct ew_graph *g,
                     uint32_t sender, enum ew_dialect dialect)
{
    print_end(out, g, ROLE_SENDER, ew_graph_sender(g, sender), dialect);
}

void ew_receiver_print(struct ew_buf *out, const struct ew_graph *g,
                       uint32_t receiver, enum ew_dialect dialect)
{
    print_end(out, g, ROLE_RECEIVER, ew_graph_receiver(g, receiver), dialect);
}

/* The two ends, which may go into the same buffer with `between` added. */
static void print_ends(struct ew_buf *sender, const char *between,
                       struct ew_buf *receiver, const struct ew_graph *g,
                       uint32_t edge, enum ew_dialect dialect)
{
    struct ew_node to = ew_graph_receiver(g, ew_edge_receiver(g, edge));
    bool direct = ew_edge_kind(g, edge) == EW_EDGE_DIRECT;
    if (direct) {
        print_end(sender, g, ROLE_IN, to, dialect);
    } else {
        ew_sender_print(sender, g, ew_edge_sender(g, edge), dialect);
    }
    ew_buf_add(sender, between);
    print_end(receiver, g, direct ? ROLE_QKV : ROLE_RECEIVER, to, dialect);
}

void ew_edge_print(struct ew_buf *out, const struct ew_graph *g, uint32_t edge,
                   enum ew_dialect dialect)
{
    print_ends(out, "->", out, g, edge, dialect);
}

void ew_edge_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                        const struct ew_graph *g, uint32_t edge)
{
    print_ends(sender, "", receiver, g, edge, EW_NAMES_ACDC);
}

static void print_placeholder(struct ew_buf *sender, const char *between,
                              struct ew_buf *receiver, const struct ew_graph *g,
                              uint32_t index, enum ew_dialect dialect)
{
    struct ew_node from = ew_graph_receiver(g, index);
    print_end(sender, g, from.kind == EW_NODE_MLP ? ROLE_IN : ROLE_QKV, from,
              dialect);
    ew_buf_add(sender, between);
    ew_sender_print(receiver, g, ew_graph_feeds(g, index), dialect);
}

void ew_placeholder_print(struct ew_buf *out, const struct ew_graph *g,
                          uint32_t index)
{
    print_placeholder(out, "->", out, g, index, EW_NAMES_CANONICAL);
}

void ew_placeholder_print_acdc(struct ew_buf *receiver, struct ew_buf *sender,
                               const struct ew_graph *g, uint32_t index)
{
    print_placeholder(sender, "", receiver, g, index, EW_NAMES_ACDC);
}

/* ---- reading ---- */

struct span {
    const char *at;
    size_t len;
};

/* What a text may stand for: it matched these rows, with these numbers. */
struct end {
    unsigned rows; /* bit i: rows[i] */
    int layer;     /* -1 where the name has none */
    int head;
};

static struct span trimmed(const char *at, size_t len)
{
    while (len > 0 && isspace((unsigned char)*at)) {
        at++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)at[len - 1])) {
        len--;
    }
    return (struct span){at, len};
}

/* A number without sign or leading zeros; false when there is none. */
static bool take_number(struct span *text, int *out)
{
    size_t digits = 0;
    int value = 0;
    while (digits < text->len && digits < 9 &&
           isdigit((unsigned char)text->at[digits])) {
        value = value * 10 + (text->at[digits] - '0');
        digits++;
    }
    if (digits == 0 || (digits > 1 && text->at[0] == '0')) {
        return false;
    }
    text->at += digits;
    text->len -= digits;
    *out = value;
    return true;
}

/* Does a text follow a pattern? The numbers are -1 where it has none; *last
 * is the number of the last layer. */
static bool match_any(const char *p, struct span text, int *layer, int *head,
                      int *last)
{
    *layer = -1;
    *head = -1;
    *last = -1;
    for (; *p; p++) {
        if (*p == '{') {
            int *n = p[1] == 'l' ? layer : p[1] == 'h' ? head : last;
            if (!take_number(&text, n)) {
                return false;
            }
            p += strlen("{l");
        } else if (text.len > 0 && *text.at == *p) {
            text.at++;
            text.len--;
        } else {
            return false;
        }
    }
    return text.len == 0;
}

static bool match(const char *p, struct span text, int last_layer, int *layer,
                  int *head)
{
    int last;
    return match_any(p, text, layer, head, &last) &&
           (last < 0 || last == last_layer);
}

static struct end match_all(const struct ew_graph *g, struct span text)
{
    struct end found = {.rows = 0, .layer = -1, .head = -1};
    int last = ew_graph_spec(g)->n_layers - 1;
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        for (int dialect = 0; dialect < 4; dialect++) {
            int layer;
            int head;
            const char *p = rows[i].pattern[dialect];
            if (text.len > 0 && *p == *text.at &&
                match(p, text, last, &layer, &head)) {
                found.rows |= 1u << i;
                found.layer = layer;
                found.head = head;
                break;
            }
        }
    }
    return found;
}

/* Does it have a reading in this role? */
static bool reads_as(const struct end *end, enum role role,
                     struct ew_node *node)
{
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        if ((end->rows >> i & 1) && rows[i].role == role) {
            *node = (struct ew_node){rows[i].kind, end->layer, end->head};
            return true;
        }
    }
    return false;
}

/* False, with the reason, when a well-formed name is no node of this graph. */
static bool exists(const struct ew_graph *g, struct span text,
                   struct ew_node node, struct ew_err *err)
{
    const struct ew_graph_spec *spec = ew_graph_spec(g);
    int n = (int)text.len;
    if (node.layer >= spec->n_layers) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s: no layer %d, the model has %d (0 to %d)", n,
                       text.at, node.layer, spec->n_layers, spec->n_layers - 1);
    }
    if (node.head >= spec->n_heads) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s: no head %d, a layer has %d (0 to %d)", n, text.at,
                       node.head, spec->n_heads, spec->n_heads - 1);
    }
    if (node.kind == EW_NODE_MLP && !spec->has_mlp) {
        return ew_fail(err, EW_ERR_INPUT, "%.*s: the model has no MLPs", n,
                       text.at);
    }
    if (node.kind == EW_NODE_INPUT && spec->split_embed) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s: the embedding is split here, into tok and pos", n,
                       text.at);
    }
    if ((node.kind == EW_NODE_TOK || node.kind == EW_NODE_POS) &&
        !spec->split_embed) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s: the embedding is not split here: input", n,
                       text.at);
    }
    return true;
}

static bool unknown_node(struct span text, struct ew_err *err)
{
    return ew_fail(err, EW_ERR_INPUT,
                   "%.*s: unknown node; expected a name such as input, "
                   "a0.h1, m0, a0.h1<q> or logits",
                   (int)text.len, text.at);
}

static bool parse_addition(const struct ew_graph *g, struct span from,
                           struct span to, struct ew_node sender,
                           struct ew_node receiver, uint32_t *edge,
                           struct ew_err *err)
{
    if (!exists(g, from, sender, err) || !exists(g, to, receiver, err)) {
        return false;
    }
    *edge = ew_graph_edge(g, ew_graph_find_sender(g, sender),
                          ew_graph_find_receiver(g, receiver));
    if (*edge == EW_NONE) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s->%.*s: the sender is not before the receiver",
                       (int)from.len, from.at, (int)to.len, to.at);
    }
    return true;
}

/* Do the two ends belong to one direct edge? */
static bool is_direct(const struct end *sender, const struct end *receiver,
                      struct ew_node *node)
{
    if (sender->layer != receiver->layer || sender->head != receiver->head ||
        !reads_as(sender, ROLE_IN, node)) {
        return false;
    }
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        if ((receiver->rows >> i & 1) && rows[i].role == ROLE_QKV &&
            rows[i].kind == node->kind) {
            return true;
        }
    }
    return false;
}

static bool is_placeholder(const struct end *sender, const struct end *receiver)
{
    struct ew_node from;
    struct ew_node to;
    return sender->layer == receiver->layer && sender->head == receiver->head &&
           (reads_as(sender, ROLE_QKV, &from) ||
            reads_as(sender, ROLE_IN, &from)) &&
           reads_as(receiver, ROLE_SENDER, &to);
}

/* No addition: a direct edge, a placeholder, or no edge at all. */
static bool parse_inner(const struct ew_graph *g, struct span from,
                        struct span to, const struct end *sender,
                        const struct end *receiver, uint32_t *edge,
                        struct ew_err *err)
{
    struct ew_node node;
    if (is_direct(sender, receiver, &node)) {
        if (!exists(g, from, node, err)) {
            return false;
        }
        *edge = ew_graph_direct_edge(g, ew_graph_find_receiver(g, node));
        return true;
    }
    if (is_placeholder(sender, receiver)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s->%.*s: a placeholder is structure, not an edge "
                       "that can be cut",
                       (int)from.len, from.at, (int)to.len, to.at);
    }
    if (!reads_as(sender, ROLE_SENDER, &node)) {
        return ew_fail(err, EW_ERR_INPUT, "%.*s: not a sender", (int)from.len,
                       from.at);
    }
    if (reads_as(receiver, ROLE_SENDER, &node) && node.kind == EW_NODE_HEAD) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%.*s: not a receiver; name its <q>, <k> or <v>",
                       (int)to.len, to.at);
    }
    return ew_fail(err, EW_ERR_INPUT, "%.*s: not a receiver", (int)to.len,
                   to.at);
}

static bool parse_ends(const struct ew_graph *g, struct span from,
                       struct span to, uint32_t *edge, struct ew_err *err)
{
    struct end sender = match_all(g, from);
    struct end receiver = match_all(g, to);
    struct ew_node a;
    struct ew_node b;
    *edge = EW_NONE;
    if (!sender.rows) {
        return unknown_node(from, err);
    }
    if (!receiver.rows) {
        return unknown_node(to, err);
    }
    if (reads_as(&sender, ROLE_SENDER, &a) &&
        reads_as(&receiver, ROLE_RECEIVER, &b)) {
        return parse_addition(g, from, to, a, b, edge, err);
    }
    return parse_inner(g, from, to, &sender, &receiver, edge, err);
}

bool ew_edge_parse(const struct ew_graph *g, const char *text, uint32_t *edge,
                   struct ew_err *err)
{
    const char *arrow = strstr(text, "->");
    *edge = EW_NONE;
    if (!arrow) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: expected an edge such as a0.h1->a1.h2<q>, found "
                       "no ->",
                       text);
    }
    const char *after = arrow + strlen("->");
    return parse_ends(g, trimmed(text, (size_t)(arrow - text)),
                      trimmed(after, strlen(after)), edge, err);
}

bool ew_edge_parse_acdc(const struct ew_graph *g, const char *receiver,
                        const char *sender, uint32_t *edge, struct ew_err *err)
{
    return parse_ends(g, trimmed(sender, strlen(sender)),
                      trimmed(receiver, strlen(receiver)), edge, err);
}

bool ew_node_parse(const struct ew_graph *g, const char *text, uint32_t *sender,
                   uint32_t *receiver, struct ew_err *err)
{
    struct span name = trimmed(text, strlen(text));
    struct end end = match_all(g, name);
    struct ew_node node;
    *sender = EW_NONE;
    *receiver = EW_NONE;
    bool as_sender = reads_as(&end, ROLE_SENDER, &node);
    if (!as_sender && !reads_as(&end, ROLE_RECEIVER, &node)) {
        return unknown_node(name, err);
    }
    if (!exists(g, name, node, err)) {
        return false;
    }
    if (as_sender || node.kind == EW_NODE_MLP) {
        *sender = ew_graph_find_sender(g, node);
    }
    *receiver = ew_graph_find_receiver(g, node);
    return true;
}

static void at_least(int *number, int value)
{
    *number = *number > value ? *number : value;
}

bool ew_graph_spec_learn(struct ew_graph_spec *spec, const char *name)
{
    bool known = false;
    struct span text = trimmed(name, strlen(name));
    for (size_t i = 0; i < EW_ARRAY_LEN(rows); i++) {
        for (int dialect = 0; dialect < 4; dialect++) {
            int layer;
            int head;
            int last;
            if (match_any(rows[i].pattern[dialect], text, &layer, &head,
                          &last)) {
                enum ew_node_kind kind = rows[i].kind;
                known = true;
                at_least(&spec->n_layers, layer + 1);
                at_least(&spec->n_layers, last + 1);
                at_least(&spec->n_heads, head + 1);
                spec->has_mlp = spec->has_mlp || kind == EW_NODE_MLP;
                spec->split_embed = spec->split_embed ||
                                    kind == EW_NODE_TOK || kind == EW_NODE_POS;
            }
        }
    }
    return known;
}

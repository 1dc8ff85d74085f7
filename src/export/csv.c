/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit as a table for spreadsheets and data frames. Names hold no comma
 * and no quote, so nothing is quoted.
 */
#include <math.h>
#include <string.h>

#include "edgewise/export.h"
#include "edgewise/names.h"

#include "picture.h"

void ew_csv_print(struct ew_buf *out, const struct ew_circuit *c)
{
    const struct ew_graph *g = ew_circuit_graph(c);
    uint32_t n_edges = ew_graph_n_edges(g);
    struct ew_buf name = {0};
    ew_buf_add(out, "edge,kind,sender,receiver,kept,score\n");
    for (uint32_t e = 0; e < n_edges; e++) {
        float score = ew_circuit_score(c, e);
        bool direct = ew_edge_kind(g, e) == EW_EDGE_DIRECT;
        ew_buf_clear(&name);
        ew_edge_print(&name, g, e, EW_NAMES_CANONICAL);
        const char *edge = ew_buf_str(&name);
        const char *arrow = strstr(edge, "->");
        ew_buf_printf(out, "%s,%s,%.*s,%s,%d,", edge,
                      direct ? "direct" : "addition", (int)(arrow - edge), edge,
                      arrow + strlen("->"), ew_circuit_has(c, e));
        if (!isnan(score)) {
            put_real(out, 9, (double)score);
        }
        ew_buf_putc(out, '\n');
    }
    ew_buf_finish(&name);
}

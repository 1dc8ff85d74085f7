/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of nodes on the screen: reading labels, and naming nodes by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgewise/mem.h"

#include "app.h"
#include "theme.h"

enum ew_ink ew_group_ink(const struct ew_group *group)
{
    return (enum ew_ink)(EW_R_GROUP_BLUE + (int)group->colour);
}

void ew_labels_load(struct ew_app *a, const char *name)
{
    struct ew_err err = {0};
    char *path = ew_groups_locate(name, &err);
    struct ew_groups *groups =
        path ? ew_groups_load(path, a->graph, &err) : NULL;
    free(path);
    if (!groups) {
        ew_notice(a, true, "%s", err.message);
        return;
    }
    ew_groups_destroy(a->groups);
    a->groups = groups;
    ew_notice(a, false, "labels: %s", ew_groups_title(groups));
}

/* "name mover", "name mover green", "late green: what it does", "-". */
void ew_labels_put(struct ew_app *a, const char *text)
{
    char node[EW_NAME_SIZE];
    enum ew_group_colour colour;
    if (a->node == ew_logits_of(a)) {
        ew_notice(a, true, "logits belongs to no group");
        return;
    }
    if (!a->groups) {
        a->groups = ew_groups_create(a->graph);
    }
    ew_node_name(a, a->node, node);
    if (strcmp(text, "-") == 0) {
        ew_groups_put(a->groups, a->node, "");
        ew_notice(a, false, "%s is in no group", node);
        return;
    }
    size_t len = strcspn(text, ":");
    const char *note = text[len] ? text + len + 1 : "";
    char *name = ew_xstrndup(text, len);
    while (len > 0 && name[len - 1] == ' ') {
        name[--len] = '\0';
    }
    char *last = strrchr(name, ' ');
    bool has_colour = last && ew_group_colour_parse(last + 1, &colour);
    if (has_colour) {
        *last = '\0';
    }
    if (*name) {
        struct ew_group *group = ew_groups_put(a->groups, a->node, name);
        group->colour = has_colour ? colour : group->colour;
        note += strspn(note, " ");
        if (*note) {
            free(group->note);
            group->note = ew_xstrdup(note);
        }
        ew_notice(a, false, "%s is a %s", node, group->name);
    }
    free(name);
}

const struct ew_group *ew_node_group(const struct ew_app *a, uint32_t node)
{
    return node == ew_logits_of(a) ? NULL : ew_groups_of(a->groups, node);
}

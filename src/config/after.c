/* SPDX-License-Identifier: MIT */
/* `after`: known names, no circles. A depth-first walk; a unit still being walked that is met again closes a
 * circle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "text.h"
#include "unit.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

enum colour { COLOUR_NEW, COLOUR_OPEN, COLOUR_DONE };

struct walk {
    struct loader *loader;
    unsigned char *colours; /* enum colour by unit */
    uint32_t *path;         /* the open units, outermost first */
    uint32_t depth;
};

static unsigned after_line(const struct loader *l, uint32_t unit)
{
    return l->units[unit].keys[key_index(KEY_SECTION_UNIT, key_find(KEY_SECTION_UNIT, "after"))].line;
}

static int report_unknown(struct loader *l, uint32_t unit, const char *name)
{
    const struct config *c = l->config;
    _cleanup_free_ const char **names = malloc((c->unit_count + 1) * sizeof(*names));
    char shown[WHY_SHOWN_MAX];
    size_t count = 0;
    if (!names)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->unit_count; i++)
        if (i != unit && *c->units[i].name)
            names[count++] = c->units[i].name;
    const char *near = nearest_word(name, names, count);
    (void)why_show(name, shown);
    return near ? problem_addf(l->report, after_line(l, unit), "after: no unit '%s'\ndid you mean '%s'?",
                               shown, near)
                : problem_addf(l->report, after_line(l, unit),
                               "after: no unit '%s'\nname a [unit NAME] of this file", shown);
}

/* path[from..depth) and back to its first. */
static int report_circle(const struct walk *w, uint32_t from)
{
    const struct config *c = w->loader->config;
    struct text circle = TEXT_NULL;
    for (uint32_t i = from; i < w->depth; i++)
        text_add(&circle, "%s -> ", c->units[w->path[i]].name);
    text_add(&circle, "%s", c->units[w->path[from]].name);
    int r =
        circle.failed
            ? -ENOMEM
            : problem_addf(w->loader->report, after_line(w->loader, w->path[w->depth - 1]),
                           "after goes in a circle: %s\nnone of them could start first; remove one of the "
                           "links",
                           text_peek(&circle));
    text_deinit(&circle);
    return r;
}

/* Depth is at most the number of units: POLICY_UNITS_MAX small frames. */
static int walk_unit(struct walk *w, uint32_t unit)
{
    const struct config *c = w->loader->config;
    char *const *after = c->units[unit].after;
    int r = 0;
    w->colours[unit] = COLOUR_OPEN;
    w->path[w->depth++] = unit;
    for (size_t i = 0; r == 0 && after && after[i]; i++) {
        uint32_t next = unit_index(c, after[i]), from = 0;
        if (next == c->unit_count) {
            r = report_unknown(w->loader, unit, after[i]);
        } else if (w->colours[next] == COLOUR_NEW) {
            r = walk_unit(w, next);
        } else if (w->colours[next] == COLOUR_OPEN) {
            while (w->path[from] != next)
                from++;
            r = report_circle(w, from);
        }
    }
    w->depth--;
    w->colours[unit] = COLOUR_DONE;
    return r;
}

int check_after(struct loader *l)
{
    uint32_t count = l->config->unit_count;
    _cleanup_free_ unsigned char *colours = calloc(count + 1, 1);
    _cleanup_free_ uint32_t *path = calloc(count + 1, sizeof(*path));
    struct walk w = {.loader = l, .colours = colours, .path = path};
    if (!colours || !path)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int r = colours[i] == COLOUR_NEW ? walk_unit(&w, i) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

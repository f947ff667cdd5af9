/* SPDX-License-Identifier: MIT */
/* What workers have asked; see the header. */
#include "asked.h"

/* FNV-1a. */
static uint64_t hash_of(const struct scan_id *id)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)id->kind;
    for (unsigned i = 0; i < id->key_length; i++)
        hash = (hash ^ (uint8_t)id->key[i]) * UINT64_C(1099511628211);
    return hash;
}

void asked_add(struct asked *a, const struct scan_id *id, uint32_t life)
{
    if (a->count == ASKED_MAX) {
        a->first = (a->first + 1) % ASKED_MAX;
        a->count--;
    }
    uint32_t at = (a->first + a->count++) % ASKED_MAX;
    a->entry[at].hash = hash_of(id);
    a->entry[at].life = life;
}

/* ASKED_MAX = there is none. */
static uint32_t find(const struct asked *a, const struct scan_id *id)
{
    uint64_t hash = a->count > 0 ? hash_of(id) : 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint32_t at = (a->first + i) % ASKED_MAX;
        if (a->entry[at].life != 0 && a->entry[at].hash == hash)
            return at;
    }
    return ASKED_MAX;
}

bool asked_is_stale(const struct asked *a, const struct scan_id *id, uint32_t life)
{
    uint32_t at = find(a, id);
    return at != ASKED_MAX && a->entry[at].life != life;
}

void asked_forget(struct asked *a, const struct scan_id *id)
{
    uint32_t at = find(a, id);
    if (at == ASKED_MAX)
        return;
    a->entry[at].life = 0;
    while (a->count > 0 && a->entry[a->first].life == 0) {
        a->first = (a->first + 1) % ASKED_MAX;
        a->count--;
    }
}

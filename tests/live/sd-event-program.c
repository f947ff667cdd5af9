/* SPDX-License-Identifier: MIT */
/*
 * An ordinary sd-event program: it asks for systemd's own handling of memory pressure and knows nothing of weir. Story
 * 28 builds it against a libsystemd of 254, which this tree's own build does not ask for.
 *
 * What there is to give back: memory that was freed but that malloc keeps, because a last block holds the heap's end.
 */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#define BLOCK_BYTES (64 << 10) /* chosen: below 128 KiB, from where on malloc takes a mapping for each */
#define BLOCK_COUNT 480        /* 30 MiB: half of what the story allows */

int main(void)
{
    static char *blocks[BLOCK_COUNT];
    sd_event *event = NULL;
    for (int i = 0; i < BLOCK_COUNT; i++)
        if (!(blocks[i] = malloc(BLOCK_BYTES)))
            return 1;
        else
            memset(blocks[i], 1, BLOCK_BYTES);
    for (int i = 0; i < BLOCK_COUNT - 1; i++)
        free(blocks[i]);
    if (sd_event_default(&event) < 0 || sd_event_add_memory_pressure(event, NULL, NULL, NULL) < 0)
        return 1;
    return sd_event_loop(event) < 0;
}

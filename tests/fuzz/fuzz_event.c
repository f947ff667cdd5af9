/* SPDX-License-Identifier: MIT */
/*
 * Event and decision texts: what can be parsed is written in one canonical form, which parses to the same
 * again. Sentences never overrun their buffer.
 */
#include "fuzz.h"

#include "weir/base/cleanup.h"
#include "weir/model/decision.h"
#include "weir/model/event.h"

static const char *const units[] = {"server", "worker", "odd name=:%"};

static void check_event(const char *text)
{
    struct event e, again;
    char first[EVENT_TEXT_MAX], second[EVENT_TEXT_MAX], sentence[64];
    const char *what = NULL;
    if (event_parse(text, units, ARRAY_SIZE(units), &e, &what) < 0) {
        HOLDS(what && *what);
        return;
    }
    int length = event_format(&e, units, first, sizeof(first));
    HOLDS(length > 0 && strlen(first) == (size_t)length);
    HOLDS(event_parse(first, units, ARRAY_SIZE(units), &again, &what) == 0);
    HOLDS(event_format(&again, units, second, sizeof(second)) == length);
    HOLDS(strcmp(first, second) == 0);
    HOLDS(memcmp(&e, &again, sizeof(e)) == 0); /* both were cleared by the parser */
    HOLDS(strlen(event_narrate(&e, units, sentence, sizeof(sentence))) < sizeof(sentence));
}

static void check_decision(const char *text)
{
    struct decision d, again;
    char first[DECISION_TEXT_MAX], second[DECISION_TEXT_MAX], sentence[64];
    if (decision_parse(text, units, ARRAY_SIZE(units), &d) < 0)
        return;
    int length = decision_format(&d, units, first, sizeof(first));
    HOLDS(length > 0 && strlen(first) == (size_t)length);
    HOLDS(decision_parse(first, units, ARRAY_SIZE(units), &again) == 0);
    HOLDS(decision_format(&again, units, second, sizeof(second)) == length);
    HOLDS(strcmp(first, second) == 0);
    HOLDS(strlen(decision_narrate(&d, units, sentence, sizeof(sentence))) < sizeof(sentence));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = fuzz_text(data, size);
    check_event(text);
    check_decision(text);
    return 0;
}

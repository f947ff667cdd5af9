/* SPDX-License-Identifier: MIT */
/*
 * The figures of a policy nobody tuned, each with its source.
 *
 * "measured" figures come from the recorded worker (863 MB to 7.5 GB in 154 s, jumps up to 1.4 GB within a
 * second) and from stop times seen on the build machines; "chosen" ones say why. Nothing else goes in here:
 * what a figure does is told where it is used.
 */
#include "weir/engine/policy.h"

#include "weir/base/units.h"

static void ladder_defaults(struct ladder_policy *ret)
{
    *ret = (struct ladder_policy){
        .notify_permyriad = 6000,  /* chosen: time for a program to give memory back before it is held */
        .pace_permyriad = 6800,    /* chosen: above release, so that it is undone before it can begin again */
        .reclaim_permyriad = 7000, /* chosen: before anybody is slowed down; it costs no caller anything */
        .hold_permyriad = 7200,    /* chosen: between pace and throttle */
        .throttle_permyriad = 7500, /* chosen: midway from notify to the limit, with room to restart */
        .restart_permyriad = 8500,  /* chosen: leaves 15 % of the limit for the time a stop takes */
        .critical_permyriad = 9500, /* chosen: below this a SIGTERM may still be answered in time */
        .release_permyriad = 6500,  /* chosen: 10 points below throttle, so that it does not flap */
        .pressure_permyriad =
            2000, /* chosen: a third of systemd-oomd's 60 % kill line; this step is undone */
        .pressure_window_us = 10 * USEC_PER_SEC,  /* systemd-oomd and PSI avg10 look back as long */
        .restart_hold_us = 1 * USEC_PER_SEC,      /* chosen: one base interval, 20 fast samples */
        .throttle_eta_us = 10 * USEC_PER_SEC,     /* chosen: as long as a throttle may last */
        .restart_eta_us = 2 * USEC_PER_SEC,       /* measured: a worker's orderly stop and its reaping */
        .throttle_max_us = 10 * USEC_PER_SEC,     /* memory.high can livelock for hours; 10 s tell enough */
        .throttle_cpu_permyriad = 2500,           /* chosen: slows allocation fourfold, still answers */
        .pulse_freeze_us = 200 * USEC_PER_MSEC,   /* chosen: far below watchdogs and client timeouts */
        .pulse_thaw_us = 200 * USEC_PER_MSEC,     /* chosen: half speed */
        .throttle_steer_us = 500 * USEC_PER_MSEC, /* chosen: ten fast samples */
        .throttle_stall_us =
            2 * USEC_PER_SEC,  /* the kernel's longest penalty per charge (MEMCG_MAX_HIGH_DELAY) */
        .jump_permyriad = 500, /* chosen: the recorded worker jumps by 5 to 19 % of its peak */
        .jump_memory_us = 60 * USEC_PER_SEC, /* measured: its jumps come 2 to 40 s apart */
        .pace_inflight = 1,                  /* chosen: the worker still answers, one thing at a time */
        .hold_settle_us =
            500 * USEC_PER_MSEC, /* chosen: a runtime that gives memory back does it at once; callers wait */
        .hold_max_us = 120 * USEC_PER_SEC, /* chosen: well below the first server's 300 s per request */
        .reclaim_chunk_permyriad = 200,    /* chosen: 2 % of the limit, some 10 ms of reclaim per GB */
        .reclaim_yield_permyriad = 2500,   /* chosen: three quarters in vain is not worth the cpu */
        .reclaim_cooldown_us = 30 * USEC_PER_SEC, /* chosen: as between two notifications */
        .notify_cooldown_us = 30 * USEC_PER_SEC,  /* chosen: a full collection may take seconds */
    };
}

void policy_unit_defaults(struct unit_policy *ret)
{
    ret->mode = UNIT_MODE_ACT;
    ret->restart = UNIT_RESTART_ON_FAILURE;
    ret->has_ready = false;
    ret->enabled = true;
    ret->after_count = 0;
    ret->ready_timeout_us = 60 * USEC_PER_SEC; /* chosen: a worker loads its model in 5-20 s */
    ret->drain_us = 10 * USEC_PER_SEC;         /* chosen: as long as the stop itself may take */
    ret->stop_timeout_us = 10 * USEC_PER_SEC;  /* Docker's and Podman's default */
    ret->respawn_wait_us = 5 * USEC_PER_SEC;   /* chosen: a server that restarts its worker does so at once */
    ret->backoff_min_us = 100 * USEC_PER_MSEC; /* systemd's RestartSec default */
    ret->backoff_max_us = 30 * USEC_PER_SEC;   /* chosen: a person waits that long without a second look */
    ret->healthy_us = 60 * USEC_PER_SEC;       /* chosen: between pm2's 30 s and Kubernetes' 10 min */
    ret->failure_budget = 5;                   /* systemd's StartLimitBurst default */
    ret->failure_window_us = 600 * USEC_PER_SEC;  /* chosen: five back-offs and starts fit many times */
    ret->recycle_min_life_us = 10 * USEC_PER_SEC; /* chosen: longer than a start; it answered something */
    ret->recycle_cost_permyriad = 2500;           /* chosen: three quarters of the time must be work */
    ret->recycle_window_us = 600 * USEC_PER_SEC;  /* chosen: as the failure window */
    ladder_defaults(&ret->ladder);
}

void policy_defaults(struct policy *ret)
{
    *ret = (struct policy){
        .interval_us = 1 * USEC_PER_SEC,        /* the recorded monitor's interval */
        .fast_interval_us = 50 * USEC_PER_MSEC, /* measured: one reading costs ~20 us, 0.04 % of it */
    };
}

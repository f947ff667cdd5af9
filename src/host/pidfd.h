/* SPDX-License-Identifier: MIT */
/*
 * PIDFD_GET_INFO as of Linux 6.15 (include/uapi/linux/pidfd.h), which the headers of Debian 12 lack. The
 * names are our own, so that newer headers do not collide.
 */
#ifndef WEIR_HOST_PIDFD_H
#define WEIR_HOST_PIDFD_H

#include <stdint.h>
#include <sys/ioctl.h>

#define PIDFD_REQUEST_EXIT (UINT64_C(1) << 3) /* PIDFD_INFO_EXIT */

struct pidfd_info_request {
    uint64_t mask; /* in: what is asked; out: what was answered */
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code; /* wait status */
};
_Static_assert(sizeof(struct pidfd_info_request) == 64, "PIDFD_INFO_SIZE_VER0");

#define PIDFD_REQUEST_GET_INFO _IOWR(0xFF, 11, struct pidfd_info_request)

#endif

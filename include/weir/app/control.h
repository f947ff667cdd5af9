/* SPDX-License-Identifier: MIT */
/* Names of the control interface, shared by the supervisor and the commands; described in weir(1). */
#ifndef WEIR_APP_CONTROL_H
#define WEIR_APP_CONTROL_H

#define CONTROL_PATH      "/org/weir1/Supervisor"
#define CONTROL_INTERFACE "org.weir1.Supervisor"

#endif

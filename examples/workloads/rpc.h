/* SPDX-License-Identifier: MIT */
/*
 * rpc: the document server's HTTP side.
 *
 *   GET  /health   200 {"status":"ok"}, whatever the worker does
 *   POST /rpc      JSON-RPC: getStatus; search, getStats, getSectionsByPath and getSectionById go to the
 * worker
 *
 * Each connection has a thread of its own, so a search that waits for a new worker holds up nobody else.
 */
#ifndef WORKLOADS_RPC_H
#define WORKLOADS_RPC_H

#include <stdatomic.h>
#include <stdint.h>

#include "indexer.h"
#include "link.h"

struct rpc {
    struct link *link;       /* borrowed */
    struct indexer *indexer; /* borrowed */
    struct MHD_Daemon *daemon;
    atomic_llong requests_count, searches_count;
};

/*
 * Listens on bind (an IPv4 address) and port; 0 takes any free one. Returns the port, or a negative errno.
 * rpc->link and rpc->indexer must be set, and live until rpc_stop().
 */
int rpc_start(struct rpc *rpc, const char *bind, uint16_t port);

/* Closes the port and all connections; link_stop() must have been called, so that no handler blocks. */
void rpc_stop(struct rpc *rpc);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Who learns of a change of an object: the promises, the operator's watches, the controllers. */
#include "api.h"
#include "check.h"
#include "nodes.h"
#include "operator.h"

void world_changed(struct object *o, const struct version *old, enum change what, enum actor by)
{
    if (o->kind == KIND_POD)
        kubelet_changed(o, what, by);
    check_changed(o, old, what, by);
    if (o->kind < KIND_COUNT)
        watches_tell(o->kind, o->at, what == REMOVED);
    gc_changed(o, what);
    if (o->kind == KIND_POD || o->kind == KIND_DEPLOYMENT || o->kind == KIND_REPLICASET)
        deployments_changed(o, old, what);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests call the actions of a plan. */
#ifndef TESTS_ACTION_NAMES_H
#define TESTS_ACTION_NAMES_H

#include "flinkop/plan.h"

static const char *const action_names[] = {
    [ACT_APPLY] = "apply",
    [ACT_CREATE] = "create",
    [ACT_REHEARSE] = "rehearse",
    [ACT_DELETE] = "delete",
    [ACT_PATCH] = "patch",
    [ACT_STATUS] = "status",
    [ACT_EVENT] = "event",
    [ACT_RELEASE] = "release",
    [ACT_FIND_JOB] = "find-job",
    [ACT_SUBMIT_JOB] = "submit-job",
    [ACT_CANCEL_JOB] = "cancel-job",
    [ACT_JOB_ERROR] = "read-job-error",
    [ACT_STOP_JOB] = "stop-job",
    [ACT_FIND_SAVEPOINT] = "find-savepoint",
    [ACT_READ_STATE] = "read-state",
    [ACT_READ_HEALTH] = "read-health",
    [ACT_READ_EXCEPTIONS] = "read-exceptions",
    [ACT_READ_HA] = "read-ha",
    [ACT_READ_REFERENCE] = "read-reference",
    [ACT_LOOK_UP] = "look-up",
    [ACT_RELABEL] = "relabel",
    [ACT_RESCALE_JOB] = "rescale-job",
    [ACT_TAKE_SAVEPOINT] = "take-savepoint",
    [ACT_TAKE_CHECKPOINT] = "take-checkpoint",
    [ACT_FIND_CHECKPOINT] = "find-checkpoint",
    [ACT_DISPOSE] = "dispose",
    [ACT_FIND_DISPOSAL] = "find-disposal",
};

#endif

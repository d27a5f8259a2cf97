/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something is to be done again and again: after each so much time, or at the times of a cron
 * expression as Quartz reads it (org.quartz.CronExpression: seconds minutes hours day-of-month
 * month day-of-week [year]). Times are UTC; Quartz takes the zone of its process, which is UTC in
 * the incumbent's image.
 */
#ifndef FLINKOP_SCHEDULE_H
#define FLINKOP_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "flinkop/macros.h"

struct error;

#define SCHEDULE_FIRST_YEAR 1970
#define SCHEDULE_LAST_YEAR 2099

struct schedule {
    int64_t interval_ms; /* not 0: by duration, and nothing else counts */

    /* One bit for each value that counts: 0 to 59, 0 to 23, 1 to 31, 1 to 12, 1 (Sunday) to 7. */
    uint64_t seconds, minutes, hours, days, months, weekdays;
    bool years[SCHEDULE_LAST_YEAR - SCHEDULE_FIRST_YEAR + 1];
    bool by_weekday;  /* else by the day of the month */
    bool last;        /* the last day of the month, or the last such weekday of it */
    int before_last;  /* with `last` of a day of the month: so many days before that */
    bool on_work_day; /* the Monday to Friday of the month that is nearest to it */
    int nth;          /* not 0: the weekday only where it comes for the nth time in the month */
};

/** Reads a duration (clock.h) or a cron expression; "0" is never. The error says what would be
 * right. */
int schedule_parse(const char *text, struct schedule *ret, struct error *err) MUST_CHECK;
/** The first time after `after`, epoch ms; -1: never. */
int64_t schedule_next(const struct schedule *s, int64_t after);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options for people. */
#include <string.h>

#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

/* The prefix under which the autoscaler's may be written, too, is no name of one of them. */
static const char *older_name(const struct flink_option *o, char room[FLINK_OPTION_ROOM])
{
    const char *name = flink_option_older_name(o, 0, room);

    return name == room ? NULL : name;
}

static const char *scope(const struct flink_option *o)
{
    switch (o->scope) {
    case OPTION_OF_RESOURCES:
        return "resource";
    case OPTION_OF_OPERATOR:
        return "operator";
    case OPTION_AT_START:
        break;
    }
    return "operator, at start";
}

static void write_note(struct strbuf *sb, const struct flink_option *o, const char *quote)
{
    char room[FLINK_OPTION_ROOM];
    const char *older = older_name(o, room);

    strbuf_adds(sb, o->note);
    if (older)
        strbuf_addf(sb, "%solder name: %s%s%s", *o->note ? "; " : "", quote, older, quote);
}

static void write_markdown(struct strbuf *sb, const struct flink_option *o)
{
    const char *quote = str_empty(o->deflt) ? "" : "`";

    strbuf_addf(sb, "| `%s` | %s%s%s | %s | %s | ", o->key, quote, str_or_empty(o->deflt), quote,
                scope(o), o->fate == OPTION_HONOURED ? "honoured" : "not applicable");
    write_note(sb, o, "`");
    strbuf_adds(sb, " |\n");
}

static void write_plain(struct strbuf *sb, const struct flink_option *o)
{
    strbuf_addf(sb, "%s\t%s\t%s\t%s\t", o->key, str_or_empty(o->deflt), scope(o),
                o->fate == OPTION_HONOURED ? "honoured" : "not applicable");
    write_note(sb, o, "");
    strbuf_adds(sb, "\n");
}

void flink_options_write(struct strbuf *sb, bool markdown)
{
    size_t n;
    const struct flink_option *options = flink_options(&n);

    if (markdown)
        strbuf_adds(sb, "| option | default | set in | here | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (markdown)
            write_markdown(sb, &options[i]);
        else
            write_plain(sb, &options[i]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flinkop/http.h"
#include "flinkop/strbuf.h"

char *http_escape(const char *s)
{
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(3 * strlen(s));

    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                     (ch >= '0' && ch <= '9') || strchr("-._~", ch);

        strbuf_addf(&sb, plain ? "%c" : "%%%02X", ch);
    }
    return strbuf_detach(&sb, NULL);
}

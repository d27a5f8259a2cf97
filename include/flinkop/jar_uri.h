/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLINKOP_JAR_URI_H
#define FLINKOP_JAR_URI_H

#include "flinkop/flink_conf.h"
#include "flinkop/json_map.h"

/** Adds a problem unless the JAR can be had from there. `allowed`: comma-separated schemes for
 * downloads; local:// (a JAR of the image) always is. */
void jar_uri_check(struct problems *p, const char *path, const char *uri, const char *allowed);
struct flink_version;
/** The same for the JAR of an application, which Flink fetches itself: any scheme that its file
 * systems know, from the version on that can; local:// is any file of the image. */
void jar_uri_check_application(struct problems *p, const char *path, const char *uri,
                               const struct flink_version *v);
/** The file of the image that an application's entrypoint of this version would not find, because
 * it looks into usrlib only (but for that of Flink's own allocator): launch.sh makes it a usrlib of
 * its own. NULL: no such thing is needed. */
const char *jar_uri_linked(const char *uri, const struct flink_version *v);
/** The schemes an admin allows for downloads (kubernetes.operator.user.artifacts.allowed-schemes).
 */
const char *jar_allowed_schemes(const struct conf *c);
/** The id under which Flink's REST API knows a local:// JAR (launch.sh links it so), NULL for
 * other URIs. */
const char *jar_uri_image_id(struct arena *a, const char *uri);

/** What is wrong with what stands before its path, NULL if nothing; then it is not to be shown:
 * that may be a password. */
const char *jar_uri_refusal(const char *uri);
/** For messages: without its query, which may be a credential (presigned URLs). */
const char *jar_uri_shown(struct arena *a, const char *uri);

#endif

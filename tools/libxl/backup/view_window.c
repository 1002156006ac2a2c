/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The quiet window: filters come and go while no request is under way. The
 * domain is paused first, since QEMU's `stop` does not stop the guest; then
 * QEMU takes what still lies in the rings, and comes to rest.
 */
#include <string.h>

#include "view.h"

/* Without the agent: not at all, or by the caller's leave. */
static int unquiesced(struct libxlss__op *op, const struct libxlss__view *v,
                      int rc, const char *why)
{
    if (!v->allow_unquiesced) {
        LOG_ERROR(op, "the domain can't be quiesced: %s", why);
        return rc;
    }
    LOG_WARN(op, "it is not quiesced: %s", why);
    return 0;
}

static int quiesce(struct libxlss__op *op, const struct libxlss__view *v)
{
    const char *why;
    int rc;

    if (!v || !v->quiesce)
        return 0;
    rc = libxlss__agent_freeze(op, &why);
    if (rc == XLSS(NOT_QUIESCED) || rc == XLSS(NOT_POSSIBLE))
        return unquiesced(op, v, rc, why);
    return rc;
}

int libxlss__quiet_begin(struct libxlss__op *op, struct libxlss__window *w,
                         struct libxlss__view *v)
{
    int rc;

    memset(w, 0, sizeof(*w));
    rc = quiesce(op, v);
    if (v)
        v->quiesced = op->quiesced;
    if (!rc)
        rc = libxlss__pause(op);
    if (!rc)
        rc = libxlss__step(op, LIBXL_SNAPSHOT_STEP_INSTANT);
    if (!rc)
        rc = libxlss__window_open(op, w, true);
    if (!rc)
        rc = libxlss__qmp_still(&w->qmp);
    return rc;
}

/* Was it frozen all the time? */
static int still_quiesced(struct libxlss__op *op, struct libxlss__view *v)
{
    bool frozen = v && v->quiesced;

    if (v)
        v->quiesced = op->quiesced;
    if (!frozen || op->quiesced)
        return 0;
    return unquiesced(op, v, XLSS(NOT_QUIESCED), "its filesystems were "
                      "thawed, by itself or by somebody else, before the "
                      "instant had passed");
}

int libxlss__quiet_end(struct libxlss__op *op, struct libxlss__window *w,
                       struct libxlss__view *v, int rc)
{
    int rc2 = libxlss__window_close(op, w, false);

    if (!rc)
        rc = rc2;
    /* The domain's going on is more than our own success. */
    op->committed = true;
    libxlss__step(op, LIBXL_SNAPSHOT_STEP_RESUME);
    op->committed = false;
    rc2 = libxlss__release(op);
    if (rc2) {
        LOG_ERROR(op, "the domain does not go on: %s",
                  libxl_snapshot_strerror(rc2));
        return rc2 == XLSS(NEEDS_REPAIR) || !rc ? rc2 : rc;
    }
    return rc ? rc : still_quiesced(op, v);
}

/** `/permits/{permitId}/uploads`: what of uploads is never copied, and the order to leave exactly that out (DESIGN 4). */
import { OpenAPIHono } from "@hono/zod-openapi";
import { toInstant } from "../core/clock.ts";
import { JOB_PRIORITY } from "../core/job.ts";
import { refusalText } from "../core/refusal.ts";
import { parseVolumeKey } from "../core/volume.ts";
import type { Tx } from "../store/db.ts";
import { retryNow } from "../store/job_transitions.ts";
import { enqueueJob, latestWish, openJob } from "../store/jobs.ts";
import { acceptRefused, type RefusedUploads, refusedUploads } from "../store/refused_uploads.ts";
import type { Snapshot } from "../store/snapshot.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { isOpen } from "./job_view.ts";
import { carryOut } from "./order.ts";
import { ProblemError } from "./problem.ts";
import { callerOf, readJson } from "./request.ts";
import { IdempotencyHeader, PermitPath } from "./schemas/common.ts";
import { JobReceipt } from "./schemas/jobs.ts";
import type { TroubleView } from "./schemas/permits.ts";
import {
  AcceptRequest,
  RefusedUploadsList,
  type RefusedUploadsView,
  UploadsPath,
} from "./schemas/uploads.ts";
import { requireSnapshot } from "./workspaces.ts";

/** A hash and a number, however they are laid out. */
const BODY_MAX = 1024;

const listRoute = route("permits:read", {
  method: "get",
  path: "/permits/{permitId}/uploads",
  tags: ["uploads"],
  summary: "Uploads with links or special files among them, which are never copied",
  request: { params: PermitPath },
  responses: { 200: json(RefusedUploadsList, "The newest list of each"), ...problems },
});

const acceptRoute = route("uploads:accept", {
  method: "post",
  path: "/permits/{permitId}/uploads/{holder}/accept",
  tags: ["uploads"],
  summary: "Agree to leave exactly these entries out of the copy, for good",
  description: "409 `state-conflict` where the newest list is another one. The job goes on at once.",
  request: {
    params: UploadsPath,
    headers: IdempotencyHeader,
    body: {
      required: true,
      content: { "application/json": { schema: { $ref: "#/components/schemas/AcceptRequest" } } },
    },
  },
  responses: { 202: json(JobReceipt, "Accepted; the job that consolidates"), ...problems },
});

/** The routes of uploads. */
export function uploadsRouter(deps: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openAPIRegistry.register("AcceptRequest", AcceptRequest);
  app.openapi(listRoute, async (c) => {
    const { permit: { permitId } } = await requireSnapshot(deps, c.req.valid("param").permitId);
    return c.json({ items: (await refusedUploads(deps.db, permitId)).map(refusedView) }, 200);
  });
  app.openapi(acceptRoute, async (c) => {
    const { permitId, holder } = c.req.valid("param");
    const { bytes, body } = await readJson(c, AcceptRequest, BODY_MAX);
    return await carryOut(deps, c, async () => {
      const { permit } = await requireSnapshot(deps, permitId);
      const wanted = chosen(await refusedUploads(deps.db, permitId), permitId, holder, body);
      return {
        permitId,
        action: "uploads.accepted",
        target: `${wanted.key} without list ${wanted.listHash}`,
        effect: async (tx, nowMs) => {
          // Another list may have been seen since: then nothing is accepted.
          const { key, listHash } = chosen(await refusedUploads(tx, permitId), permitId, holder, body);
          await acceptRefused(tx, permitId, key, listHash, callerOf(c).actor, nowMs);
          return await goOn(tx, permitId, permit.version, nowMs);
        },
      };
    }, bytes);
  });
  return app;
}

/** The list that the order means. Problems: 404 where the holder's uploads have none, 409 where it is another one. */
function chosen(
  refused: RefusedUploads[],
  permitId: string,
  holder: string,
  { list, batch }: AcceptRequest,
): RefusedUploads {
  const own = refused.filter(({ key }) => {
    const { owner, generation } = parseVolumeKey(key);
    return owner === holder && (batch === undefined || generation === batch);
  });
  const what = `the uploads of ${JSON.stringify(holder)}`;
  if (own.length === 0) {
    throw new ProblemError("not-found", `Cannot accept: ${what} have no list of refused entries`, {
      reason: "not-found",
      advice: `wps uploads show ${permitId} lists those there are`,
    });
  }
  const [found, ...others] = own.filter(({ listHash }) => listHash === list);
  if (found !== undefined && others.length === 0) return found;
  throw new ProblemError(
    "state-conflict",
    found === undefined
      ? `Cannot accept: the newest list of ${what} is another one than ${list}`
      : `Cannot accept: ${what} of ${others.length + 1} ingresses have this list`,
    {
      reason: "conflict",
      advice: found === undefined
        ? `Look at it with wps uploads show ${permitId}: its entries have changed`
        : "Say which with --batch N",
    },
  );
}

/** The job that consolidates: one that waits for its next attempt or failed runs at once, one that runs looks again. */
export async function goOn(tx: Tx, permitId: string, version: number, nowMs: number): Promise<number> {
  const open = await openJob(tx, permitId);
  if (open !== null) return open.state === "queued" ? await retryNow(tx, open.id, nowMs) : open.id;
  const latest = await latestWish(tx, permitId);
  if (latest?.state === "failed" || latest?.state === "cancelled") {
    return await retryNow(tx, latest.id, nowMs);
  }
  const job = { permitId, kind: "drift", priority: JOB_PRIORITY.drift, version, eventSeq: null } as const;
  return (await enqueueJob(tx, { ...job, runAtMs: nowMs, nowMs })).jobId;
}

function refusedView(
  { key, count, shown, listHash, seenAtMs, acceptedAtMs, acceptedBy }: RefusedUploads,
): RefusedUploadsView {
  const { owner, generation } = parseVolumeKey(key);
  return {
    holder: owner ?? "",
    batch: generation,
    volume: key,
    count,
    shown,
    list: listHash,
    seenAt: toInstant(seenAtMs),
    acceptedAt: acceptedAtMs === null ? null : toInstant(acceptedAtMs),
    acceptedBy,
  };
}

/** What nobody has decided yet, one trouble for each holder. */
export function refusedTroubles({ permit, job }: Snapshot, refused: RefusedUploads[]): TroubleView[] {
  if (permit.deletion !== "none") return [];
  // While its job works, what it was refused before may be gone by now.
  const isLooking = job !== null && isOpen(job) && job.state === "running" && job.waitingFor === null;
  return refused.filter(({ acceptedAtMs }) => acceptedAtMs === null && !isLooking).map((uploads) => {
    const holder = parseVolumeKey(uploads.key).owner ?? "";
    return { target: uploads.key, ...refusalText(permit.permitId, uploads.key, holder, uploads) };
  });
}

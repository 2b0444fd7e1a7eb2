/** Uploads that are not consolidated because of what they hold, and the order to leave that out. */
import { z } from "@hono/zod-openapi";
import { Instant, PERMIT_ID_MAX, PermitPath } from "./common.ts";

/** SHA-256 in hexadecimal digits. */
const ListHash = z.string().regex(/^[0-9a-f]{64}$/, "Take `list` as GET …/uploads shows it");

/** One holder's uploads of one ingress with links or special files among them. */
export const RefusedUploadsView = z.object({
  holder: z.string(),
  /** Which ingress. */
  batch: z.number().int(),
  volume: z.string(),
  /** How many entries are neither files nor folders. */
  count: z.number().int(),
  /** The first of them, e.g. "link ./a -> /etc/passwd"; line feeds and backslashes of names as sha256sum escapes them. */
  shown: z.array(z.string()),
  /** SHA-256 of the whole list: what is accepted. */
  list: ListHash,
  seenAt: Instant,
  /** Null: nobody has agreed to leave exactly these out, and the uploads wait. */
  acceptedAt: Instant.nullable(),
  /** Who did, e.g. "operator:anna". */
  acceptedBy: z.string().nullable(),
}).openapi("RefusedUploads");
/** See {@link RefusedUploadsView}. */
export type RefusedUploadsView = z.infer<typeof RefusedUploadsView>;

/** `GET /permits/{permitId}/uploads`: empty where nothing is refused. */
export const RefusedUploadsList = z.object({ items: z.array(RefusedUploadsView) }).openapi(
  "RefusedUploadsList",
);
/** See {@link RefusedUploadsList}. */
export type RefusedUploadsList = z.infer<typeof RefusedUploadsList>;

/** The path of one holder's uploads. */
export const UploadsPath = PermitPath.extend({
  holder: z.string().min(1).max(PERMIT_ID_MAX).openapi({ example: "hospital-a" }),
});

/** The body of `POST /permits/{permitId}/uploads/{holder}/accept`. */
export const AcceptRequest = z.strictObject({
  list: ListHash,
  batch: z.number().int().min(1).optional().openapi({
    description: "Where several ingresses have this list",
  }),
}).openapi("AcceptRequest");
/** See {@link AcceptRequest}. */
export type AcceptRequest = z.infer<typeof AcceptRequest>;

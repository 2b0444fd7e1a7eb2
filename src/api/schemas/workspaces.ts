/** Workspaces: the blueprint's two answers, and the lists. */
import { z } from "@hono/zod-openapi";
import { STATUSES } from "../../core/status.ts";
import { POSTURES } from "../../core/phase.ts";
import { FilterText, Instant, page, pageQuery, querySchema } from "./common.ts";

/** The public word. */
export const StatusWord = z.enum(STATUSES).openapi("Status");

/** `GET /workspaces/{permitId}/status`: exactly this (DESIGN 10). */
export const StatusAnswer = z.strictObject({ status: StatusWord }).openapi("StatusAnswer");
/** See {@link StatusAnswer}. */
export type StatusAnswer = z.infer<typeof StatusAnswer>;

/** How a person reaches a workspace. */
export const Protocol = z.enum(["rdp", "vnc", "sftp"]).openapi("Protocol");

/** `GET /workspaces/{permitId}/connection`: exactly this (DESIGN 10). */
export const ConnectionAnswer = z.strictObject({
  connection: z.strictObject({
    protocol: Protocol,
    host: z.string(),
    port: z.number().int(),
    username: z.string(),
    password: z.string(),
  }),
}).openapi("ConnectionAnswer");
/** See {@link ConnectionAnswer}. */
export type ConnectionAnswer = z.infer<typeof ConnectionAnswer>;

/** Which of several workspaces. */
export const ConnectionQuery = querySchema({
  username: FilterText.optional().openapi({ description: "Whose workspace, where the permit has several" }),
  kind: FilterText.optional().openapi({ description: "Which kind, where one person has several" }),
});

/** One mounted volume. `wo` is the airlock's write-only mode. */
const MountView = z.object({
  /** The volume's key, e.g. "home/j.virtanen@2". */
  volume: z.string(),
  path: z.string(),
  mode: z.enum(["ro", "rw", "wo"]),
}).openapi("Mount");

/** One workspace as last observed, beside what its phase wants. Never a password. */
export const WorkspaceView = z.object({
  permitId: z.string(),
  /** "research/j.virtanen": unique within the permit. */
  key: z.string(),
  kind: z.string(),
  /** A data holder's id, anyone else's username. */
  owner: z.string(),
  username: z.string().nullable(),
  uid: z.number().int().nullable(),
  gid: z.number().int().nullable(),
  status: StatusWord,
  /** What the phase asks for; `absent`: it is to go. */
  wanted: z.enum(["running", "stopped", "absent"]),
  /** The posture that the phase asks for; null: it is to go. */
  posture: z.enum(POSTURES).nullable(),
  /** The network as the policies in force add up; null: never observed. */
  network: z.enum(["shut", "open", "breached"]).nullable(),
  /** Isolation was proven for the instance that runs now. */
  proven: z.boolean(),
  ready: z.boolean(),
  mounts: z.array(MountView),
  /** Where the gateway (or a holder) connects to. */
  endpoint: z.object({ protocol: Protocol, host: z.string(), port: z.number().int() }).nullable(),
  /** Airlock: SHA-256 fingerprint of the SSH host key, as OpenSSH prints it. */
  hostKeyFingerprint: z.string().nullable(),
  /** A newer image, tier or template waits for the next start. */
  outdated: z.boolean(),
  /** What it waits for or what is wrong, in the platform's words. */
  detail: z.string().nullable(),
  observedAt: Instant.nullable(),
}).openapi("Workspace");
/** See {@link WorkspaceView}. */
export type WorkspaceView = z.infer<typeof WorkspaceView>;

/** Filters of `GET /workspaces`. */
export const WorkspaceQuery = querySchema({
  ...pageQuery,
  permitId: FilterText.optional(),
  kind: FilterText.optional(),
  username: FilterText.optional(),
  status: StatusWord.optional(),
});

/** `GET /workspaces`, `GET /workspaces/{permitId}`. */
export const WorkspacePage = page(WorkspaceView).openapi("WorkspacePage");
/** See {@link WorkspacePage}. */
export type WorkspacePage = z.infer<typeof WorkspacePage>;

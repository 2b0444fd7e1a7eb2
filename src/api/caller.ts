/** Callers and what they may do, as data. */
import type { Actor } from "../core/audit.ts";

/** How a request came: the unix socket, TCP, or a call inside this process by the command line. */
export type Transport = "unix" | "tcp" | "process";

/** What a route can ask for. */
export const PERMISSIONS = [
  "status:read",
  "connection:read",
  "workspaces:read",
  "permits:read",
  "permit:halt",
  "uploads:accept",
  "plan:read",
  "events:read",
  "events:write",
  "jobs:read",
  "jobs:write",
  "health:read",
] as const;
/** One of {@link PERMISSIONS}. */
export type Permission = typeof PERMISSIONS[number];
/** What a route says of itself; `public` asks nobody who they are. */
export type RoutePermission = Permission | "public";

/** Somebody known. */
export interface Caller {
  actor: Actor;
  permissions: ReadonlySet<Permission>;
}

/** What a request shows of its caller. */
export interface Credentials {
  transport: Transport;
  /** The Authorization header as sent. */
  authorization: string | null;
  /** The operating-system user that the command line names on the socket; believed only there. */
  operator: string | null;
}

/** Null: not known (401). A known caller without the permission is 403. */
export type Authenticator = (credentials: Credentials) => Promise<Caller | null>;

/** Called for each refusal before its answer leaves. */
export type RefusalSink = (refusal: Refusal) => Promise<void>;

/** One refusal, for the audit. */
export interface Refusal {
  actor: Actor;
  status: 401 | 403;
  permission: Permission;
  /** "GET /api/v1/permits": method and path without query, bounded. */
  target: string;
  requestId: string;
}

/** The two halves of the door, as the context carries them. */
export interface Door {
  authenticate: Authenticator;
  refused: RefusalSink;
}

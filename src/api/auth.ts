/**
 * Who calls and what they may do: the one place for it. Today a caller is the operator (unix socket, command line)
 * or holds the one key of the configuration; keys with roles come in here and nowhere else.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { createRoute, type RouteConfig } from "@hono/zod-openapi";
import type { Actor } from "../core/audit.ts";
import { type Authenticator, PERMISSIONS, type RoutePermission } from "./caller.ts";
import type { ApiEnv } from "./env.ts";
import { ProblemError } from "./problem.ts";
import { querySchema } from "./schemas/common.ts";

/** On the socket the command line names its operating-system user in it, for the audit. */
export const OPERATOR_HEADER = "X-WPS-Operator";
/** Who is refused without being known. */
const NOBODY: Actor = { kind: "api", id: "unknown" };
/** A path in an audit row: a permit id of 512 characters, percent-encoded, is cut. */
const TARGET_MAX = 300;
/** An operating-system user as useradd allows it. */
const OPERATOR = /^[a-z_][a-z0-9_.-]{0,31}$/i;
/** RFC 6750 section 2.1, with every printable character that `api.key` may have. */
const BEARER = /^Bearer +([!-~]+) *$/i;

/**
 * The first authenticator: who reaches the unix socket (mode 0660) or runs the command line on the database's file is
 * the operator; on TCP only the bearer of `key`. Without a key nobody on TCP is known. Compared in constant time.
 */
export function createAuthenticator(options: { key: string | null }): Authenticator {
  const expected = options.key === null || options.key === "" ? null : digest(options.key);
  const everything = new Set(PERMISSIONS);
  return ({ transport, authorization, operator }) => {
    if (transport !== "tcp") {
      const id = operator !== null && OPERATOR.test(operator) ? operator : transport;
      return Promise.resolve({ actor: { kind: "operator", id }, permissions: everything });
    }
    const token = BEARER.exec(authorization ?? "")?.[1];
    if (token === undefined || expected === null || !timingSafeEqual(digest(token), expected)) {
      return Promise.resolve(null);
    }
    return Promise.resolve({ actor: { kind: "api", id: "configured-key" }, permissions: everything });
  };
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** A misspelt filter must not look as if it had filtered: parameters that a route does not know are refused. */
const NO_QUERY = querySchema({});

/** The field of a route's OpenAPI entry that names its permission. */
export const PERMISSION_FIELD = "x-permission";

/** The name of the bearer key in the OpenAPI document. */
export const SECURITY_SCHEME = "bearer";

/**
 * `createRoute` with the permission beside it: checked before anything of the request is read, and shown in the
 * OpenAPI document.
 */
export function route<const Config extends RouteConfig>(
  permission: RoutePermission,
  config: Config,
): Config & { getRoutingPath(): string; middleware: MiddlewareHandler<ApiEnv> } {
  return createRoute({
    ...config,
    request: permission === "public" ? config.request : { query: NO_QUERY, ...config.request },
    [PERMISSION_FIELD]: permission,
    operationId: operationIdOf(config),
    security: permission === "public" ? [] : [{ [SECURITY_SCHEME]: [] }],
    middleware: authorize(permission),
  });
}

/** "getWorkspacesByPermitIdStatus": what generated clients call the operation. */
function operationIdOf({ method, path }: RouteConfig): string {
  const words = path.replaceAll(/\{(\w+)\}/g, "by-$1").split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return method + words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`).join("");
}

/**
 * Lets only callers with the permission through: 401 for who is not known, 403 for who is known and may not, each
 * audited before its answer leaves.
 */
function authorize(permission: RoutePermission): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (permission === "public") return await next();
    const { authenticate, refused } = c.get("door");
    const caller = await authenticate({
      transport: c.env?.transport ?? "tcp",
      authorization: c.req.header("Authorization") ?? null,
      operator: c.req.header(OPERATOR_HEADER) ?? null,
    });
    if (caller?.permissions.has(permission)) {
      c.set("caller", caller);
      return await next();
    }
    const status = caller === null ? 401 : 403;
    const target = `${c.req.method} ${c.req.path}`.slice(0, TARGET_MAX);
    const actor = caller?.actor ?? NOBODY;
    await refused({ actor, status, permission, target, requestId: c.get("requestId") });
    if (caller === null) {
      throw new ProblemError("unauthenticated", "Cannot answer: no known key came with the request", {
        advice: "Send Authorization: Bearer <key>",
      }, { "WWW-Authenticate": 'Bearer realm="wps"' });
    }
    throw new ProblemError("forbidden", `Cannot answer: ${actor.id} lacks the permission ${permission}`, {
      reason: "denied",
    });
  };
}

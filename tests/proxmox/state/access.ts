/** Users, tokens, roles and the access control list. */
import { ApiError, permissionError } from "../wire/errors.ts";

/** Every privilege of the recorded version, which `root@pam` has on all paths. */
export const PRIVILEGES: readonly string[] = (
  "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate " +
  "Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate " +
  "Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming " +
  "Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM " +
  "VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network " +
  "VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt " +
  "VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate VM.PowerMgmt VM.Replicate VM.Snapshot " +
  "VM.Snapshot.Rollback"
).split(" ");

/** Paths that `/access/permissions` always looks at. */
const WELL_KNOWN_PATHS = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

/** A token of a user. */
export interface Token {
  secret: string;
  /** Has only what is granted to it and to its user. */
  isSeparated: boolean;
  comment?: string | undefined;
  expire: number;
}

/** A user. */
export interface User {
  enable: boolean;
  expire: number;
  comment?: string | undefined;
  groups: Set<string>;
  tokens: Map<string, Token>;
}

/** A line of the access control list. */
export interface Grant {
  path: string;
  kind: "user" | "group" | "token";
  /** `user@realm`, a group, or `user@realm!token`. */
  holder: string;
  role: string;
  propagate: boolean;
}

/** A path without repeated and final slashes; undefined for one with characters that no path has. */
export function normalizePath(path: string): string | undefined {
  const normal = `/${path}`.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
  return /^[\w.\-/]+$/.test(normal) ? normal : undefined;
}

/** Which pool a VM or storage is in, whose grants count for it, too. */
export type PoolOf = (path: string) => string | undefined;

/** What the file /etc/pve/user.cfg holds. */
export class Access {
  readonly users = new Map<string, User>();
  readonly groups = new Map<string, { comment?: string | undefined }>();
  readonly roles = new Map<string, Set<string>>();
  grants: Grant[] = [];
  readonly #poolOf: PoolOf;

  constructor(poolOf: PoolOf) {
    this.#poolOf = poolOf;
    this.roles.set("Administrator", new Set(PRIVILEGES));
    this.roles.set("NoAccess", new Set());
  }

  /** Who a header's credentials belong to. Throws the 401 that the server answers, late and without a body. */
  authenticate(header: string | undefined): Principal {
    const refusal = (reason: string): ApiError => new ApiError(401, reason, { body: "empty" });
    const value = /^PVEAPIToken=(.*)$/.exec(header ?? "")?.[1];
    if (value === undefined) throw refusal("No ticket");
    const [, userId = "", tokenId = "", secret] = /^([^!]+)!([^=]+)=(.*)$/.exec(value) ?? [];
    const user = this.users.get(userId);
    const token = user?.tokens.get(tokenId);
    if (user === undefined || token === undefined || !user.enable || token.secret !== secret) {
      throw refusal("Authentication failed!");
    }
    return new Principal(this, userId, tokenId);
  }

  /** Somebody who did not come through the API. */
  principal(userId: string, tokenId?: string): Principal {
    return new Principal(this, userId, tokenId);
  }

  /** The privileges of a user, group members included, on a path: whether each one is handed on below it. */
  userPrivileges(userId: string, path: string): Map<string, boolean> {
    if (userId === "root@pam") return new Map(PRIVILEGES.map((privilege) => [privilege, true]));
    const groups = this.users.get(userId)?.groups ?? new Set<string>();
    return this.#merged(path, (grant) => {
      return grant.kind === "user"
        ? grant.holder === userId
        : grant.kind === "group" && groups.has(grant.holder);
    });
  }

  /** The same of a token; of a separated one, only what its user has, too. */
  tokenPrivileges(userId: string, tokenId: string, path: string): Map<string, boolean> {
    const ofUser = this.userPrivileges(userId, path);
    if (this.users.get(userId)?.tokens.get(tokenId)?.isSeparated !== true) return ofUser;
    const holder = `${userId}!${tokenId}`;
    const own = this.#merged(path, (grant) => grant.kind === "token" && grant.holder === holder);
    return new Map([...own].filter(([privilege]) => ofUser.has(privilege)));
  }

  /** Every path worth telling what somebody may do on it. */
  knownPaths(): string[] {
    const paths = new Set(WELL_KNOWN_PATHS);
    for (const { path } of this.grants) {
      const parts = path.split("/").filter((part) => part !== "");
      for (let length = 1; length <= parts.length; length++) {
        paths.add(`/${parts.slice(0, length).join("/")}`);
      }
    }
    return [...paths].sort();
  }

  #merged(path: string, isHolder: (grant: Grant) => boolean): Map<string, boolean> {
    const privileges = this.#privileges(path, isHolder);
    const pool = this.#poolOf(path);
    if (pool === undefined) return privileges;
    return new Map([...this.#privileges(`/pool/${pool}`, isHolder), ...privileges]);
  }

  /** From the root down: grants at a longer path take the place of what was handed on to it. */
  #privileges(path: string, isHolder: (grant: Grant) => boolean): Map<string, boolean> {
    let roles = new Map<string, boolean>();
    const parts = path.split("/").filter((part) => part !== "");
    for (let length = 0; length <= parts.length; length++) {
      const prefix = `/${parts.slice(0, length).join("/")}`;
      const here = this.grants.filter((grant) => {
        return grant.path === prefix && isHolder(grant) && (grant.propagate || length === parts.length);
      });
      if (here.length > 0) roles = new Map(here.map(({ role, propagate }) => [role, propagate]));
    }
    if (roles.has("NoAccess")) return new Map();
    const privileges = new Map<string, boolean>();
    for (const [role, propagate] of roles) {
      for (const privilege of this.roles.get(role) ?? []) {
        privileges.set(privilege, propagate || privileges.get(privilege) === true);
      }
    }
    return privileges;
  }
}

/** Who calls. */
export class Principal {
  readonly #access: Access;
  /** `user@realm`. */
  readonly userId: string;
  readonly tokenId: string | undefined;

  constructor(access: Access, userId: string, tokenId: string | undefined) {
    this.#access = access;
    this.userId = userId;
    this.tokenId = tokenId;
  }

  /** `user@realm!token`, or the user alone: the name under which tasks are kept. */
  get name(): string {
    return this.tokenId === undefined ? this.userId : `${this.userId}!${this.tokenId}`;
  }

  /** `root@pam` itself; a token of it is not. */
  get isRoot(): boolean {
    return this.name === "root@pam";
  }

  /** Privileges on a path, with whether they are handed on. */
  privileges(path: string): Map<string, boolean> {
    return this.tokenId === undefined
      ? this.#access.userPrivileges(this.userId, path)
      : this.#access.tokenPrivileges(this.userId, this.tokenId, path);
  }

  /** Whether it has one of these privileges. */
  mayAny(path: string, privileges: readonly string[]): boolean {
    const normal = normalizePath(path);
    if (normal === undefined) return false;
    const own = this.privileges(normal);
    return privileges.some((privilege) => own.has(privilege));
  }

  /** Whether it has this privilege. */
  may(path: string, privilege: string): boolean {
    return this.mayAny(path, [privilege]);
  }

  /** Throws the 403 that names the path and the first privilege that is missing there. */
  need(path: string, ...privileges: string[]): void {
    const missing = privileges.find((privilege) => !this.may(path, privilege));
    if (missing !== undefined) throw permissionError(`${normalizePath(path) ?? ""}, ${missing}`);
  }

  /** Throws the 403 that names the path and all privileges of which one is needed. */
  needAny(path: string, privileges: readonly string[]): void {
    if (this.mayAny(path, privileges)) return;
    throw permissionError(`${normalizePath(path) ?? ""}, ${privileges.join("|")}`);
  }
}

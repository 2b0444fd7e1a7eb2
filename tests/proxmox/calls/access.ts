/** Users, tokens, roles, the access control list, and who may do what. */
import { type Grant, normalizePath, Principal, PRIVILEGES, type Token, type User } from "../state/access.ts";
import { failure, parameterError } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";

type Answer = Record<string, unknown>;

const commented = (comment: string | undefined): Answer => comment === undefined ? {} : { comment };

function permissions({ world, user, values }: Call): Answer {
  const { access } = world;
  const userId = values.text("userid");
  if (userId !== undefined) user.need("/access", "Sys.Audit");
  const [id = "", token] = userId?.split("!") ?? [];
  const subject = userId === undefined ? user : new Principal(access, id, token);
  const asked = values.text("path");
  const paths = asked === undefined ? access.knownPaths() : [asked];
  const answers = paths.map((path) => {
    const privileges = normalizePath(path) === path ? subject.privileges(path) : new Map<string, boolean>();
    return [
      path,
      Object.fromEntries([...privileges].map(([name, isHandedOn]) => [name, isHandedOn ? 1 : 0])),
    ] as const;
  });
  return Object.fromEntries(
    answers.filter(([, held]) => asked !== undefined || Object.keys(held).length > 0),
  );
}

function userOf({ world, values }: Call): User {
  const id = values.need("userid");
  const user = world.access.users.get(id);
  if (user === undefined) throw failure(`no such user ('${id}')`);
  return user;
}

function describeToken(tokenid: string, { isSeparated, comment, expire }: Token): Answer {
  return { tokenid, privsep: isSeparated ? 1 : 0, expire, ...commented(comment) };
}

function listUsers({ world, user, values }: Call): Answer[] {
  const maySeeAll = user.mayAny("/access/groups", ["User.Modify", "Sys.Audit"]);
  return [...world.access.users].filter(([id]) => maySeeAll || id === user.userId).map(([userid, entry]) => ({
    userid,
    enable: entry.enable ? 1 : 0,
    expire: entry.expire,
    "realm-type": userid.endsWith("@pam") ? "pam" : "pve",
    ...commented(entry.comment),
    ...values.flag("full") && { tokens: [...entry.tokens].map(([id, token]) => describeToken(id, token)) },
  }));
}

function createUser({ world, values }: Call): null {
  const id = values.need("userid");
  if (world.access.users.has(id)) throw failure(`create user failed: user '${id}' already exists`);
  world.access.users.set(id, {
    enable: !values.has("enable") || values.flag("enable"),
    expire: values.number("expire") ?? 0,
    comment: values.text("comment"),
    groups: new Set(values.list("groups")),
    tokens: new Map(),
  });
  return null;
}

function removeUser(call: Call): null {
  const { access } = call.world;
  userOf(call);
  const id = call.values.need("userid");
  access.users.delete(id);
  access.grants = access.grants.filter(({ holder }) => holder !== id && !holder.startsWith(`${id}!`));
  return null;
}

function tokenOf(call: Call): Token {
  const id = call.values.need("tokenid");
  const token = userOf(call).tokens.get(id);
  if (token === undefined) throw failure(`no such token '${id}' for user '${call.values.need("userid")}'`);
  return token;
}

function readToken(call: Call): Answer {
  const { tokenid: _, ...rest } = describeToken(call.values.need("tokenid"), tokenOf(call));
  return rest;
}

function createToken(call: Call): Answer {
  const { world, values } = call;
  const { tokens } = userOf(call);
  const id = values.need("tokenid");
  if (tokens.has(id)) throw parameterError({ tokenid: "Token already exists." });
  const token: Token = {
    secret: world.newUuid(),
    isSeparated: !values.has("privsep") || values.flag("privsep"),
    comment: values.text("comment"),
    expire: values.number("expire") ?? 0,
  };
  tokens.set(id, token);
  const { tokenid: _, ...info } = describeToken(id, token);
  return { "full-tokenid": `${values.need("userid")}!${id}`, info, value: token.secret };
}

function removeToken(call: Call): null {
  const { access } = call.world;
  tokenOf(call);
  const [user, token] = [call.values.need("userid"), call.values.need("tokenid")];
  userOf(call).tokens.delete(token);
  access.grants = access.grants.filter(({ holder }) => holder !== `${user}!${token}`);
  return null;
}

function checkPrivileges(names: string[]): void {
  const unknown = names.find((name) => !PRIVILEGES.includes(name));
  if (unknown !== undefined) {
    throw parameterError({ privs: `invalid format - invalid privilege '${unknown}'\n` });
  }
}

function listRoles({ world }: Call): Answer[] {
  return [...world.access.roles].map(([roleid, privileges]) => ({
    roleid,
    privs: [...privileges].sort().join(","),
    special: roleid === "Administrator" || roleid === "NoAccess" ? 1 : 0,
  }));
}

function roleOf({ world, values }: Call): Set<string> {
  const id = values.need("roleid");
  const role = world.access.roles.get(id);
  if (role === undefined) throw failure(`role '${id}' does not exist`);
  return role;
}

function createRole({ world, values }: Call): null {
  const id = values.need("roleid");
  checkPrivileges(values.list("privs"));
  if (world.access.roles.has(id)) throw failure(`create role failed: role '${id}' already exists`);
  world.access.roles.set(id, new Set(values.list("privs")));
  return null;
}

function updateRole(call: Call): null {
  const { world, values } = call;
  const before = roleOf(call);
  checkPrivileges(values.list("privs"));
  const kept = values.flag("append") ? [...before] : [];
  world.access.roles.set(values.need("roleid"), new Set([...kept, ...values.list("privs")]));
  return null;
}

function listGrants({ world, user }: Call): Answer[] {
  const maySeeAll = user.may("/access", "Sys.Audit");
  return world.access.grants
    .filter(({ path }) => maySeeAll || user.may(path, "Permissions.Modify"))
    .map(({ path, kind, holder, role, propagate }) => {
      return { path, type: kind, ugid: holder, roleid: role, propagate: propagate ? 1 : 0 };
    });
}

function updateGrants({ world, values }: Call): null {
  const { access } = world;
  const path = normalizePath(values.need("path"));
  if (path === undefined) throw parameterError({ path: "invalid ACL path" });
  const holders: Array<[Grant["kind"], string]> = [
    ...values.list("users").map((id): [Grant["kind"], string] => ["user", id]),
    ...values.list("groups").map((id): [Grant["kind"], string] => ["group", id]),
    ...values.list("tokens").map((id): [Grant["kind"], string] => ["token", id]),
  ];
  for (const role of values.list("roles")) {
    if (!access.roles.has(role)) throw failure(`ACL update failed: role '${role}' does not exist`);
    for (const [kind, holder] of holders) {
      access.grants = access.grants.filter((grant) => {
        return grant.path !== path || grant.kind !== kind || grant.holder !== holder || grant.role !== role;
      });
      if (values.flag("delete")) continue;
      const propagate = !values.has("propagate") || values.flag("propagate");
      access.grants.push({ path, kind, holder, role, propagate });
    }
  }
  return null;
}

/** Calls about access. */
export const ACCESS: CallTable = {
  "GET /access/permissions": permissions,
  "GET /access/users": listUsers,
  "POST /access/users": createUser,
  "DELETE /access/users/{userid}": removeUser,
  "GET /access/users/{userid}/token": (call) =>
    [...userOf(call).tokens].map(([id, token]) => describeToken(id, token)),
  "GET /access/users/{userid}/token/{tokenid}": readToken,
  "POST /access/users/{userid}/token/{tokenid}": createToken,
  "DELETE /access/users/{userid}/token/{tokenid}": removeToken,
  "GET /access/roles": listRoles,
  "GET /access/roles/{roleid}": (call) => Object.fromEntries([...roleOf(call)].map((name) => [name, 1])),
  "POST /access/roles": createRole,
  "PUT /access/roles/{roleid}": updateRole,
  "DELETE /access/roles/{roleid}": (call) => {
    roleOf(call);
    call.world.access.roles.delete(call.values.need("roleid"));
    return null;
  },
  "GET /access/acl": listGrants,
  "PUT /access/acl": updateGrants,
};

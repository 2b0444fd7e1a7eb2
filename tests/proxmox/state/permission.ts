/** Evaluates who may call a method, as its schema says. */
import type { ApiMethod, Check } from "../schema/schema.ts";
import { textOf } from "../schema/check.ts";
import { permissionError } from "../wire/errors.ts";
import type { Principal } from "./access.ts";

type Parameters = ReadonlyMap<string, unknown>;

/** Throws the server's 403. Parameters are as they came: they are checked only after this. */
export function checkPermission(method: ApiMethod, user: Principal, parameters: Parameters): void {
  const { user: everybody, check } = method.permissions ?? {};
  if (everybody !== undefined) return;
  // Without a word about permissions a call is root's.
  if (check === undefined) {
    if (user.userId === "root@pam") return;
    throw permissionError("user != root@pam");
  }
  checkExpression(check, user, parameters);
}

function checkExpression(check: Check, user: Principal, parameters: Parameters): void {
  const [operator, ...rest] = check;
  const inner = rest.filter((part) => Array.isArray(part));
  switch (operator) {
    case "and":
      for (const part of inner) checkExpression(part, user, parameters);
      return;
    case "or":
      if (inner.some((part) => holds(part, user, parameters))) return;
      throw permissionError();
    case "perm":
      return checkPrivileges(rest, user, parameters);
    case "perm-modify":
      return user.needAny(filled(`${rest[0]}`, parameters), ["Permissions.Modify"]);
    case "userid-param":
      if (
        rest[0] === "self"
          ? parameters.get("userid") === user.userId
          : user.may("/access/realm/pve", `${rest[0]}`)
      ) {
        return;
      }
      throw permissionError();
    case "userid-group":
      return user.needAny("/access/groups", inner[0]?.map(String) ?? []);
    default:
      throw new Error(`The double does not know the permission check ${operator}`);
  }
}

function holds(check: Check, user: Principal, parameters: Parameters): boolean {
  try {
    checkExpression(check, user, parameters);
    return true;
  } catch {
    return false;
  }
}

function checkPrivileges(rest: Check, user: Principal, parameters: Parameters): void {
  const [template, names, ...options] = rest;
  const path = filled(`${template}`, parameters);
  const privileges = Array.isArray(names) ? names.map(String) : [];
  const required = options.indexOf("require_param");
  if (required >= 0 && !parameters.has(`${options[required + 1]}`)) throw permissionError();
  if (options[options.indexOf("any") + 1] === 1 && options.includes("any")) user.needAny(path, privileges);
  else user.need(path, ...privileges);
}

/** A path with the parameters' values in it. */
function filled(template: string, parameters: Parameters): string {
  return template.replace(/\{([\w-]+)\}/g, (_, name: string) => {
    return parameters.has(name) ? textOf(parameters.get(name)) : "";
  });
}

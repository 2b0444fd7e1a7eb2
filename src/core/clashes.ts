/** Which members of a permit cannot stand beside each other: names and numbers that two would share (DESIGN 4). */
import type { FieldError, PermitUpdate } from "./event.ts";
import {
  type Account,
  type Members,
  MEMBERS_MAX,
  membersIn,
  people,
  type Person,
  type Role,
  ROLES,
} from "./member.ts";

/**
 * Every clash among the members after an update, reported at the field that the update gave; `accounts` are those of
 * everyone ever named. Empty: none.
 */
export function memberClashes(
  members: Members,
  update: PermitUpdate,
  accounts: Record<string, Account>,
): FieldError[] {
  const claims = claimsOf(members, update);
  return [...tooMany(members), ...nameClashes(claims), ...accountClashes(claims, accounts)];
}

/** One person in one role, with the path a reason would name. */
interface Claim extends Person {
  role: Role;
  path: string;
  /** A data holder's id. */
  owner: string;
}

/** Everyone in every role; those that the update names come last, so that a clash is reported where it was sent. */
function claimsOf(members: Members, update: PermitUpdate): Claim[] {
  const field = (role: Role): "dataHolders" | "researchers" | Exclude<Role, "dataHolder" | "researcher"> =>
    role === "dataHolder" ? "dataHolders" : role === "researcher" ? "researchers" : role;
  const claims = ROLES.flatMap((role) => {
    const name = field(role);
    const named = members[name];
    const list: Person[] = Array.isArray(named) ? named : named === null ? [] : [named];
    const owners = membersIn(members, role);
    return list.map((person, index): Claim => ({
      ...person,
      role,
      owner: owners[index]?.owner ?? person.username,
      path: Array.isArray(named) ? `data.${name}[${index}]` : `data.${name}`,
    }));
  });
  const sent = (claim: Claim): boolean => update[field(claim.role)] !== undefined;
  return [...claims.filter((claim) => !sent(claim)), ...claims.filter(sent)];
}

function tooMany(members: Members): FieldError[] {
  const count = people(members).length;
  if (count <= MEMBERS_MAX) return [];
  return [{
    path: "data",
    message: `the permit would have ${count} people; at most ${MEMBERS_MAX} are accepted`,
  }];
}

/** Staff and researchers may be one person in several roles; a holder's outside account is nobody else's. */
function nameClashes(claims: Claim[]): FieldError[] {
  const errors: FieldError[] = [];
  const byName = new Map<string, Claim>();
  const byHolder = new Map<string, Claim>();
  const researchers = new Map<string, Claim>();
  for (const claim of claims) {
    const name = claim.username.toLowerCase();
    const path = `${claim.path}.username`;
    const other = byName.get(name);
    const twice = claim.role === "researcher" ? researchers.get(name) : undefined;
    if (other !== undefined && other.username !== claim.username) {
      errors.push({ path, message: `${claim.username} differs from ${other.username} only in case` });
    } else if (twice !== undefined) {
      errors.push({ path, message: `${claim.username} is named twice` });
    } else if (other !== undefined && (other.role === "dataHolder" || claim.role === "dataHolder")) {
      errors.push({
        path,
        message: `${claim.username} is already a ${other.role}; a data holder needs an account of its own`,
      });
    }
    byName.set(name, other ?? claim);
    if (claim.role === "researcher") researchers.set(name, claim);
    if (claim.role !== "dataHolder") continue;
    const holder = byHolder.get(claim.owner.toLowerCase());
    if (holder !== undefined) {
      errors.push({ path: `${claim.path}.id`, message: `${claim.owner} is named twice` });
    }
    byHolder.set(claim.owner.toLowerCase(), claim);
  }
  return errors;
}

/** A uid used twice in a permit is rejected (DESIGN 4); one person has one uid and gid in every role. */
function accountClashes(claims: Claim[], accounts: Record<string, Account>): FieldError[] {
  const errors: FieldError[] = [];
  const given = new Map<string, { uid?: number; gid?: number }>();
  const owners = new Map<number, string>();
  const renumbered = new Set(
    claims.filter((claim) => claim.uid !== undefined).map((claim) => claim.username),
  );
  for (const account of Object.values(accounts)) {
    if (!renumbered.has(account.username)) owners.set(account.uid, account.username);
  }
  for (const claim of claims) {
    const before = given.get(claim.username);
    for (const number of ["uid", "gid"] as const) {
      if (before?.[number] !== undefined && claim[number] !== undefined && before[number] !== claim[number]) {
        const message = `${claim.username} has ${number} ${before[number]} in another role`;
        errors.push({ path: `${claim.path}.${number}`, message });
      }
    }
    given.set(claim.username, { uid: before?.uid ?? claim.uid, gid: before?.gid ?? claim.gid });
    if (claim.uid === undefined) continue;
    const owner = owners.get(claim.uid);
    if (owner !== undefined && owner !== claim.username) {
      errors.push({
        path: `${claim.path}.uid`,
        message: `uid ${claim.uid} belongs to ${owner} in this permit`,
      });
    }
    owners.set(claim.uid, owner ?? claim.username);
  }
  return errors;
}

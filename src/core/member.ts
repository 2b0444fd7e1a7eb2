/** The people of a permit, as the Permit Manager names them (DESIGN 3, 4). */

/**
 * Data holders, researchers and staff of one permit at most: bounds the intake and the namespace's quota.
 * The largest federated studies name some dozens; 200 leaves room and keeps a plan within a second.
 */
export const MEMBERS_MAX = 200;

/** A person; who comes without a uid gets one leased per permit and person. */
export interface Person {
  username: string;
  uid?: number;
  gid?: number;
}

/** A hospital that uploads: `id` is the holder's, `username` its SFTP account. */
export interface DataHolder extends Person {
  id: string;
  /** Inbound SFTP only from these, e.g. "203.0.113.7/32". Empty: from nowhere. */
  allowedCidrs: string[];
  sshPublicKeys: string[];
}

/** Everyone named so far; a list given in an event replaces the whole list. */
export interface Members {
  dataHolders: DataHolder[];
  preprocessor: Person | null;
  reviewer: Person | null;
  setupReviewer: Person | null;
  researchers: Person[];
}

/** Whose a workspace or volume can be: the words of `for:` and `of:` in a phase file. */
export const ROLES = ["dataHolder", "preprocessor", "reviewer", "setupReviewer", "researcher"] as const;
/** One of {@link ROLES}. */
export type Role = typeof ROLES[number];

/** The account that a workspace runs as. */
export interface Account {
  username: string;
  uid: number;
  gid: number;
}

/** One member in one role. `owner` is what keys derive from: a holder's id, anyone else's username. */
export interface RoleMember {
  role: Role;
  owner: string;
  username: string;
  allowedCidrs: string[];
  sshPublicKeys: string[];
}

/** Nobody named yet. */
export const NO_MEMBERS: Members = {
  dataHolders: [],
  preprocessor: null,
  reviewer: null,
  setupReviewer: null,
  researchers: [],
};

/** The members in one role, in the order given; empty while nobody has been named. */
export function membersIn(members: Members, role: Role): RoleMember[] {
  const plain = (person: Person): RoleMember => ({
    role,
    owner: person.username,
    username: person.username,
    allowedCidrs: [],
    sshPublicKeys: [],
  });
  if (role === "researcher") return members.researchers.map(plain);
  if (role === "dataHolder") {
    return members.dataHolders.map((holder) => ({
      role,
      owner: holder.id,
      username: holder.username,
      allowedCidrs: holder.allowedCidrs,
      sshPublicKeys: holder.sshPublicKeys,
    }));
  }
  const person = members[role];
  return person === null ? [] : [plain(person)];
}

/** Each person once, holders included; one person may hold several staff roles. */
export function people(members: Members): Person[] {
  const staff = [members.preprocessor, members.reviewer, members.setupReviewer].filter((person) =>
    person !== null
  );
  const byName = new Map<string, Person>();
  for (const person of [...members.researchers, ...staff, ...members.dataHolders]) {
    const known = byName.get(person.username);
    byName.set(person.username, {
      username: person.username,
      uid: known?.uid ?? person.uid,
      gid: known?.gid ?? person.gid,
    });
  }
  return [...byName.values()];
}

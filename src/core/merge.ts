/** How an accepted event changes what a permit should be: pure folds over {@link Permit} (DESIGN 3, 4). */
import { memberClashes } from "./clashes.ts";
import { EVENT_TYPES, type FieldError, isEventType, type PermitEvent, type PermitUpdate } from "./event.ts";
import { type Account, type Members, people, type Person } from "./member.ts";
import { accountKey, type Permit } from "./permit.ts";
import type { PhaseSet } from "./phase.ts";

/** What a type does to a permit: `set` changes fields only, the others are flags on top of that. */
export type EventEffect = "set" | "open-ingress" | "stop" | "start" | "halt" | "resume" | "destroy";

/** Every type for which {@link effectOf} knows an effect: the built-in ones, then the site's own. */
export function knownTypes({ events }: Pick<PhaseSet, "events">): string[] {
  return [...new Set([...EVENT_TYPES, ...events.keys()])];
}

/**
 * What an event type means, or null when it is not ours (verdict `ignored`). The built-in types mean what
 * DESIGN 4 says whatever the files say; a site's own event file may add a type with one of the effects.
 */
export function effectOf(type: string, phases: PhaseSet): EventEffect | null {
  if (!isEventType(type)) return phases.events.get(type)?.effect ?? null;
  switch (type) {
    case "permit.status.updated":
      return "set";
    case "permit.ingress.initiated":
      return "open-ingress";
    case "permit.workspace.stop_requested":
      return "stop";
    case "permit.workspace.start_requested":
      return "start";
    case "permit.halted":
      return "halt";
    case "permit.resumed":
      return "resume";
    case "permit.deleted":
      return "destroy";
  }
}

/**
 * The members after an update: a field not given stays, a list given replaces the whole list (DESIGN 3). The
 * cross-checks see the merged whole, because a clash may be with somebody an earlier event named; `accounts`
 * holds also those no longer named, whose volumes and uids stay.
 */
export function mergeMembers(
  permit: Pick<Permit, "members" | "accounts">,
  update: PermitUpdate,
): { members: Members } | { errors: FieldError[] } {
  const members = replaceGiven(permit.members, update);
  const errors = memberClashes(members, update, permit.accounts);
  return errors.length === 0 ? { members } : { errors };
}

/**
 * The permit after an accepted event. Who is new and came without a uid has no account yet: the store leases one.
 * Halt and deletion take no fields, so that nothing in a message can stand in their way; a deleted permit takes none
 * at all.
 */
export function applyUpdate(permit: Permit, event: PermitEvent, phases: PhaseSet): Permit {
  const effect = effectOf(event.type, phases);
  const takesFields = effect !== "halt" && effect !== "destroy" && permit.deletion === "none";
  const fields = takesFields ? withFields(permit, event, phases) : permit;
  return {
    ...fields,
    accounts: settleAccounts(fields).accounts,
    ...flagsOf(fields, effect),
    lastRevision: laterRevision(permit.lastRevision, event.revision),
    lastTime: laterInstant(permit.lastTime, event.time),
    latest: { type: event.type, bodyHash: event.bodyHash },
    version: permit.version + 1,
  };
}

/**
 * Compares two instants in UTC as intake writes them, "YYYY-MM-DDThh:mm:ss.fff[ffffff]Z"; negative when `a` is
 * earlier. Text order is time order once the Z is gone; parsing would lose what is below a millisecond.
 */
export function compareInstants(a: string, b: string): number {
  const left = a.slice(0, -1), right = b.slice(0, -1);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The accounts of everyone named, as far as known: by the event's uid, or kept from before. Who is left needs a lease. */
export function settleAccounts(permit: Permit): { accounts: Record<string, Account>; unleased: Person[] } {
  const accounts = { ...permit.accounts };
  const unleased: Person[] = [];
  for (const person of people(permit.members)) {
    const key = accountKey(person.username);
    const known = accounts[key];
    const uid = person.uid ?? known?.uid;
    if (uid === undefined) unleased.push(person);
    else accounts[key] = { username: person.username, uid, gid: gidOf(person, uid, known) };
  }
  return { accounts, unleased };
}

function gidOf(person: Person, uid: number, known: Account | undefined): number {
  return person.gid ?? (known?.uid === uid ? known.gid : uid);
}

function replaceGiven(previous: Members, update: PermitUpdate): Members {
  return {
    dataHolders: update.dataHolders ?? previous.dataHolders,
    preprocessor: update.preprocessor ?? previous.preprocessor,
    reviewer: update.reviewer ?? previous.reviewer,
    setupReviewer: update.setupReviewer ?? previous.setupReviewer,
    researchers: update.researchers ?? previous.researchers,
  };
}

function withFields(permit: Permit, event: PermitEvent, phases: PhaseSet): Permit {
  const { update } = event;
  const status = update.status ?? permit.status;
  const changes = status !== permit.status;
  // A status that arrives closes an ingress opened earlier (DESIGN 4); one that a flag merely repeats does not.
  const arrives = update.status !== undefined && (changes || event.type === "permit.status.updated");
  const members = replaceGiven(permit.members, update);
  const expiresAt = update.expiresAt === undefined ? permit.expiresAt : update.expiresAt;
  const keeps = status !== null && phases.statuses.get(status)?.keepsIngress === true;
  return {
    ...permit,
    members,
    // fromEntries, not assignment: no id can be taken for "__proto__".
    holders: {
      ...permit.holders,
      ...Object.fromEntries(members.dataHolders.map(({ id, username }) => [id, username])),
    },
    status,
    tier: update.tier ?? permit.tier,
    expiresAt,
    expired: permit.expired && expiresAt === permit.expiresAt,
    ingressOpen: permit.ingressOpen && !(arrives && !keeps),
    stopRequested: permit.stopRequested && !changes,
  };
}

function flagsOf(permit: Permit, effect: EventEffect | null): Partial<Permit> {
  switch (effect) {
    case "open-ingress":
      return permit.ingressOpen ? {} : { ingressOpen: true, ingressBatch: permit.ingressBatch + 1 };
    case "stop":
      return { stopRequested: true };
    case "start":
      return { stopRequested: false };
    case "halt":
      return { halted: true };
    case "resume":
      return { halted: false };
    case "destroy":
      return permit.deletion === "none" ? { deletion: "requested" } : {};
    default:
      return {};
  }
}

function laterRevision(last: number | null, given: number | null): number | null {
  if (last === null || given === null) return given ?? last;
  return Math.max(last, given);
}

function laterInstant(last: string | null, given: string | null): string | null {
  if (last === null || given === null) return given ?? last;
  return compareInstants(last, given) >= 0 ? last : given;
}

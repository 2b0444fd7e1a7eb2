/** What a permit should be, as the accepted events say (DESIGN 2: level-based). */
import { type Account, type Members, NO_MEMBERS } from "./member.ts";

/** The last accepted event, against which duplicates without an id and order are judged. */
export interface LatestEvent {
  type: string;
  bodyHash: string;
}

/** A volume that this permit has had. Kept for ever, so that a lost volume is noticed, never replaced by an empty one. */
export interface VolumeRecord {
  /** See `volumeKey`. */
  key: string;
  /** Invariant 3: true once mounted read-write beside sensitive data; never back to false. */
  tainted: boolean;
  /** Seen bound at least once: absence from now on is loss, unless WPS destroyed it. */
  bound: boolean;
  /** Destroyed by WPS on purpose (consolidated uploads, deleted permit). */
  destroyed: boolean;
  /** The newest list of refused entries that somebody agreed to leave out of its copy; absent: none. */
  acceptedList?: string | null;
}

/** The desired side of everything: one row per permit. */
export interface Permit {
  permitId: string;
  /** The last status, or null while only flags have come. */
  status: string | null;
  members: Members;
  /** Accounts by {@link accountKey}; kept also for members no longer named, because volumes stay. */
  accounts: Record<string, Account>;
  /** Every data holder ever named: id → username, because uploads outlive their holder's mention. */
  holders: Record<string, string>;
  /** The group that all pods of the permit share; leased from accounts.uidRange. */
  fsGroup: number;
  /** Null: the site's default tier. */
  tier: string | null;
  /** ISO instant, or null: no end. */
  expiresAt: string | null;
  /** That this date has passed is on record: it stays so whatever the clock says, until another date (or none) comes. */
  expired: boolean;
  /** How many times an ingress was opened; uploads volumes carry it as generation. */
  ingressBatch: number;
  ingressOpen: boolean;
  stopRequested: boolean;
  halted: boolean;
  /** `requested` until nothing is left, then `done`. */
  deletion: "none" | "requested" | "done";
  lastRevision: number | null;
  lastTime: string | null;
  latest: LatestEvent | null;
  /** Number of accepted events: which wish a job was made for. */
  version: number;
}

/** A permit that no event has touched. `fsGroup` is 0 until leased. */
export function newPermit(permitId: string): Permit {
  return {
    permitId,
    status: null,
    members: NO_MEMBERS,
    accounts: {},
    holders: {},
    fsGroup: 0,
    tier: null,
    expiresAt: null,
    expired: false,
    ingressBatch: 0,
    ingressOpen: false,
    stopRequested: false,
    halted: false,
    deletion: "none",
    lastRevision: null,
    lastTime: null,
    latest: null,
    version: 0,
  };
}

/** Under which key `Permit.accounts` keeps somebody: one account per permit and username. */
export function accountKey(username: string): string {
  return username;
}

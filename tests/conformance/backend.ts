/** What a platform must offer to be judged by the driver suite: its Driver, and verbs from outside of WPS. */
import type { Clock } from "../../src/core/clock.ts";
import type { Driver } from "../../src/core/driver.ts";
import type { Account } from "../../src/core/member.ts";

/** Where a workspace may try to get to. The platform decides which address each one is. */
export type Target =
  /** A live address outside that no posture but `open` allows. */
  | "internet"
  /** The allow-listing proxy's address and port. */
  | "proxy"
  /** Port 53 of anything that would answer. */
  | "dns";

/** Who may try to get into a workspace's port. */
export type Source =
  /** The gateway, as the site's network settings select it. */
  | "gateway"
  /** Some other pod of the cluster. */
  | "stranger"
  /** An address within {@link Backend.holderCidr}. */
  | "holder";

/** An object that WPS does not own; `workspace` and `volume` bear the name that WPS would give to that key. */
export type ForeignSpec =
  | { kind: "scope" }
  | { kind: "workspace"; key: string }
  | { kind: "volume"; key: string }
  /** A claim of any other name within the permit's space. */
  | { kind: "claim"; name: string }
  /** Something that holds no data and of which WPS makes none (Kubernetes: a ConfigMap). */
  | { kind: "settings"; name: string };

/** An object that gets a finalizer which nothing ever removes. */
export type StuckSpec =
  | { kind: "pod"; name: string }
  /** The claim of a volume. */
  | { kind: "volume"; key: string }
  /** The backing of a volume (PersistentVolume). */
  | { kind: "backing"; key: string };

/** Which object somebody else writes to without harm (a label), so that its version moves. */
export type TouchSpec =
  | { kind: "compute"; key: string }
  | { kind: "network"; key: string };

/** Owner and mode of a file; mode as in 0o640. */
export interface FileOwner {
  uid: number;
  gid: number;
  mode: number;
}

/** A file on a volume. */
export interface SeenFile extends FileOwner {
  text: string;
}

/** A TCP connection that a workspace holds open. */
export interface OpenConnection {
  /** Whether bytes still pass at this moment. */
  alive(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * What an operator, an intruder or the world does to the cluster, not through WPS. Volumes are named by key,
 * pods by the name that the driver reported. Each resolves when the platform has acknowledged it.
 */
export interface Outside {
  /** Graceful deletion, as `kubectl delete pod` does. */
  deletePod(permitId: string, name: string): Promise<void>;
  /** As `kubectl delete pvc --wait=false`. */
  deleteClaim(permitId: string, volumeKey: string): Promise<void>;
  /** Takes the backing away from under a bound claim: the data is lost. */
  loseBacking(permitId: string, volumeKey: string): Promise<void>;
  /** A policy without our mark that selects every pod of the permit and allows all egress. */
  addForeignPolicy(permitId: string, name: string): Promise<void>;
  removeForeignPolicy(permitId: string, name: string): Promise<void>;
  addForeign(permitId: string, object: ForeignSpec): Promise<void>;
  /** Whether that object still stands exactly as `addForeign` made it. */
  foreignIntact(permitId: string, object: ForeignSpec): Promise<boolean>;
  removeForeign(permitId: string, object: ForeignSpec): Promise<void>;
  /** Changes the default-deny so that it no longer denies everything. */
  weakenDefaultDeny(permitId: string): Promise<void>;
  /** Takes the default-deny away. */
  removeDefaultDeny(permitId: string): Promise<void>;
  touch(permitId: string, object: TouchSpec): Promise<void>;
  /** Asks for so many pods of a workspace, at most two, as `kubectl scale` does. */
  scale(permitId: string, workspaceKey: string, replicas: number): Promise<void>;
  stick(permitId: string, object: StuckSpec): Promise<void>;
  unstick(permitId: string, object: StuckSpec): Promise<void>;
  /** Writes into the volume as `owner` (folders as needed, 0777); the volume must be bound. */
  writeFile(permitId: string, volumeKey: string, path: string, text: string, owner: FileOwner): Promise<void>;
  /** Puts a symbolic link on a bound volume. */
  writeLink(permitId: string, volumeKey: string, path: string, target: string): Promise<void>;
  readFile(permitId: string, volumeKey: string, path: string): Promise<SeenFile | null>;
  /** All file paths of a volume, sorted; null: no such data is left. */
  listFiles(permitId: string, volumeKey: string): Promise<string[] | null>;
  /** From inside the workspace's container: whether a new file at that absolute path could be written. */
  tryWrite(permitId: string, workspaceKey: string, path: string): Promise<boolean>;
  /** From inside: a file's text; null: it cannot be read. */
  tryRead(permitId: string, workspaceKey: string, path: string): Promise<string | null>;
  /** From inside: the account as `whoami` and `id` tell it. */
  whoami(permitId: string, workspaceKey: string): Promise<Account>;
  /** By packets from inside the workspace. */
  canReach(permitId: string, workspaceKey: string, target: Target): Promise<boolean>;
  /** By packets to the workspace's protocol port. */
  reachableFrom(permitId: string, workspaceKey: string, source: Source): Promise<boolean>;
  /** A connection to a target that stays open. */
  openConnection?(permitId: string, workspaceKey: string, target: Target): Promise<OpenConnection>;
  /** Cuts off the node that a pod runs on, and brings it back. */
  loseNode?(permitId: string, podName: string): Promise<void>;
  restoreNode?(permitId: string, podName: string): Promise<void>;
}

/**
 * What not every platform can offer; cases that need it are left out, by name, where it is absent. `files`: what lies on
 * volumes, written and read from outside of every pod. `holder`: packets from within {@link Backend.holderCidr}.
 */
export type OptionalVerb = "openConnection" | "loseNode" | "files" | "holder";

/** One platform under test. */
export interface Backend {
  driver: Driver;
  outside: Outside;
  /** The clock by which waits are measured: the machine's, or the lab's. */
  clock: Clock;
  /** Distance between two looks of a wait. */
  pollMs: number;
  /** How long a wait may last before the case fails. */
  limitMs: number;
  /** From where packets can be sent here; absent: from every {@link Source}. */
  sources?: readonly Source[];
  /** An address range, e.g. "203.0.113.7/32", in which {@link Source} `holder` lives. */
  holderCidr: string;
  /** A permit id that no other case and no earlier run used; `label` is part of it, exactly. */
  permitId(label: string): string;
  /** Removes whatever the permits of {@link Backend.permitId} left, stuck objects and foreign ones included. */
  close(): Promise<void>;
}

/**
 * The workspace kinds that the suite starts. The platform's image for `broken` cannot be had (its name leads to
 * no registry); the other images run a server on the protocol's port until stopped.
 */
export const SUITE_KINDS = ["research", "preprocessing", "airlock", "broken"] as const;

/** What DESIGN 4 says should exist, as a table: the judge compares it with what the API server and the pods say. */
import { HOLDERS, RESEARCHERS } from "./site.ts";

/** Network postures of the built-in phases. */
export type ExpectedPosture = "isolated" | "proxied" | "inbound-allowlist";

/** A workspace that should exist. */
export interface ExpectedWorkspace {
  kind: string;
  username: string;
  /** Numbers that the permit manager gave; absent: from the site's range. */
  account?: { uid: number; gid: number };
  power: "running" | "stopped";
  posture: ExpectedPosture;
  port: number;
  /** Path by mode, home and data alike. */
  mounts: Record<string, "ro" | "rw">;
  /** Airlock: whose. */
  holder?: string;
}

/** What should exist of a permit, and nothing else of these kinds. */
export interface Expected {
  workspaces: ExpectedWorkspace[];
  /** Volume keys by whether the claim carries the taint; absent: not looked at. */
  volumes?: Record<string, "tainted" | "clean">;
}

const RDP = 3389, SFTP = 2222;

function desk(
  kind: string,
  username: string,
  mounts: ExpectedWorkspace["mounts"],
  given: Partial<ExpectedWorkspace> = {},
): ExpectedWorkspace {
  return { kind, username, power: "running", posture: "isolated", port: RDP, mounts, ...given };
}

/** One airlock per holder. */
export function airlocks(holders = HOLDERS): ExpectedWorkspace[] {
  return holders.map(({ id, username }) =>
    desk("airlock", username, { [`/uploads/${id}`]: "rw" }, {
      posture: "inbound-allowlist",
      port: SFTP,
      holder: id,
    })
  );
}

/** The preprocessor's workspace. */
export function preprocessing(power: "running" | "stopped" = "running"): ExpectedWorkspace {
  return desk(
    "preprocessing",
    "m.keller",
    { "/data/raw": "ro", "/data/prepared": "rw", "/home/m.keller": "rw" },
    { power },
  );
}

/** The reviewer's workspace. */
export function preparationReview(): ExpectedWorkspace {
  return desk("preparation-review", "a.rossi", { "/data/prepared": "ro", "/home/a.rossi": "rw" });
}

/** The setup reviewer's workspace. */
export function setupReview(researchers = RESEARCHERS): ExpectedWorkspace {
  const homes = researchers.map(({ username }): [string, "ro"] => [`/review/${username}`, "ro"]);
  return desk("setup-review", "a.rossi", {
    ...Object.fromEntries(homes),
    "/project": "ro",
    "/home/a.rossi": "rw",
  });
}

/** The researchers' workspaces while they are set up. */
export function researchSetup(
  power: "running" | "stopped" = "running",
  researchers = RESEARCHERS,
): ExpectedWorkspace[] {
  return researchers.map(({ username, uid, gid }) =>
    desk("research", username, { "/project": "rw", [`/home/${username}`]: "rw" }, {
      account: { uid, gid },
      posture: "proxied",
      power,
    })
  );
}

/** The researchers' workspaces beside the data. */
export function researchAnalysis(
  power: "running" | "stopped" = "running",
  researchers = RESEARCHERS,
): ExpectedWorkspace[] {
  return researchers.map(({ username, uid, gid }) =>
    desk("research", username, {
      "/data/prepared": "ro",
      "/data/outputs": "rw",
      "/project": "rw",
      [`/home/${username}`]: "rw",
    }, { account: { uid, gid }, power })
  );
}

/** A permit with two holders, two researchers and staff, on the built-in phases. */
import assert from "node:assert/strict";
import { disk } from "../../src/config/disk.ts";
import type { Members } from "../../src/core/member.ts";
import { newPermit, type Permit, type VolumeRecord } from "../../src/core/permit.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import { plan } from "../../src/core/plan.ts";
import type { Site } from "../../src/core/site.ts";
import type { Plan } from "../../src/core/step.ts";
import { BUILT_IN_PHASES, loadPhases } from "../../src/phases/load.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { type PaperPlatform, paperPlatform } from "./paper_platform.ts";

/** The built-in phases. */
export async function builtInPhases(): Promise<PhaseSet> {
  const loaded = await loadPhases({ builtInDirectory: BUILT_IN_PHASES, siteDirectory: null, files: disk });
  assert.ok(loaded.phases !== null, JSON.stringify(loaded.problems));
  return loaded.phases;
}

/** Waits of an hour each; no tiers but one. */
export const SITE: Site = {
  tiers: { standard: { cpu: "1", memory: "1Gi", sizes: {} } },
  defaultTier: "standard",
  waits: {
    cutMs: 3.6e6,
    goneMs: 3.6e6,
    readyMs: 3.6e6,
    canariesMs: 3.6e6,
    consolidatedMs: 3.6e6,
    volumeMs: 3.6e6,
    membersMs: 3.6e6,
  },
};

/** Everybody a permit may name. */
export const MEMBERS: Members = {
  dataHolders: ["hospital-a", "hospital-b"].map((id) => ({
    id,
    username: `${id}-sftp`,
    allowedCidrs: ["203.0.113.7/32"],
    sshPublicKeys: [],
  })),
  preprocessor: { username: "m.keller" },
  reviewer: { username: "a.rossi" },
  setupReviewer: { username: "a.rossi" },
  researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }, {
    username: "l.maes",
    uid: 21002,
    gid: 21002,
  }],
};

/** That permit; `given` replaces fields. */
export function permitOf(given: Partial<Permit>): Permit {
  const usernames = ["hospital-a-sftp", "hospital-b-sftp", "m.keller", "a.rossi", "j.virtanen", "l.maes"];
  const accounts = Object.fromEntries(
    usernames.map((username, i) => [username, { username, uid: 30001 + i, gid: 30001 + i }]),
  );
  const holders = Object.fromEntries(MEMBERS.dataHolders.map(({ id, username }) => [id, username]));
  return { ...newPermit("permit-001"), members: MEMBERS, accounts, holders, fsGroup: 30000, ...given };
}

/** Every wish that a permit can be in, as the accepted events would leave it, by name. */
export function wishesOf(phases: PhaseSet): [string, Partial<Permit>][] {
  return [
    ["nothing yet", {}],
    ["ingress", { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }],
    ...[...phases.statuses.keys()].map((
      status,
    ): [string, Partial<Permit>] => [status, { status, ingressBatch: 1 }]),
    ["ANALYSIS_ACTIVE, stopped", { status: "ANALYSIS_ACTIVE", stopRequested: true, ingressBatch: 1 }],
    ["a second ingress", { status: "DATA_PREPARATION_PENDING", ingressOpen: true, ingressBatch: 2 }],
    ["halted", { status: "ANALYSIS_ACTIVE", halted: true, ingressBatch: 1 }],
    ["deleted while halted", { status: "ANALYSIS_ACTIVE", halted: true, deletion: "requested" }],
    ["deleted", { status: "ANALYSIS_ACTIVE", deletion: "requested" }],
  ];
}

/** A permit's way over a paper platform: what the runner does, without time and store. */
export interface Journey {
  platform: PaperPlatform;
  /** Kept as the store keeps them. */
  records: Map<string, VolumeRecord>;
  planFor(permit: Permit): Plan;
  /**
   * Plans and applies until nothing differs; returns the ids of all steps applied. `stopAfter` crashes after so many
   * actions; `heed` is told each plan and what was applied of it.
   */
  reach(permit: Permit, stopAfter?: number, heed?: Heed): string[];
}

/** Who is told of a journey as it goes. */
export interface Heed {
  planned(steps: Plan["steps"]): void;
  applied(ids: string[]): void;
}

/** Plans until a fixed point take below 20 rounds; more is a loop. */
const ROUNDS = 60;

/** An empty platform with nothing recorded. */
export function journey(phases: PhaseSet): Journey {
  const platform = paperPlatform("permit-001", phases);
  const records = new Map<string, VolumeRecord>();
  const planFor = (permit: Permit): Plan =>
    plan({
      permit,
      records: [...records.values()],
      proven: platform.state.proven,
      observed: platform.observe(),
      phases,
      site: SITE,
      nowMs: 0,
    });
  const note = (key: string, change: Partial<VolumeRecord>): void => {
    const known = records.get(key) ?? { key, tainted: false, bound: false, destroyed: false };
    records.set(key, { ...known, ...change, tainted: known.tainted || change.tainted === true });
  };
  return {
    platform,
    records,
    planFor,
    reach(permit: Permit, stopAfter = Infinity, heed?: Heed): string[] {
      const applied: string[] = [];
      platform.state.deleted = permit.deletion !== "none";
      for (let round = 0; round < ROUNDS; round++) {
        for (const volume of platform.observe().volumes) {
          if (volume.state === "bound") note(volume.key, { bound: true });
        }
        const made = planFor(permit);
        heed?.planned(made.steps);
        if (made.steps.length === 0) return applied;
        const stretch = nextStretch(made.steps);
        for (const { action, id } of stretch.waves.flat()) {
          if (applied.length >= stopAfter) return applied;
          if (action.kind === "taint-volume") note(action.volume.key, { tainted: true });
          if (action.kind === "ensure-volume" && action.volume.sensitive) {
            note(action.volume.key, {
              tainted: phases.volumes.get(action.volume.id.volume)?.sensitive === "when-tainted",
            });
          }
          if (action.kind === "destroy-volume") note(action.volume.key, { destroyed: true });
          platform.apply(action);
          applied.push(id);
          heed?.applied([id]);
        }
        platform.tick();
      }
      assert.fail(`no fixed point for ${permit.status}: ${applied.slice(-20).join(", ")}`);
    },
  };
}

/**
 * Small mutations of the real code's decisions, each a mistake that somebody could make. A run plays the sources with
 * one of them written in; the simulation must find it. A mutation whose text no longer stands in its file is an error.
 */

/** One bug. */
export interface Planted {
  /** Short, for reports and --planted. */
  name: string;
  file: string;
  /** Stands exactly once in the file. */
  find: string;
  replace: string;
}

/** All of them. What protects twice (planner and runner's guard) is not planted: either one alone is no bug yet. */
export const PLANTED: readonly Planted[] = [
  {
    name: "a network opened for a pod that went is kept",
    file: "src/core/plan_taking.ts",
    find: "if (live !== null && workspace.network.openedFor === live.uid) {",
    replace: "if (live !== null) {",
  },
  {
    name: "a stop leaves what the phase no longer names",
    file: "src/core/plan_taking.ts",
    find:
      'if (wanted === undefined) return { text: "the phase does not name it", stop: true };\n  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };\n  const difference',
    replace:
      'if (wanted === undefined) return null;\n  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };\n  const difference',
  },
  {
    name: "taint forgotten on the volume",
    file: "src/core/plan_data.ts",
    find: "return desired.newlyTainted.has(volume.key) ||",
    replace: "return desired.newlyTainted.has(`not ${volume.key}`) &&",
  },
  {
    name: "taint does not spread",
    file: "src/core/taint.ts",
    find: 'if (mount.mode !== "ro" && !counts(mount.volumeKey)) tainted.add(mount.volumeKey);',
    replace: 'if (mount.mode === "wo" && !counts(mount.volumeKey)) tainted.add(mount.volumeKey);',
  },
  {
    name: "no fresh generation after analysis",
    file: "src/core/desired.ts",
    find: "generation: fresh ? newest + 1 : newest }",
    replace: "generation: newest }",
  },
  {
    name: "analysis mounts the first generation, not the newest",
    file: "src/core/desired.ts",
    find: "const newest = Math.max(1,",
    replace: "const newest = Math.min(1,",
  },
  {
    name: "the gate forgotten",
    file: "src/core/isolation.ts",
    find: "  return sensitive;",
    replace: "  return sensitive && false;",
  },
  {
    name: "one live canary is enough",
    file: "src/core/isolation.ts",
    find: "export const CANARIES_ALIVE_MIN = 2;",
    replace: "export const CANARIES_ALIVE_MIN = 0;",
  },
  {
    name: "the canaries are not asked after the gate",
    file: "src/core/isolation.ts",
    find: "&& answer.after.includes(instanceUid);",
    replace: ";",
  },
  {
    name: "opened although not proven",
    file: "src/core/plan_reach.ts",
    find: "sure.filter(({ workspace }) => isGated(workspace)).map(",
    replace: "sure.filter(() => false).map(",
  },
  {
    name: "a released volume is replaced by an empty one",
    file: "src/core/plan_volume_steps.ts",
    find: 'const released = existing?.state === "released";',
    replace: 'const released = existing?.state === "lost";',
  },
  {
    name: "a volume is never retained",
    file: "src/core/plan.ts",
    find: '...volumes.filter(({ state, retained }) => state === "bound" && !retained).map(retainStep),',
    replace: '...volumes.filter(({ state, retained }) => state === "lost" && !retained).map(retainStep),',
  },
  {
    name: "a halt is overlooked",
    file: "src/core/desired.ts",
    find: 'if (permit.halted) return { mode: "hold", why: "the permit is halted" };',
    replace: "",
  },
  {
    name: "a halted permit's volumes are destroyed",
    file: "src/core/desired.ts",
    find: "volumes: !permit.halted }",
    replace: "volumes: true }",
  },
  {
    name: "guards that somebody removed are not mended",
    file: "src/core/plan.ts",
    find: 'const heal = scope.state === "incomplete"',
    replace: 'const heal = scope.state === "terminating"',
  },
  {
    name: "an ingress is not closed by the next status",
    file: "src/core/merge.ts",
    find: "ingressOpen: permit.ingressOpen && !(arrives && !keeps),",
    replace: "ingressOpen: permit.ingressOpen,",
  },
  {
    name: "a stop outlives its phase",
    file: "src/core/merge.ts",
    find: "stopRequested: permit.stopRequested && !changes,",
    replace: "stopRequested: permit.stopRequested,",
  },
  {
    name: "who is no longer named keeps access",
    file: "src/core/merge.ts",
    find: "researchers: update.researchers ?? previous.researchers,",
    replace:
      "researchers: [...new Map([...previous.researchers, ...(update.researchers ?? [])].map((one) => [one.username, one])).values()],",
  },
  {
    name: "acknowledged before it is recorded",
    file: "src/intake/consumer.ts",
    find: "      const group = await this.#record(messages, deliveries, inbox);",
    replace:
      "      for (const { tag } of messages) session.ack(tag, false);\n      const group = await this.#record(messages, deliveries, inbox);",
  },
  {
    name: "a claim is not fenced",
    file: "src/store/job_transitions.ts",
    find: "const FENCED = \"id = ? and fence = ? and state = 'running'\";",
    replace: "const FENCED = \"id = ? and ? is not null and state = 'running'\";",
  },
  {
    name: "what a crash left running is never taken up again",
    file: "src/runner/runner.ts",
    find: "const ids = await requeueOrphans(tx, { bootEpoch, nowMs: clock.now() });",
    replace: "const ids: number[] = tx === null ? await requeueOrphans(tx, { bootEpoch, nowMs: 0 }) : [];",
  },
  {
    name: "two jobs of one permit at a time",
    file: "src/store/job_claims.ts",
    find:
      "and candidate.priority <= ?3\n         and not exists (\n           select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running'\n         )",
    replace: "and candidate.priority <= ?3",
  },
  {
    name: "no audit row of an intention",
    file: "src/runner/step_rows.ts",
    find: 'await appendAudit(tx, steps.map((step) => entry(deps, job, step, "intended", null)));',
    replace: "",
  },
  {
    name: "no audit row of an outcome",
    file: "src/runner/step_rows.ts",
    find: '      entry(deps, job, step, fault === null ? "done" : "failed", fault?.message ?? null)',
    replace: '      entry(deps, job, step, "intended", fault?.message ?? null)',
  },
  {
    name: "drift is not repaired",
    file: "src/runner/drift_look.ts",
    find: "return made.steps.length > 0 || made.obstacles.length > 0;",
    replace: "return made.obstacles.length > 0;",
  },
  {
    name: "an open network is not cut",
    file: "src/core/plan_taking.ts",
    find: 'network.state === "open" || (network.state === "breached" && power === "running")',
    replace: 'network.state === "breached" && power === "running"',
  },
  {
    name: "a proof is not kept",
    file: "src/runner/step_rows.ts",
    find: 'if (step.action.kind !== "prove-isolation" || result?.evidence === undefined) continue;',
    replace:
      'if (step.action.kind !== "consolidate" || result?.evidence === undefined) continue;\n    if (step.action.kind === "consolidate") continue;',
  },
  {
    name: "a claim whose answer was lost is nobody's",
    file: "src/store/job_claims.ts",
    find:
      'const isStray = "orphaned.boot_epoch = ?2 and orphaned.id not in (select value from json_each(?3))";',
    replace:
      'const isStray = "orphaned.boot_epoch = ?2 and orphaned.id in (select value from json_each(?3)) and false";',
  },
  {
    name: "late objects of a deleted permit stay",
    file: "src/runner/drift_look.ts",
    find: 'if (permit.deletion !== "done" || await openJob(tx, permitId) !== null) return "open";',
    replace: 'if (permit.deletion === "done" || await openJob(tx, permitId) !== null) return "open";',
  },
  {
    name: "a failed job of a permit that is right stays failed",
    file: "src/runner/drift_look.ts",
    find: 'return before?.state === "failed" ? await queueRepair',
    replace: 'return before?.state === "running" ? await queueRepair',
  },
  {
    name: "a consolidation that no phase names is left",
    file: "src/core/plan_data.ts",
    find: 'return isWanted ? [] : [removeTaskStep(task, "the phase does not name it")];',
    replace: 'return isWanted ? [removeTaskStep(task, "the phase does not name it")].slice(1) : [];',
  },
  {
    name: "a consolidation without a gate",
    file: "src/core/plan_data.ts",
    find: "const isFresh = areCanariesFresh(observed);",
    replace: "const isFresh = true;",
  },
  {
    name: "the pod that came after is let in by its predecessor's rules",
    file: "src/core/plan_reach.ts",
    find: 'const opening = settled.filter(({ network }) => network.state !== "open");',
    replace: 'const opening = settled.filter(({ network }) => network.state === "breached");',
  },
  {
    name: "a workspace that is off is not started again",
    file: "src/core/plan_give.ts",
    find: 'return existing.power !== "running" || existing.specHash !== specHash(workspace);',
    replace: "return existing.specHash !== specHash(workspace);",
  },
  {
    name: "the expiry is overlooked",
    file: "src/core/desired.ts",
    find: '    return { mode: "hold", why: `the permit expired at ${permit.expiresAt}` };',
    replace: "",
  },
];

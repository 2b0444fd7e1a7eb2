/**
 * Small mutations of the real code's decisions, each a mistake that somebody could make. A run plays the sources with
 * one of them written in; the simulation must find it. A mutation whose text no longer stands in its file is an error.
 */

/** One change of a file. */
export interface Edit {
  file: string;
  /** Stands exactly once in the file. */
  find: string;
  replace: string;
}

/** One bug. */
export interface Planted extends Edit {
  /** Short, for reports and --planted: what is planted, in words. */
  name: string;
  /** The failure by which it is to be found: others do not count. */
  expects: RegExp;
  /** Where one decision stands in two places, or one would hide the other. */
  also?: readonly Edit[];
}

/** A permit that does not get to where its events say, or does not stay there. */
const WRONG_END = /^(never came|did not stay) right/;
/** Something of what is promised does not hold; a service or a simulation that breaks off is another matter. */
const NOT_KEPT = /^(invariant \d|no halt|not cut|never came right|did not stay right)/;

/** All of them. What protects twice (planner and runner's guard) is not planted: either one alone is no bug yet. */
export const PLANTED: readonly Planted[] = [
  {
    name: "a network opened for a pod that went is kept",
    expects: NOT_KEPT,
    file: "src/core/plan_taking.ts",
    find: "if (live !== null && workspace.network.openedFor === live.uid) {",
    replace: "if (live !== null) {",
  },
  {
    name: "a stop leaves what the phase no longer names",
    expects: NOT_KEPT,
    file: "src/core/plan_taking.ts",
    find:
      'if (wanted === undefined) return { text: "the phase does not name it", stop: true };\n  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };\n  const difference',
    replace:
      'if (wanted === undefined) return null;\n  if (wanted.power === "stopped") return { text: "the phase wants it stopped", stop: true };\n  const difference',
  },
  {
    name: "taint forgotten on the volume",
    expects: /^never came right: .* is not marked \(invariant 3\)/,
    file: "src/core/plan_data.ts",
    find: "return desired.newlyTainted.has(volume.key) ||",
    replace: "return desired.newlyTainted.has(`not ${volume.key}`) &&",
  },
  {
    name: "taint does not spread",
    expects: NOT_KEPT,
    file: "src/core/taint.ts",
    find: 'if (mount.mode !== "ro" && !counts(mount.volumeKey)) tainted.add(mount.volumeKey);',
    replace: 'if (mount.mode === "wo" && !counts(mount.volumeKey)) tainted.add(mount.volumeKey);',
  },
  {
    name: "no fresh generation after analysis",
    expects: NOT_KEPT,
    file: "src/core/desired.ts",
    find: "generation: fresh ? newest + 1 : newest }",
    replace: "generation: newest }",
  },
  {
    name: "analysis mounts the first generation, not the newest",
    expects: NOT_KEPT,
    file: "src/core/desired.ts",
    find: "const newest = Math.max(1,",
    replace: "const newest = Math.min(1,",
  },
  {
    name: "the gate forgotten",
    expects: /^invariant 6/,
    file: "src/core/isolation.ts",
    find: "  return sensitive;",
    replace: "  return sensitive && false;",
  },
  {
    name: "one live canary is enough",
    expects: /without two canaries/,
    file: "src/core/isolation.ts",
    find: "export const CANARIES_ALIVE_MIN = 2;",
    replace: "export const CANARIES_ALIVE_MIN = 1;",
  },
  {
    name: "the canaries are not asked after the gate",
    expects: NOT_KEPT,
    file: "src/core/isolation.ts",
    find: "&& answer.after.includes(instanceUid);",
    replace: ";",
  },
  {
    name: "opened although not proven",
    expects: NOT_KEPT,
    file: "src/core/plan_reach.ts",
    find: "sure.filter(({ workspace }) => isGated(workspace)).map(",
    replace: "sure.filter(() => false).map(",
  },
  {
    name: "a released volume is made anew, not bound again",
    expects: WRONG_END,
    file: "src/core/plan_volume_steps.ts",
    find: 'const kind = released ? "rebind-volume" : "ensure-volume";',
    replace: 'const kind = "ensure-volume";',
    also: [{
      file: "src/core/plan_volume_steps.ts",
      find: "action: { kind, volume, seen: existing?.seen ?? null },",
      replace: "action: { kind, volume, seen: released ? null : existing?.seen ?? null },",
    }],
  },
  {
    name: "a volume is never retained",
    expects: NOT_KEPT,
    file: "src/core/plan.ts",
    find: '...volumes.filter(({ state, retained }) => state === "bound" && !retained).map(retainStep),',
    replace: '...volumes.filter(({ state, retained }) => state === "lost" && !retained).map(retainStep),',
  },
  {
    name: "a halt is overlooked",
    expects: /^not cut|is halted or expired/,
    file: "src/core/desired.ts",
    find: 'if (permit.halted) return { mode: "hold", why: "the permit is halted" };',
    replace: "",
  },
  {
    name: "a halted permit's volumes are destroyed",
    expects: /is lost|^invariant 4/,
    file: "src/core/desired.ts",
    find: "volumes: !permit.halted }",
    replace: "volumes: true }",
  },
  {
    name: "guards that somebody removed are not mended",
    expects: WRONG_END,
    file: "src/core/plan.ts",
    find: 'const heal = scope.state === "incomplete"',
    replace: 'const heal = scope.state === "incomplete" && scope.name === ""',
  },
  {
    name: "an ingress is not closed by the next status",
    expects: WRONG_END,
    file: "src/core/merge.ts",
    find: "ingressOpen: permit.ingressOpen && !(arrives && !keeps),",
    replace: "ingressOpen: permit.ingressOpen,",
  },
  {
    name: "a stop outlives its phase",
    expects: WRONG_END,
    file: "src/core/merge.ts",
    find: "stopRequested: permit.stopRequested && !changes,",
    replace: "stopRequested: permit.stopRequested,",
  },
  {
    name: "who is no longer named keeps access",
    expects: WRONG_END,
    file: "src/core/merge.ts",
    find: "researchers: update.researchers ?? previous.researchers,",
    replace:
      "researchers: [...new Map([...previous.researchers, ...(update.researchers ?? [])].map((one) => [one.username, one])).values()],",
  },
  {
    name: "acknowledged before it is recorded",
    expects: /is not in the inbox/,
    file: "src/intake/consumer.ts",
    find: "      const group = await this.#record(messages, deliveries, inbox);",
    replace:
      "      for (const { tag } of messages) session.ack(tag, false);\n      const group = await this.#record(messages, deliveries, inbox);",
  },
  {
    name: "a claim is not fenced",
    expects: NOT_KEPT,
    file: "src/store/job_transitions.ts",
    find: "const FENCED = \"id = ? and fence = ? and state = 'running'\";",
    replace: "const FENCED = \"id = ? and ? is not null and state = 'running'\";",
  },
  {
    name: "what a crash left running is never taken up again",
    expects: NOT_KEPT,
    file: "src/runner/runner.ts",
    find: "const ids = await requeueOrphans(tx, { bootEpoch, nowMs: clock.now() });",
    replace: "const ids: number[] = tx === null ? await requeueOrphans(tx, { bootEpoch, nowMs: 0 }) : [];",
  },
  {
    name: "two jobs of one permit at a time",
    expects: NOT_KEPT,
    file: "src/store/job_claims.ts",
    find:
      "and candidate.priority <= ?3\n         and not exists (\n           select 1 from jobs as other where other.permit_id = candidate.permit_id and other.state = 'running'\n         )",
    replace: "and candidate.priority <= ?3",
    also: [{
      file: "migrations/0001_initial.sql",
      find: "create unique index jobs_one_running on jobs",
      replace: "create index jobs_one_running on jobs",
    }],
  },
  {
    name: "no audit row of an intention",
    expects: /^invariant 6: no row/,
    file: "src/runner/step_rows.ts",
    find: 'await appendAudit(tx, steps.map((step) => entry(deps, job, step, "intended", null)));',
    replace: "",
  },
  {
    name: "no audit row of an outcome",
    expects: /without an audit row of its outcome/,
    file: "src/runner/step_rows.ts",
    find: '      entry(deps, job, step, fault === null ? "done" : "failed", fault?.message ?? null)',
    replace: '      entry(deps, job, step, "intended", fault?.message ?? null)',
  },
  {
    name: "drift is not repaired",
    expects: WRONG_END,
    file: "src/runner/drift_look.ts",
    find: "return made.steps.length > 0 || made.obstacles.length > 0;",
    replace: "return made.obstacles.length > 0;",
  },
  {
    name: "an open network is not cut",
    expects: NOT_KEPT,
    file: "src/core/plan_taking.ts",
    find: 'network.state === "open" || (network.state === "breached" && power === "running")',
    replace: 'network.state === "breached" && power === "running"',
  },
  {
    name: "a proof is not kept",
    expects: NOT_KEPT,
    file: "src/runner/step_rows.ts",
    find: 'if (step.action.kind !== "prove-isolation" || result?.evidence === undefined) continue;',
    replace:
      'if (step.action.kind !== "prove-isolation" || result?.evidence === undefined || step.id !== "") continue;',
  },
  {
    name: "a claim whose answer was lost is nobody's",
    expects: NOT_KEPT,
    file: "src/store/job_claims.ts",
    find:
      'const isStray = "orphaned.boot_epoch = ?2 and orphaned.id not in (select value from json_each(?3))";',
    replace:
      'const isStray = "orphaned.boot_epoch = ?2 and orphaned.id in (select value from json_each(?3)) and false";',
  },
  {
    name: "late objects of a deleted permit stay",
    expects: NOT_KEPT,
    file: "src/runner/drift_look.ts",
    find: 'if (permit.deletion !== "done" || await openJob(tx, permitId) !== null) return "open";',
    replace: 'if (permit.deletion === "done" || await openJob(tx, permitId) !== null) return "open";',
  },
  {
    name: "a failed job of a permit that is right stays failed",
    expects: NOT_KEPT,
    file: "src/runner/drift_look.ts",
    find: 'return before?.state === "failed" ? await queueRepair',
    replace: 'return before?.state === "running" ? await queueRepair',
  },
  {
    name: "a consolidation that no phase names is left",
    expects: NOT_KEPT,
    file: "src/core/plan_data.ts",
    find: 'return isWanted ? [] : [removeTaskStep(task, "the phase does not name it")];',
    replace: 'return isWanted ? [removeTaskStep(task, "the phase does not name it")].slice(1) : [];',
  },
  {
    name: "a consolidation without a gate",
    expects: NOT_KEPT,
    file: "src/core/plan_data.ts",
    find: "const isFresh = areCanariesFresh(observed);",
    replace: "const isFresh = true;",
  },
  {
    name: "the pod that came after is let in by its predecessor's rules",
    expects: NOT_KEPT,
    file: "src/core/plan_reach.ts",
    find: 'const opening = settled.filter(({ network }) => network.state !== "open");',
    replace: 'const opening = settled.filter(({ network }) => network.state === "breached");',
  },
  {
    name: "a workspace that is off is not started again",
    expects: NOT_KEPT,
    file: "src/core/plan_give.ts",
    find: 'return existing.power !== "running" || existing.specHash !== specHash(workspace);',
    replace: "return existing.specHash !== specHash(workspace);",
  },
  {
    name: "the expiry is overlooked",
    expects: /is halted or expired/,
    file: "src/core/desired.ts",
    find: '    return { mode: "hold", why: `the permit expired at ${permit.expiresAt}` };',
    replace: "",
  },
  {
    name: "the alarm halts nobody",
    expects: /^no halt/,
    file: "src/app/alarm.ts",
    find: "      try {\n        await record(permitId, { what, why });",
    replace: "      if (why.length > 0) return;\n      try {\n        await record(permitId, { what, why });",
  },
  {
    name: "a breach that is seen is told to nobody",
    expects: /^no halt/,
    file: "src/runner/breach.ts",
    find: "  if (halted) return;",
    replace: "  if (halted || permitId.length > 0) return;",
  },
  {
    name: "a job does not tell of a breach",
    expects: /^no halt/,
    file: "src/runner/attempt.ts",
    find: "    await tellBreach(walk.deps, view.permit, observed);",
    replace: "    await tellBreach(walk.deps, { ...view.permit, halted: true }, observed);",
  },
  {
    name: "probes never tell",
    expects: /^no halt/,
    file: "src/runner/probing.ts",
    find: 'if (found.found === "breached") {',
    replace: 'if (found.found === "breached" && found.reached.length === 0) {',
  },
  {
    name: "nothing is probed",
    expects: /^no halt/,
    file: "src/runner/probing.ts",
    find: "return due <= clock.now();",
    replace: "return due < 0;",
  },
  {
    name: "a network is opened one step before its proof",
    expects: NOT_KEPT,
    file: "src/core/plan_reach.ts",
    find:
      "    sure.filter(({ workspace }) => isGated(workspace)).map(({ workspace, uid }) => proveStep(workspace, uid)),\n    sure.map(({ workspace, uid, network }) => openStep(workspace, uid, network.seen)),",
    replace:
      "    sure.map(({ workspace, uid, network }) => openStep(workspace, uid, network.seen)),\n    sure.filter(({ workspace }) => isGated(workspace)).map(({ workspace, uid }) => proveStep(workspace, uid)),",
  },
  {
    name: "the driver takes somebody else's compute for WPS's",
    expects: /^invariant 8/,
    file: "src/drivers/lab/observe.ts",
    find: "const compute = scope.computes[name]?.owned ? scope.computes[name] : undefined;",
    replace: "const compute = scope.computes[name];",
    also: [{
      file: "src/drivers/lab/apply_workspace.ts",
      find: "if (compute === undefined || !compute.owned) return `${what} is not there`;",
      replace: "if (compute === undefined) return `${what} is not there`;",
    }],
  },
];

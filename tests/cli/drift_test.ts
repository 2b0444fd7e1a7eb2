import assert from "node:assert/strict";
import type { DriftView } from "../../src/api/schemas/plans.ts";
import { Context } from "../../src/cli/context.ts";
import { driftLines, driftListLines } from "../../src/cli/render/plan.ts";
import { processSurroundings } from "../../src/cli/surroundings.ts";
import { CapturedTerminal } from "./capture.ts";

type Difference = DriftView["differences"][number];

const CONTEXT = new Context(processSurroundings({}, new CapturedTerminal()));

function difference(kind: string, urgency: Difference["urgency"], wave: number): Difference {
  const target = "research/a";
  const why = `the reason of ${kind}`;
  return { id: `${kind} ${target}`, kind, target, why, wave, do: "apply", before: [], after: [], urgency };
}

function drift(permitId: string, given: Partial<DriftView>): DriftView {
  return {
    permitId,
    checkedAt: "2026-11-22T10:00:00.000Z",
    differs: true,
    halted: false,
    deletedAt: null,
    outdated: [],
    urgency: "other",
    differences: [],
    obstacles: [],
    jobId: null,
    ...given,
  };
}

const OBSTACLE = {
  reason: "foreign-object",
  target: "Secret x",
  message: "Cannot go on: Secret x is not WPS's",
  advice: "Remove it",
  urgency: "access",
} as const;

Deno.test("driftListLines: the most urgent permit first, whatever its name, with what is gravest in words", () => {
  const lines = driftListLines([
    drift("a", { differences: [difference("start", "other", 1)] }),
    drift("b", { urgency: "data", differences: [difference("retain-volume", "data", 1)] }),
    drift("c", { urgency: "access", differences: [difference("cut-network", "access", 2)], jobId: 7 }),
    drift("d", { urgency: "access", differences: [difference("cut-network", "access", 2)] }),
    drift("e", { urgency: "access", obstacles: [OBSTACLE], differences: [difference("start", "other", 1)] }),
    drift("f", { differs: false, urgency: null }),
  ], CONTEXT);
  assert.deepEqual(lines, [
    "PERMIT  STATE             CONCERNS  STEPS  GRAVEST",
    "d       drifted           access    1      cut-network research/a: the reason of cut-network",
    "e       drifted           access    1      Cannot go on: Secret x is not WPS's",
    "c       job 7 is at work  access    1      cut-network research/a: the reason of cut-network",
    "b       drifted           data      1      retain-volume research/a: the reason of retain-volume",
    "a       drifted           other     1      start research/a: the reason of start",
    "6 permits looked at: 4 drifted, 1 being changed, 1 as they should be",
  ]);
});

Deno.test("driftLines: what is in the way, then what must not stand, then data, then the rest", () => {
  const lines = driftLines(
    drift("d", {
      urgency: "access",
      obstacles: [OBSTACLE],
      differences: [
        difference("cut-network", "access", 2),
        difference("retain-volume", "data", 1),
        difference("start", "other", 3),
      ],
    }),
    CONTEXT,
  );
  assert.deepEqual(lines, [
    "d  drifted",
    "",
    "! Cannot go on: Secret x is not WPS's",
    "  -> Remove it",
    "",
    "Access that must not stand",
    "  - cut-network  research/a  the reason of cut-network",
    "",
    "Data that is not safe",
    "  ~ retain-volume  research/a  the reason of retain-volume",
    "",
    "What else differs",
    "  + start  research/a  the reason of start",
    "",
    "Repair it now with wps drift d --repair; the periodic pass repairs it otherwise.",
  ]);
});

/** The part of a plan that may be run on the observation it was made from: up to the first wait. */
import type { ApplyStep, AwaitStep, Step } from "../core/step.ts";

/** Waves to apply in order, then what to wait for. Both empty: the plan is done. */
export interface Stretch {
  waves: ApplyStep[][];
  awaiting: AwaitStep[];
}

/** Everything behind a wait is left to the next plan, which is made from what is true then. */
export function nextStretch(steps: Step[]): Stretch {
  const waves: ApplyStep[][] = [];
  const numbers = [...new Set(steps.map(({ wave }) => wave))].sort((a, b) => a - b);
  for (const number of numbers) {
    const wave = steps.filter((step) => step.wave === number);
    const applying = wave.filter((step) => step.do === "apply");
    const awaiting = wave.filter((step) => step.do === "await");
    if (applying.length > 0) waves.push(applying);
    if (awaiting.length > 0) return { waves, awaiting };
  }
  return { waves, awaiting: [] };
}

/** Whether it cuts or stops something, or waits only for that. */
export function takesAway({ waves, awaiting }: Stretch): boolean {
  if (waves.some((wave) => wave.some(({ kind }) => kind === "cut-network" || kind === "stop"))) return true;
  return waves.length === 0 && awaiting.some(({ wait }) => wait === "cut" || wait === "gone");
}

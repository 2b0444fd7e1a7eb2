/** Where packets of a workspace get: judged from outside, by trying every target and every source. */
import type { Source, Target } from "./backend.ts";
import type { Trial } from "./trial.ts";

const TARGETS: readonly Target[] = ["internet", "proxy", "dns"];
const SOURCES: readonly Source[] = ["gateway", "stranger", "holder"];

/** Waits until packets get exactly where they may, because enforcement may lag behind the acknowledgement. */
export async function packets(trial: Trial, key: string, out: Target[], into: Source[]): Promise<void> {
  const { outside, sources = SOURCES } = trial.backend;
  let seen = "";
  await trial.eventually(`${key} reaches [${out}] and is reached from [${into}]`, async () => {
    const reached: Target[] = [];
    for (const target of TARGETS) {
      if (await outside.canReach(trial.permitId, key, target)) reached.push(target);
    }
    const from: Source[] = [];
    for (const source of sources) {
      if (await outside.reachableFrom(trial.permitId, key, source)) from.push(source);
    }
    seen = `it reaches [${reached}] and is reached from [${from}]`;
    return `${reached}` === `${out}` && `${from}` === `${into}`;
  }, () => seen);
}

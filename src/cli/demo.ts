/** Plays the demo for a person or a program; an interrupt takes everything down. */
import { createLog } from "../log.ts";
import { MACHINE_CLOCK } from "../machine.ts";
import type { CommonOptions, Context } from "./context.ts";
import { play } from "./demo/play.ts";
import { recordNarrator } from "./demo/record.ts";
import { screenNarrator } from "./demo/screen.ts";
import { ACTS } from "./demo/script.ts";
import type { StageOptions } from "./demo/stage.ts";
import type { ExitCode } from "./exit.ts";

/** Plays; the stage is the usual one but in tests. */
export async function demo(
  common: CommonOptions,
  context: Context,
  stage: StageOptions = {},
): Promise<ExitCode> {
  const { terminal, surroundings } = context;
  const leaving = new AbortController();
  const release = surroundings.onInterrupt(() => leaving.abort());
  const level = surroundings.environment["WPS_DEBUG"] ? "debug" : "error";
  const log = createLog({ level, format: "text", clock: MACHINE_CLOCK, write: (line) => terminal.err(line) });
  const narrator = common.json ? recordNarrator(terminal) : screenNarrator(context);
  try {
    return await play({ acts: ACTS, narrator, log, signal: leaving.signal, ...stage });
  } finally {
    release();
  }
}

/** Runs the service in this process until it is told to stop. */
import { type App, PhaseGap, startApp } from "../app.ts";
import { createLog, type Log } from "../log.ts";
import { MACHINE_CLOCK } from "../machine.ts";
import type { CommonOptions, Context } from "./context.ts";
import { CliError, EXIT, type ExitCode } from "./exit.ts";
import { loadServiceSetup } from "./setup.ts";

/**
 * Serves. The first SIGTERM or SIGINT stops in order and ends with 0, the second ends the process at once. A
 * CliError or Fault leaves when configuration, phases, state directory or addresses cannot be used.
 */
export async function serve(common: CommonOptions, context: Context): Promise<ExitCode> {
  const { terminal, surroundings } = context;
  const { config, phases, warnings } = await loadServiceSetup(common.config, surroundings.environment);
  const log = createLog({
    level: config.log.level,
    format: common.json ? "json" : config.log.format,
    clock: MACHINE_CLOCK,
    write: (line) => terminal.err(line),
  });
  for (const { key, message } of warnings) log.warn("configuration: look at this", { key, detail: message });
  const stopping = stopOrders(log, surroundings.onInterrupt);
  try {
    const app = await start({ config, phases, log });
    await stopping.ordered;
    log.info("service stops");
    await app.stop();
    log.info("service stopped");
    return EXIT.done;
  } finally {
    stopping.release();
  }
}

/** Usage (2) for a gap: it is in a file that a person must change, a supervisor must not try again and again. */
async function start(options: Parameters<typeof startApp>[0]): Promise<App> {
  try {
    return await startApp(options);
  } catch (thrown) {
    if (!(thrown instanceof PhaseGap)) throw thrown;
    const advice = thrown.advice === null ? [] : [thrown.advice];
    throw new CliError(EXIT.usage, thrown.message, { advice, cause: thrown });
  }
}

interface StopOrders {
  /** Resolves at the first order. */
  ordered: Promise<void>;
  release(): void;
}

function stopOrders(log: Log, onInterrupt: Context["surroundings"]["onInterrupt"]): StopOrders {
  const { promise: ordered, resolve } = Promise.withResolvers<void>();
  let orders = 0;
  const release = onInterrupt(() => {
    if (++orders > 1) {
      log.warn("told to stop a second time: ends at once; jobs resume at the next start");
      Deno.exit(EXIT.failed);
    }
    resolve();
  });
  return { ordered, release };
}

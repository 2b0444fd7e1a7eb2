/** What a command does when nobody listens on the socket: the same API over the database's file. */
import { toFault } from "../core/fault.ts";
import type { OfflineApi } from "./client.ts";
import type { ServiceOptions } from "./context.ts";
import { CliError, EXIT, toCliError } from "./exit.ts";
import type { Environment } from "./terminal.ts";
import { loadHeavy } from "./heavy.ts";

/**
 * Opens the stopped service's database; phases that cannot be used do not stand in the way. `down` says how the service
 * is known to be down; CliError with exit code 4 when the database cannot be read either. `warn` gets lines of a log.
 */
export async function openStopped(
  options: ServiceOptions,
  environment: Environment,
  down: string,
  warn: (line: string) => void,
): Promise<OfflineApi> {
  try {
    const { loadSiteLeft } = await loadHeavy("./setup.ts");
    const { openOffline } = await loadHeavy("../app.ts");
    const { createLog } = await import("../log.ts");
    const { MACHINE_CLOCK } = await import("../machine.ts");
    const { config, phases, note } = await loadSiteLeft(options.config, environment);
    const log = createLog({ level: "warn", format: "text", clock: MACHINE_CLOCK, write: warn });
    return { ...await openOffline({ config, phases, log }), note };
  } catch (thrown) {
    const { message, details, advice } = toCliError(thrown instanceof CliError ? thrown : toFault(thrown));
    throw new CliError(
      EXIT.unreachable,
      `${down}, and the database cannot be read either: ${lowerFirst(message)}`,
      {
        details,
        advice: ["Start the service with wps serve, or systemctl start wps", ...advice],
        cause: thrown,
      },
    );
  }
}

/** A sentence that goes on with another's message. */
function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

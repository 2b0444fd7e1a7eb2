/** What gate.sh reports through its pod's termination message, checked at this boundary. */
import { z } from "zod";

/** Kubernetes keeps no more of a termination message. */
const MESSAGE_MAX = 4096;
const TARGETS_MAX = 128;

/** Epoch seconds of the node. */
const seconds = z.number().int().nonnegative();

const gateSchema = z.object({
  v: z.literal(1),
  mode: z.literal("gate"),
  result: z.enum(["clean", "reached", "broken"]),
  why: z.string().optional(),
  rounds: z.number().int().nonnegative(),
  clean: z.number().int().nonnegative(),
  begun: seconds,
  ended: seconds,
  targets: z.array(z.tuple([z.string(), z.string()])).max(TARGETS_MAX),
});

const controlSchema = z.object({
  v: z.literal(1),
  mode: z.literal("control"),
  result: z.enum(["done", "broken"]),
  why: z.string().optional(),
  begun: seconds,
  ended: seconds,
  targets: z.array(z.tuple([z.string(), z.string()]).rest(z.string())).max(TARGETS_MAX),
  nameservers: z.array(z.string()).max(8),
});

/** How a gate's or probe's last round ended, target by target. */
export type GateReport = z.infer<typeof gateSchema>;
/** What the control pod reached; a third word is the address that a name stands for. */
export type ControlReport = z.infer<typeof controlSchema>;

/** The word of gate.sh for a target that answered. */
export const REACHED = "reached";

/** A gate's or probe's report; null: it is none, and proves nothing. */
export function parseGateReport(message: string | undefined): GateReport | null {
  return parse(gateSchema, message);
}

/** The control pod's report; null: it is none. */
export function parseControlReport(message: string | undefined): ControlReport | null {
  return parse(controlSchema, message);
}

function parse<T>(schema: z.ZodType<T>, message: string | undefined): T | null {
  if (message === undefined || message.length > MESSAGE_MAX) return null;
  try {
    return schema.parse(JSON.parse(message));
  } catch {
    return null;
  }
}

/** A failed gate's words for a person, e.g. "gate reached tcp 10.0.0.5:443 after 60 s". */
export function describeFailure(report: GateReport | null, exitCode: number): string {
  if (report === null) return `gate ended with code ${exitCode} and no report`;
  const reached = reachedOf(report);
  if (report.result === "reached" && reached.length > 0) {
    return `gate reached ${reached.join(", ")} after ${report.ended - report.begun} s`;
  }
  return `gate could not prove anything: ${report.why ?? report.result}`;
}

/** The targets that answered in the last round. */
export function reachedOf({ targets }: GateReport): string[] {
  return targets.flatMap(([target, outcome]) => outcome === REACHED ? [target] : []);
}

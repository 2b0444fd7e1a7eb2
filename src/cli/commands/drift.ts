/** `wps drift [PERMIT]`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import type { JobReceipt } from "../../api/schemas/jobs.ts";
import type { PermitView } from "../../api/schemas/permits.ts";
import type { DriftView } from "../../api/schemas/plans.ts";
import { type CommandParser, serviceCommand, switchOption } from "../args.ts";
import { segment, type ServiceClient } from "../client.ts";
import type { Context } from "../context.ts";
import { CliError, EXIT, type ExitCode } from "../exit.ts";
import { listAll } from "../paging.ts";
import { jobHeadLines } from "../render/job.ts";
import { driftLines, driftListLines } from "../render/plan.ts";

/** Permits that are looked at in one call: each is a full observation of the platform. */
const PERMITS_MAX = 10_000;
/** Observations at once: the periodic pass itself takes two at once by default. */
const ABREAST = 4;

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "drift",
    brief: "Where the platform differs from what should be",
    description:
      "Looks at the platform and says what differs, for one permit or for all that are not deleted. " +
      "Changes nothing, unless --repair is given. Needs the running service.",
    examples: [
      ["wps drift", "all permits"],
      ["wps drift permit-001", "one permit, step by step"],
      ["wps drift permit-001 --repair", "repair it now"],
    ],
  },
  object({
    permit: optional(argument(string({ metavar: "PERMIT" }), {
      description: message`The permit's id; without it all permits are looked at`,
    })),
    repair: switchOption(["--repair"], "Make a job that repairs it; needs PERMIT"),
  }),
  async ({ permit, repair }, common, context) => {
    const client = context.surroundings.connect(common);
    if (permit === undefined) {
      if (repair) {
        throw new CliError(EXIT.usage, "Cannot repair everything at once: no permit was named", {
          advice: ["Name one: wps drift PERMIT --repair; the periodic pass repairs the others"],
        });
      }
      return await showAll(client, common.json, context);
    }
    if (repair) {
      const { job } = await client.post<JobReceipt>(`/permits/${segment(permit)}/drift`);
      return context.show(common.json, job, (view) => jobHeadLines(view, context));
    }
    const drift = await client.getLive<DriftView>(`/permits/${segment(permit)}/drift`);
    return context.show(common.json, drift, (view) => driftLines(view, context));
  },
);

async function showAll(client: ServiceClient, json: boolean, context: Context): Promise<ExitCode> {
  const { items } = await listAll<PermitView>(client, "/permits", {}, PERMITS_MAX);
  const open = items.filter(({ deletion }) => deletion !== "done");
  const found: DriftView[] = [];
  for (let at = 0; at < open.length; at += ABREAST) {
    const group = open.slice(at, at + ABREAST);
    found.push(
      ...await Promise.all(
        group.map(({ permitId }) => client.getLive<DriftView>(`/permits/${segment(permitId)}/drift`)),
      ),
    );
  }
  return context.show(json, found, (views) => driftListLines(views, context));
}

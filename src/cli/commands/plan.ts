/** `wps plan PERMIT`. */
import { object } from "@optique/core/constructs";
import { string } from "@optique/core/valueparser";
import type { PlanView } from "../../api/schemas/plans.ts";
import { choiceOption, type CommandParser, permitArgument, serviceCommand } from "../args.ts";
import { query, segment } from "../client.ts";
import { planLines } from "../render/plan.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "plan",
    brief: "What would change for a permit, without changing anything",
    description:
      "Looks at the platform and plans: - takes away, + gives, ~ changes, moves, proves or waits. Steps " +
      "of one wave run side by side. Needs the running service.",
    examples: [
      ["wps plan permit-001", "what is still to be done"],
      ["wps plan permit-001 --status ARCHIVED", "what that status would do"],
      ["wps plan permit-001 --event permit.deleted", "what that event would do"],
    ],
  },
  object({
    permit: permitArgument(),
    status: choiceOption("--status", string({ metavar: "STATUS" }), "Plan as if the permit had this status"),
    event: choiceOption(
      "--event",
      string({ metavar: "TYPE" }),
      "Plan as if an event of this type came, e.g. permit.halted",
    ),
  }),
  async ({ permit, status, event }, common, context) => {
    const client = context.surroundings.connect(common);
    const path = `/permits/${segment(permit)}/plan${query({ status, event })}`;
    const plan = await client.getLive<PlanView>(path);
    return context.show(common.json, plan, (view) => planLines(view, context));
  },
);

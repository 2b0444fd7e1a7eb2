/** `wps halt PERMIT`. */
import { object } from "@optique/core/constructs";
import { string } from "@optique/core/valueparser";
import { choiceOption, type CommandParser, permitArgument, serviceCommand, switchOption } from "../args.ts";
import { giveOrder } from "../order_halt.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "halt",
    brief: "Cut a permit's network and stop its workspaces, now",
    description:
      "Cuts the network both ways ahead of all other work, then stops every workspace and consolidation, and holds " +
      "the permit until wps resume; volumes stay, events are recorded meanwhile. It is tried without end. Repeat it " +
      "freely. With --follow it ends with 0 only when everything was seen to be cut and stopped. Needs the running " +
      "service, and no broker.",
    examples: [
      ["wps halt permit-001 --reason 'suspected leak' --follow", "and watch what is cut and stopped"],
      ["wps permits --halted", "which permits are halted"],
    ],
  },
  object({
    permit: permitArgument(),
    reason: choiceOption("--reason", string({ metavar: "TEXT" }), "Why, for the audit and wps status"),
    force: switchOption(["--force"], "Also a permit that no event has named: it begins halted"),
    follow: switchOption(["-f", "--follow"], "Watch it until everything is cut and stopped"),
  }),
  ({ permit, reason, force, follow }, common, context) =>
    giveOrder(
      { permit, order: "halt", body: { reason, force: force || undefined }, follow },
      common,
      context,
    ),
);

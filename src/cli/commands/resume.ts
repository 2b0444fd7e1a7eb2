/** `wps resume PERMIT`. */
import { object } from "@optique/core/constructs";
import { string } from "@optique/core/valueparser";
import { choiceOption, type CommandParser, permitArgument, serviceCommand, switchOption } from "../args.ts";
import { giveOrder } from "../order_halt.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "resume",
    brief: "End a halt",
    description:
      "Ends a halt, whoever ordered it: the permit becomes what its events say by now. Where WPS itself found a way " +
      "out, it halts again if that stands. Ends with 1 for a permit that is not halted. Needs the running service.",
    examples: [
      ["wps resume permit-001 --reason 'policy removed' --follow", "and watch it come back"],
      ["wps status permit-001", "before: who halted it, and why"],
    ],
  },
  object({
    permit: permitArgument(),
    reason: choiceOption("--reason", string({ metavar: "TEXT" }), "Why, for the audit"),
    follow: switchOption(["-f", "--follow"], "Watch what follows from it, to its end"),
  }),
  ({ permit, reason, follow }, common, context) =>
    giveOrder({ permit, order: "resume", body: { reason }, follow }, common, context),
);

/** `wps events send|list|show`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { argument } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import type { EventDetail, EventReceipt, EventView } from "../../api/schemas/events.ts";
import { VERDICTS } from "../../core/event.ts";
import {
  branch,
  choiceOption,
  type CommandParser,
  limitOption,
  numberArgument,
  serviceCommand,
  switchOption,
} from "../args.ts";
import type { Context } from "../context.ts";
import { CliError, EXIT } from "../exit.ts";
import { followJob } from "../follow.ts";
import { listAll, moreText } from "../paging.ts";
import { eventLines, eventListLines, receiptLines } from "../render/event.ts";

/** The intake takes 1 MiB; one byte more lets it say and record that the body is too long. */
const BODY_MAX = 1024 * 1024 + 1;

const send = serviceCommand(
  {
    name: "send",
    brief: "Send an event to the service, as the Permit Manager would",
    description:
      "Sends one event as JSON: the canonical form or a CloudEvent. It is recorded and judged like one " +
      "that came over the broker. Ends with 1 when it is rejected or in conflict. Needs the running service.",
    examples: [
      ["wps events send event.json", "from a file"],
      ["jq … | wps events send - --follow", "from standard input, then watch its job"],
    ],
  },
  object({
    file: argument(string({ metavar: "FILE" }), {
      description: message`A file, or - for standard input`,
    }),
    follow: switchOption(["-f", "--follow"], "Watch the job that follows from it, to its end"),
  }),
  async ({ file, follow }, common, context) => {
    const client = context.surroundings.connect(common);
    const body = await readBody(file, context);
    const receipt = await client.post<EventReceipt>("/events", body, "application/json");
    const code = context.show(common.json, receipt, (view) => receiptLines(view, context));
    if (!follow || receipt.jobId === null) return code;
    return await followJob(client, receipt.jobId, common.json, context);
  },
);

const list = serviceCommand(
  {
    name: "list",
    brief: "Recorded events, newest first",
    description: "Lists events with their verdicts. Works from the database when the service is down.",
    examples: [
      ["wps events list --permit permit-001", "one permit's"],
      ["wps events list --verdict rejected", "what was refused"],
    ],
  },
  object({
    permitId: choiceOption("--permit", string({ metavar: "PERMIT" }), "Only events of this permit"),
    verdict: choiceOption(
      "--verdict",
      choice(VERDICTS, { metavar: "VERDICT" }),
      "Only events with this verdict",
    ),
    type: choiceOption("--type", string({ metavar: "TYPE" }), "Only events of this type"),
    limit: limitOption(),
  }),
  async ({ limit, ...filters }, common, context) => {
    const client = context.surroundings.connect(common);
    const events = await listAll<EventView>(client, "/events", filters, limit);
    const more = moreText(events);
    if (more !== null) context.note(more);
    return context.show(common.json, events.items, (items) => eventListLines(items, context));
  },
);

const show = serviceCommand(
  {
    name: "show",
    brief: "One event with its body",
    description: "Shows an event as it was recorded. Works from the database when the service is down.",
    examples: [["wps events show 41", "event number 41"]],
  },
  object({ seq: numberArgument("SEQ", "The event's number, as wps events list shows it") }),
  async ({ seq }, common, context) => {
    const client = context.surroundings.connect(common);
    const event = await client.get<EventDetail>(`/events/${seq}`);
    return context.show(common.json, event, (view) => eventLines(view, event.body, context));
  },
);

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "events",
    brief: "The Permit Manager's events: send, list, show",
    description: "Events as they were recorded, with their verdicts.",
  },
  send,
  list,
  show,
);

async function readBody(file: string, { surroundings }: Context): Promise<Uint8Array<ArrayBuffer>> {
  if (file === "-") return await surroundings.readInput(BODY_MAX);
  try {
    return (await Deno.readFile(file)).slice(0, BODY_MAX);
  } catch (thrown) {
    const isAbsent = thrown instanceof Deno.errors.NotFound;
    const why = isAbsent ? "it does not exist" : thrown instanceof Error ? thrown.message : String(thrown);
    throw new CliError(EXIT.usage, `Cannot read ${file}: ${why}`, {
      advice: ["Name a file with one event as JSON, or - for standard input"],
    });
  }
}

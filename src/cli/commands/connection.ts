/** `wps connection PERMIT`. */
import { object } from "@optique/core/constructs";
import { string } from "@optique/core/valueparser";
import type { ConnectionAnswer, WorkspacePage } from "../../api/schemas/workspaces.ts";
import { choiceOption, type CommandParser, permitArgument, serviceCommand, switchOption } from "../args.ts";
import { query, segment } from "../client.ts";
import { fields } from "../table.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "connection",
    brief: "How to reach a workspace",
    description: "Shows where the gateway, or a data holder, connects to. The password is shown only with " +
      "--show-password, and always with --json. Each look is audited. Needs the running service.",
    examples: [
      ["wps connection permit-001", "the only workspace"],
      ["wps connection permit-001 --username j.virtanen", "one of several"],
    ],
  },
  object({
    permit: permitArgument(),
    username: choiceOption(
      "--username",
      string({ metavar: "NAME" }),
      "Whose workspace, where there are several",
    ),
    kind: choiceOption("--kind", string({ metavar: "KIND" }), "Which kind, where one person has several"),
    showPassword: switchOption(["--show-password"], "Show the password"),
  }),
  async ({ permit, username, kind, showPassword }, common, context) => {
    const client = context.surroundings.connect(common);
    const path = `/workspaces/${segment(permit)}`;
    const answer = await client.getLive<ConnectionAnswer>(`${path}/connection${query({ username, kind })}`);
    if (common.json) return context.show(true, answer, () => []);
    const { items } = await client.get<WorkspacePage>(path);
    const { host, port } = answer.connection;
    const hostKey = items.find(({ endpoint }) => endpoint?.host === host && endpoint.port === port)
      ?.hostKeyFingerprint;
    return context.show(false, { ...answer.connection, hostKey: hostKey ?? null }, (view) =>
      fields([
        ["protocol", view.protocol],
        ["host", view.host],
        ["port", `${view.port}`],
        ["username", view.username],
        ["password", showPassword ? view.password : "not shown; --show-password shows it"],
        ...(view.hostKey === null ? [] : [["host key", view.hostKey] satisfies [string, string]]),
      ]));
  },
);

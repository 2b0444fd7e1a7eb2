/** All commands by name. Each is loaded when it is called: starting one must not cost the others. */
import type { CommandParser } from "./args.ts";

/** One command as the list shows it. */
export interface CommandEntry {
  name: string;
  brief: string;
  load(): Promise<{ command: CommandParser }>;
}

/** Commands that belong together. */
export interface CommandGroup {
  title: string;
  commands: readonly CommandEntry[];
}

/** In the order of the help. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    title: "See",
    commands: [
      {
        name: "status",
        brief: "Everything about one permit: what is, what is wrong, what to do",
        load: () => import("./commands/status.ts"),
      },
      {
        name: "permits",
        brief: "All permits with their status",
        load: () => import("./commands/permits.ts"),
      },
      {
        name: "plan",
        brief: "What would change for a permit, without changing anything",
        load: () => import("./commands/plan.ts"),
      },
      {
        name: "drift",
        brief: "Where the platform differs from what should be",
        load: () => import("./commands/drift.ts"),
      },
      {
        name: "connection",
        brief: "How to reach a workspace",
        load: () => import("./commands/connection.ts"),
      },
      {
        name: "certificate",
        brief: "What a deletion destroyed and that it is gone, signed",
        load: () => import("./commands/certificate.ts"),
      },
    ],
  },
  {
    title: "Act",
    commands: [
      {
        name: "halt",
        brief: "Cut a permit's network and stop its workspaces, now",
        load: () => import("./commands/halt.ts"),
      },
      {
        name: "resume",
        brief: "End a halt",
        load: () => import("./commands/resume.ts"),
      },
      {
        name: "events",
        brief: "The Permit Manager's events: send, list, show",
        load: () => import("./commands/events.ts"),
      },
      {
        name: "jobs",
        brief: "What is being done and what was: list, show, retry, cancel",
        load: () => import("./commands/jobs.ts"),
      },
      {
        name: "uploads",
        brief: "Uploads with entries that are never copied: show, accept",
        load: () => import("./commands/uploads.ts"),
      },
    ],
  },
  {
    title: "Site",
    commands: [
      { name: "serve", brief: "Run the service", load: () => import("./commands/serve.ts") },
      {
        name: "config",
        brief: "The configuration: check, show",
        load: () => import("./commands/config.ts"),
      },
      {
        name: "phases",
        brief: "What each status means: check, show",
        load: () => import("./commands/phases.ts"),
      },
      {
        name: "demo",
        brief: "One permit's whole life on a simulated cluster",
        load: () => import("./commands/demo.ts"),
      },
    ],
  },
  {
    title: "Program",
    commands: [
      {
        name: "completion",
        brief: "Completion for bash, zsh or fish",
        load: () => import("./commands/completion.ts"),
      },
      { name: "version", brief: "The version of this program", load: () => import("./commands/version.ts") },
    ],
  },
];

/** All of them, in the same order. */
export const COMMANDS: readonly CommandEntry[] = COMMAND_GROUPS.flatMap(({ commands }) => commands);

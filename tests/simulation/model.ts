/**
 * What DESIGN 4 says should exist after a permit's accepted events, written a second time and as a table, with
 * nothing of the planner: what the planner gets wrong must not be wrong here in the same way.
 */

/** An accepted event, as the inbox keeps it. */
export interface Accepted {
  type: string;
  data: {
    status?: string;
    expiresAt?: string | null;
    dataHolders?: { id: string }[];
    researchers?: { username: string }[];
    preprocessor?: { username: string };
    reviewer?: { username: string };
    setupReviewer?: { username: string };
  };
}

/** A workspace that should exist. */
export interface ExpectedWorkspace {
  key: string;
  power: "running" | "stopped";
  posture: "isolated" | "proxied" | "inbound-allowlist";
  /** "path mode volume", the volume without generation. */
  mounts: string[];
}

/** What should exist of a permit. */
export type Expected =
  /** Nothing at all, volumes included. */
  | { end: "nothing" }
  /** No pod, halted or past its date; everything else may stay. */
  | { end: "halted" }
  | {
    end: "workspaces";
    workspaces: ExpectedWorkspace[];
    /** No uploads are left. */
    consolidated: boolean;
    ingressOpen: boolean;
    /** Somebody whom the phase needs was never named. */
    waitsForPeople: boolean;
  };

interface Wish {
  status: string | null;
  ingressOpen: boolean;
  stopped: boolean;
  halted: boolean;
  deleted: boolean;
  people: Accepted["data"];
}

/** The permit's end state, at `nowMs` (epoch milliseconds, by the true clock). */
export function expectedAfter(events: readonly Accepted[], nowMs: number): Expected {
  const wish = events.reduce(apply, {
    status: null,
    ingressOpen: false,
    stopped: false,
    halted: false,
    deleted: false,
    people: {},
  });
  if (wish.halted) return { end: "halted" };
  if (wish.deleted) return { end: "nothing" };
  const { expiresAt = null } = wish.people;
  if (expiresAt !== null && Date.parse(expiresAt) <= nowMs) return { end: "halted" };
  const workspaces = [...phase(wish), ...(wish.ingressOpen ? airlocks(wish.people) : [])];
  const consolidated = wish.status === "DATA_PREPARATION_PENDING" ||
    wish.status === "DATA_PREPARATION_REWORK";
  const { ingressOpen } = wish;
  return { end: "workspaces", workspaces, consolidated, ingressOpen, waitsForPeople: lacksPeople(wish) };
}

function apply(wish: Wish, { type, data }: Accepted): Wish {
  const { status, ...named } = data;
  const next = { ...wish, people: { ...wish.people, ...named } };
  switch (type) {
    case "permit.ingress.initiated":
      return { ...next, ingressOpen: true };
    case "permit.workspace.stop_requested":
      return { ...next, stopped: true };
    case "permit.workspace.start_requested":
      return { ...next, stopped: false };
    case "permit.halted":
      return { ...next, halted: true };
    case "permit.resumed":
      return { ...next, halted: false };
    case "permit.deleted":
      return { ...next, deleted: true };
  }
  if (status === undefined) return next;
  return {
    ...next,
    status,
    ingressOpen: next.ingressOpen && status === "AWAITING_INGRESS",
    stopped: next.stopped && status === next.status,
  };
}

function lacksPeople({ status, ingressOpen, people }: Wish): boolean {
  const { dataHolders = [], preprocessor, reviewer, setupReviewer, researchers = [] } = people;
  if (ingressOpen && dataHolders.length === 0) return true;
  if (status === null) return false;
  if (status.startsWith("DATA_PREPARATION")) {
    return preprocessor === undefined || (status.endsWith("REVIEW_PENDING") && reviewer === undefined);
  }
  if (status === "WORKSPACE_SETUP_REVIEW_PENDING" && setupReviewer === undefined) return true;
  return (status.startsWith("WORKSPACE_SETUP") || status === "ANALYSIS_ACTIVE") && researchers.length === 0;
}

function airlocks({ dataHolders = [] }: Wish["people"]): ExpectedWorkspace[] {
  return dataHolders.map(({ id }) => ({
    key: `airlock/${id}`,
    power: "running",
    posture: "inbound-allowlist",
    mounts: [`/uploads/${id} rw uploads`],
  }));
}

function phase({ status, stopped, people }: Wish): ExpectedWorkspace[] {
  const { preprocessor, reviewer, setupReviewer, researchers = [] } = people;
  const preprocessing = (power: "running" | "stopped"): ExpectedWorkspace[] =>
    staff("preprocessing", preprocessor, power, ["/data/raw ro raw", "/data/prepared rw prepared"]);
  const desks = (posture: "isolated" | "proxied", power: "running" | "stopped", data: string[]) =>
    researchers.map(({ username }): ExpectedWorkspace => ({
      key: `research/${username}`,
      power: stopped ? "stopped" : power,
      posture,
      mounts: [...data, `/home/${username} rw home`, "/project rw project"],
    }));
  switch (status) {
    case "DATA_PREPARATION_PENDING":
    case "DATA_PREPARATION_REWORK":
      return preprocessing("running");
    case "DATA_PREPARATION_REVIEW_PENDING":
      return [
        ...preprocessing("stopped"),
        ...staff("preparation-review", reviewer, "running", ["/data/prepared ro prepared"]),
      ];
    case "WORKSPACE_SETUP_PENDING":
    case "WORKSPACE_SETUP_REWORK":
      return desks("proxied", "running", []);
    case "WORKSPACE_SETUP_REVIEW_PENDING":
      return [
        ...desks("isolated", "stopped", []),
        ...staff("setup-review", setupReviewer, "running", [
          "/project ro project",
          ...researchers.map(({ username }) => `/review/${username} ro home`),
        ]),
      ];
    case "ANALYSIS_ACTIVE":
      return desks("isolated", "running", ["/data/outputs rw outputs", "/data/prepared ro prepared"]);
    default:
      return [];
  }
}

function staff(
  kind: string,
  person: { username: string } | undefined,
  power: "running" | "stopped",
  mounts: string[],
): ExpectedWorkspace[] {
  if (person === undefined) return [];
  const { username } = person;
  return [{
    key: `${kind}/${username}`,
    power,
    posture: "isolated",
    mounts: [...mounts, `/home/${username} rw staff-home`],
  }];
}

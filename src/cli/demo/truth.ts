/** What must exist in each phase: DESIGN 4's table written out, none of it from a phase file. */
import type { ExpectedMount, ExpectedTruth, ExpectedWorkspace } from "./act.ts";
import { HOLDERS, RESEARCH_KEYS, RESEARCHERS, STAFF, STAFF_KEYS } from "./people.ts";

const { preprocessor, reviewer, setupReviewer } = STAFF;

const rw = (path: string, volume: string): ExpectedMount => ({ path, volume, mode: "rw" });
const ro = (path: string, volume: string): ExpectedMount => ({ path, volume, mode: "ro" });

/** Row permit.ingress.initiated: per data holder their own account, volume and addresses; write-only; no egress. */
const airlocks: ExpectedWorkspace[] = HOLDERS.map(({ id, username, allowedCidrs }) => ({
  key: `airlock/${id}`,
  username,
  uid: null,
  network: { only: allowedCidrs },
  mounts: [rw(`/uploads/${id}`, `uploads/${id}`)],
}));

/** Rows DATA_PREPARATION_PENDING and _REWORK: raw read-only, prepared read-write, isolated. */
const preprocessing: ExpectedWorkspace = {
  key: STAFF_KEYS.preprocessing,
  username: preprocessor.username,
  uid: null,
  network: "isolated",
  mounts: [
    ro("/data/raw", "raw"),
    rw("/data/prepared", "prepared"),
    rw(`/home/${preprocessor.username}`, `staff-home/${STAFF_KEYS.preprocessing}`),
  ],
};

/** Row DATA_PREPARATION_REVIEW_PENDING: prepared read-only, isolated. */
const preparationReview: ExpectedWorkspace = {
  key: STAFF_KEYS.preparationReview,
  username: reviewer.username,
  uid: null,
  network: "isolated",
  mounts: [
    ro("/data/prepared", "prepared"),
    rw(`/home/${reviewer.username}`, `staff-home/${STAFF_KEYS.preparationReview}`),
  ],
};

/** Rows WORKSPACE_SETUP_PENDING and _REWORK: home and project, no data volume, egress only through the proxy. */
const researchSetup: ExpectedWorkspace[] = RESEARCHERS.map(({ username, uid }) => ({
  key: `research/${username}`,
  username,
  uid,
  network: "proxied",
  mounts: [rw("/project", "project"), rw(`/home/${username}`, `home/${username}`)],
}));

/** Row WORKSPACE_SETUP_REVIEW_PENDING: home and project read-only, isolated. */
const setupReview: ExpectedWorkspace = {
  key: STAFF_KEYS.setupReview,
  username: setupReviewer.username,
  uid: null,
  network: "isolated",
  mounts: [
    ...RESEARCHERS.map(({ username }) => ro(`/review/${username}`, `home/${username}`)),
    ro("/project", "project"),
    rw(`/home/${setupReviewer.username}`, `staff-home/${STAFF_KEYS.setupReview}`),
  ],
};

/** Row ANALYSIS_ACTIVE: isolated; prepared read-only, outputs read-write, project, home. */
const researchAnalysis: ExpectedWorkspace[] = researchSetup.map((workspace) => ({
  ...workspace,
  network: "isolated",
  mounts: [ro("/data/prepared", "prepared"), rw("/data/outputs", "outputs"), ...workspace.mounts],
}));

const uploads = HOLDERS.map(({ id }) => `uploads/${id}`);
const homes = RESEARCHERS.map(({ username }) => `home/${username}`);
const prepared = ["raw", "prepared", `staff-home/${STAFF_KEYS.preprocessing}`];
const reviewed = [...prepared, `staff-home/${STAFF_KEYS.preparationReview}`];
const setUp = [...reviewed, "project", ...homes];
const setUpReviewed = [...setUp, `staff-home/${STAFF_KEYS.setupReview}`];
const analysed = [...setUpReviewed, "outputs"];
/** Invariant 3: written beside data from ANALYSIS_ACTIVE on. */
const tainted = ["project", ...homes];

function truth(
  running: readonly ExpectedWorkspace[],
  volumes: readonly string[],
  more: { stopped?: readonly string[]; tainted?: readonly string[] } = {},
): ExpectedTruth {
  return { running, volumes, stopped: more.stopped ?? [], tainted: more.tainted ?? [] };
}

const stoppedPreprocessing = { stopped: [STAFF_KEYS.preprocessing] };

/** By what the permit is at, in the order of its life. Volumes only ever become more, until the deletion. */
export const TRUTHS = {
  ingress: truth(airlocks, uploads),
  preparation: truth([preprocessing], prepared),
  preparationReview: truth([preparationReview], reviewed, stoppedPreprocessing),
  preparationRework: truth([preprocessing], reviewed),
  setup: truth(researchSetup, setUp),
  setupReview: truth([setupReview], setUpReviewed, { stopped: RESEARCH_KEYS }),
  setupRework: truth(researchSetup, setUpReviewed),
  analysis: truth(researchAnalysis, analysed, { tainted }),
  analysisStopped: truth([], analysed, { stopped: RESEARCH_KEYS, tainted }),
  archived: truth([], analysed, { tainted }),
  deleted: truth([], []),
} as const;

/** One permit's life, act by act. The truths are DESIGN 4's table written out: none comes from a phase file. */
import type {
  Act,
  ExpectedBatch,
  ExpectedFile,
  ExpectedMount,
  ExpectedTruth,
  ExpectedWorkspace,
  Probe,
} from "./act.ts";
import { HOLDERS, RESEARCHERS, STAFF } from "./people.ts";

const { preprocessor, reviewer, setupReviewer } = STAFF;
const PREPROCESSING = `preprocessing/${preprocessor.username}`;
const PREPARATION_REVIEW = `preparation-review/${reviewer.username}`;
const SETUP_REVIEW = `setup-review/${setupReviewer.username}`;
const RESEARCH = RESEARCHERS.map(({ username }) => `research/${username}`);
const [FIRST = "", SECOND = ""] = RESEARCH;
const [FIRST_NAME = "", SECOND_NAME = ""] = RESEARCHERS.map(({ username }) => username);

const COHORT = "id,age,outcome\n1,54,0\n2,61,1\n3,47,0\n4,70,1\n";
const COHORT_REWORKED = "id,age_group,outcome\n1,50-59,0\n2,60-69,1\n3,40-49,0\n4,70-79,1\n";
const MODEL = "fit <- glm(outcome ~ age_group, family = binomial, data = cohort)\n";
const MODEL_REWORKED = `set.seed(1)\n${MODEL}`;
const RESULT = "term,estimate\nage_group,0.42\n";

/** What each hospital uploads. */
const UPLOADS: Readonly<Record<string, Record<string, string>>> = {
  "hospital-a": {
    "patients.csv": "id,age,outcome\n1,54,0\n2,61,1\n",
    "readme.txt": "Cohort of hospital A\n",
  },
  "hospital-b": { "patients.csv": "id,age,outcome\n3,47,0\n4,70,1\n" },
};

const rw = (path: string, volume: string): ExpectedMount => ({ path, volume, mode: "rw" });
const ro = (path: string, volume: string): ExpectedMount => ({ path, volume, mode: "ro" });
const writes = (by: string, path: string, text: string): Probe => ({ by, does: "write", path, text });
const reads = (by: string, path: string, text: string): Probe => ({ by, does: "read", path, text });
const cannotWrite = (by: string, path: string): Probe => ({ by, does: "write", path, text: null });
const cannotRead = (by: string, path: string): Probe => ({ by, does: "read", path, text: null });

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
  key: PREPROCESSING,
  username: preprocessor.username,
  uid: null,
  network: "isolated",
  mounts: [
    ro("/data/raw", "raw"),
    rw("/data/prepared", "prepared"),
    rw(`/home/${preprocessor.username}`, `staff-home/${PREPROCESSING}`),
  ],
};

/** Row DATA_PREPARATION_REVIEW_PENDING: prepared read-only, isolated. */
const preparationReview: ExpectedWorkspace = {
  key: PREPARATION_REVIEW,
  username: reviewer.username,
  uid: null,
  network: "isolated",
  mounts: [
    ro("/data/prepared", "prepared"),
    rw(`/home/${reviewer.username}`, `staff-home/${PREPARATION_REVIEW}`),
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
  key: SETUP_REVIEW,
  username: setupReviewer.username,
  uid: null,
  network: "isolated",
  mounts: [
    ...RESEARCHERS.map(({ username }) => ro(`/review/${username}`, `home/${username}`)),
    ro("/project", "project"),
    rw(`/home/${setupReviewer.username}`, `staff-home/${SETUP_REVIEW}`),
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
const prepared = ["raw", "prepared", `staff-home/${PREPROCESSING}`];
const reviewed = [...prepared, `staff-home/${PREPARATION_REVIEW}`];
const setUp = [...reviewed, "project", ...homes];
const setUpReviewed = [...setUp, `staff-home/${SETUP_REVIEW}`];
const analysed = [...setUpReviewed, "outputs"];
/** Invariant 3: written beside data from ANALYSIS_ACTIVE on. */
const tainted = ["project", ...homes];

const batches: ExpectedBatch[] = HOLDERS.map(({ id }) => ({
  volume: "raw",
  folder: `${id}/batch-1`,
  files: UPLOADS[id] ?? {},
}));

function truth(
  running: readonly ExpectedWorkspace[],
  volumes: readonly string[],
  more: { stopped?: readonly string[]; tainted?: readonly string[] } = {},
): ExpectedTruth {
  return { running, volumes, stopped: more.stopped ?? [], tainted: more.tainted ?? [] };
}

function status(word: string, data: Record<string, unknown> = {}): Act["event"] {
  return { type: "permit.status.updated", data: { status: word, ...data } };
}

const ingress: Act[] = [
  {
    title: "permit.ingress.initiated",
    story: "Each data holder gets an airlock of their own: SFTP in, from their own addresses, nothing out.",
    event: {
      type: "permit.ingress.initiated",
      data: { dataHolders: HOLDERS, researchers: RESEARCHERS, ...STAFF },
    },
    truth: truth(airlocks, uploads),
    probes: HOLDERS.flatMap(({ id }) =>
      Object.entries(UPLOADS[id] ?? {}).flatMap(([name, text]) => [
        writes(`airlock/${id}`, `/uploads/${id}/${name}`, text),
        cannotRead(`airlock/${id}`, `/uploads/${id}/${name}`),
      ])
    ),
    batches: [],
    status: "RUNNING",
    connects: "hospital-a",
  },
  {
    title: "AWAITING_INGRESS",
    story: "Nothing new; the airlocks that run, stay.",
    event: status("AWAITING_INGRESS"),
    truth: truth(airlocks, uploads),
    probes: [],
    batches: [],
    status: "RUNNING",
    connects: "hospital-b",
  },
];

const preparation: Act[] = [
  {
    title: "DATA_PREPARATION_PENDING",
    story:
      "The airlocks go, the uploads are copied into raw and verified, then destroyed; the preprocessor starts.",
    event: status("DATA_PREPARATION_PENDING"),
    truth: truth([preprocessing], prepared),
    probes: [
      reads(
        PREPROCESSING,
        "/data/raw/hospital-a/batch-1/patients.csv",
        UPLOADS["hospital-a"]?.["patients.csv"] ?? "",
      ),
      cannotWrite(PREPROCESSING, "/data/raw/hospital-a/batch-1/patients.csv"),
      writes(PREPROCESSING, "/data/prepared/cohort.csv", COHORT),
      writes(PREPROCESSING, `/home/${preprocessor.username}/prepare.sh`, "cat raw/*/*/patients.csv\n"),
    ],
    batches,
    status: "RUNNING",
    connects: preprocessor.username,
  },
  {
    title: "DATA_PREPARATION_REVIEW_PENDING",
    story: "Preprocessing stops; the reviewer reads what was prepared.",
    event: status("DATA_PREPARATION_REVIEW_PENDING"),
    truth: truth([preparationReview], reviewed, { stopped: [PREPROCESSING] }),
    probes: [
      reads(PREPARATION_REVIEW, "/data/prepared/cohort.csv", COHORT),
      cannotWrite(PREPARATION_REVIEW, "/data/prepared/cohort.csv"),
      cannotRead(PREPARATION_REVIEW, "/data/raw/hospital-a/batch-1/patients.csv"),
    ],
    batches,
    status: "RUNNING",
    connects: reviewer.username,
  },
  {
    title: "DATA_PREPARATION_REWORK",
    story: "The review asked for changes: preprocessing runs again as it was left.",
    event: status("DATA_PREPARATION_REWORK"),
    truth: truth([preprocessing], reviewed),
    probes: [
      reads(PREPROCESSING, `/home/${preprocessor.username}/prepare.sh`, "cat raw/*/*/patients.csv\n"),
      writes(PREPROCESSING, "/data/prepared/cohort.csv", COHORT_REWORKED),
    ],
    batches,
    status: "RUNNING",
    connects: preprocessor.username,
  },
  {
    title: "DATA_PREPARATION_REVIEW_PENDING, again",
    story: "The reviewer sees the rework.",
    event: status("DATA_PREPARATION_REVIEW_PENDING"),
    truth: truth([preparationReview], reviewed, { stopped: [PREPROCESSING] }),
    probes: [
      reads(PREPARATION_REVIEW, "/data/prepared/cohort.csv", COHORT_REWORKED),
      cannotWrite(PREPARATION_REVIEW, "/data/prepared/cohort.csv"),
    ],
    batches,
    status: "RUNNING",
    connects: reviewer.username,
  },
];

const setup: Act[] = [
  {
    title: "WORKSPACE_SETUP_PENDING",
    story: "The researchers install their tools through the proxy; there is no data here.",
    event: status("WORKSPACE_SETUP_PENDING"),
    truth: truth(researchSetup, setUp),
    probes: [
      writes(FIRST, "/project/model.R", MODEL),
      reads(SECOND, "/project/model.R", MODEL),
      writes(SECOND, `/home/${SECOND_NAME}/.Rprofile`, "options(digits = 3)\n"),
      cannotRead(FIRST, "/data/prepared/cohort.csv"),
      cannotRead(FIRST, `/home/${SECOND_NAME}/.Rprofile`),
    ],
    batches,
    status: "RUNNING",
    connects: FIRST_NAME,
  },
  {
    title: "WORKSPACE_SETUP_REVIEW_PENDING",
    story: "The way out is cut, research stops; the setup reviewer reads homes and project.",
    event: status("WORKSPACE_SETUP_REVIEW_PENDING"),
    truth: truth([setupReview], setUpReviewed, { stopped: RESEARCH }),
    probes: [
      reads(SETUP_REVIEW, "/project/model.R", MODEL),
      reads(SETUP_REVIEW, `/review/${SECOND_NAME}/.Rprofile`, "options(digits = 3)\n"),
      cannotWrite(SETUP_REVIEW, "/project/model.R"),
      cannotWrite(SETUP_REVIEW, `/review/${FIRST_NAME}/note.txt`),
    ],
    batches,
    status: "RUNNING",
    connects: setupReviewer.username,
  },
  {
    title: "WORKSPACE_SETUP_REWORK",
    story: "The review asked for changes: research runs again, through the proxy.",
    event: status("WORKSPACE_SETUP_REWORK"),
    truth: truth(researchSetup, setUpReviewed),
    probes: [writes(FIRST, "/project/model.R", MODEL_REWORKED)],
    batches,
    status: "RUNNING",
    connects: SECOND_NAME,
  },
  {
    title: "WORKSPACE_SETUP_REVIEW_PENDING, again",
    story: "The setup reviewer sees the rework.",
    event: status("WORKSPACE_SETUP_REVIEW_PENDING"),
    truth: truth([setupReview], setUpReviewed, { stopped: RESEARCH }),
    probes: [
      reads(SETUP_REVIEW, "/project/model.R", MODEL_REWORKED),
      cannotWrite(SETUP_REVIEW, "/project/model.R"),
    ],
    batches,
    status: "RUNNING",
    connects: setupReviewer.username,
  },
];

const analysisTruth = truth(researchAnalysis, analysed, { tainted });
const analysisProbes: Probe[] = [
  reads(FIRST, "/data/prepared/cohort.csv", COHORT_REWORKED),
  cannotWrite(FIRST, "/data/prepared/cohort.csv"),
  cannotRead(SECOND, "/data/raw/hospital-a/batch-1/patients.csv"),
];

/** What the permit has worked for: no stop, start or archive may touch it. */
const kept: ExpectedFile[] = [
  { volume: "prepared", path: "cohort.csv", text: COHORT_REWORKED },
  { volume: "outputs", path: "result.csv", text: RESULT },
  { volume: "project", path: "model.R", text: MODEL_REWORKED },
];

const analysis: Act[] = [
  {
    title: "ANALYSIS_ACTIVE",
    story: "Isolated first and proven, then the data: home and project are sensitive from here on.",
    event: status("ANALYSIS_ACTIVE", { expiresAt: "2030-06-30T00:00:00Z" }),
    truth: analysisTruth,
    probes: [
      ...analysisProbes,
      writes(FIRST, "/data/outputs/result.csv", RESULT),
      reads(SECOND, "/data/outputs/result.csv", RESULT),
    ],
    batches,
    status: "RUNNING",
    connects: FIRST_NAME,
    repeats: true,
  },
  {
    title: "permit.workspace.stop_requested",
    story: "Research stops; storage, accounts and addresses stay.",
    event: { type: "permit.workspace.stop_requested", data: {} },
    truth: truth([], analysed, { stopped: RESEARCH, tainted }),
    probes: [],
    batches,
    kept,
    status: "STOPPED",
    connects: null,
  },
  {
    title: "permit.workspace.start_requested",
    story: "Research runs again, with new passwords and the same data.",
    event: { type: "permit.workspace.start_requested", data: {} },
    truth: analysisTruth,
    probes: [...analysisProbes, reads(SECOND, "/data/outputs/result.csv", RESULT)],
    batches,
    status: "RUNNING",
    connects: SECOND_NAME,
  },
];

const end: Act[] = [
  {
    title: "ARCHIVED",
    story: "No workspace exists; every volume is kept.",
    event: status("ARCHIVED"),
    truth: truth([], analysed, { tainted }),
    probes: [],
    batches,
    kept,
    status: "ARCHIVED",
    connects: null,
  },
  {
    title: "permit.deleted",
    story: "Everything is destroyed, volumes included, and proven gone.",
    event: { type: "permit.deleted", data: {} },
    truth: truth([], []),
    probes: [],
    batches: [],
    status: "DESTROYED",
    connects: null,
  },
];

/** The whole life, in order. */
export const ACTS: readonly Act[] = [...ingress, ...preparation, ...setup, ...analysis, ...end];

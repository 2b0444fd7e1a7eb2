/** One permit's life, act by act: what is sent, what people do then, and what must be. */
import type { Act, Probe } from "./act.ts";
import { BATCHES, COHORT, COHORT_REWORKED, KEPT, MODEL, MODEL_REWORKED, RESULT, UPLOADS } from "./content.ts";
import { HOLDERS, RESEARCH_KEYS, RESEARCHERS, STAFF, STAFF_KEYS } from "./people.ts";
import { cannotRead, cannotWrite, reads, writes } from "./probe.ts";
import { TRUTHS } from "./truth.ts";

const { preprocessor, reviewer, setupReviewer } = STAFF;
const {
  preprocessing: PREPROCESSING,
  preparationReview: PREPARATION_REVIEW,
  setupReview: SETUP_REVIEW,
} = STAFF_KEYS;
const [FIRST = "", SECOND = ""] = RESEARCH_KEYS;
const [FIRST_NAME = "", SECOND_NAME = ""] = RESEARCHERS.map(({ username }) => username);

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
    truth: TRUTHS.ingress,
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
    truth: TRUTHS.ingress,
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
    truth: TRUTHS.preparation,
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
    batches: BATCHES,
    status: "RUNNING",
    connects: preprocessor.username,
  },
  {
    title: "DATA_PREPARATION_REVIEW_PENDING",
    story: "Preprocessing stops; the reviewer reads what was prepared.",
    event: status("DATA_PREPARATION_REVIEW_PENDING"),
    truth: TRUTHS.preparationReview,
    probes: [
      reads(PREPARATION_REVIEW, "/data/prepared/cohort.csv", COHORT),
      cannotWrite(PREPARATION_REVIEW, "/data/prepared/cohort.csv"),
      cannotRead(PREPARATION_REVIEW, "/data/raw/hospital-a/batch-1/patients.csv"),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: reviewer.username,
  },
  {
    title: "DATA_PREPARATION_REWORK",
    story: "The review asked for changes: preprocessing runs again as it was left.",
    event: status("DATA_PREPARATION_REWORK"),
    truth: TRUTHS.preparationRework,
    probes: [
      reads(PREPROCESSING, `/home/${preprocessor.username}/prepare.sh`, "cat raw/*/*/patients.csv\n"),
      writes(PREPROCESSING, "/data/prepared/cohort.csv", COHORT_REWORKED),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: preprocessor.username,
  },
  {
    title: "DATA_PREPARATION_REVIEW_PENDING, again",
    story: "The reviewer sees the rework.",
    event: status("DATA_PREPARATION_REVIEW_PENDING"),
    truth: TRUTHS.preparationReview,
    probes: [
      reads(PREPARATION_REVIEW, "/data/prepared/cohort.csv", COHORT_REWORKED),
      cannotWrite(PREPARATION_REVIEW, "/data/prepared/cohort.csv"),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: reviewer.username,
  },
];

const setup: Act[] = [
  {
    title: "WORKSPACE_SETUP_PENDING",
    story: "The researchers install their tools through the proxy; there is no data here.",
    event: status("WORKSPACE_SETUP_PENDING"),
    truth: TRUTHS.setup,
    probes: [
      writes(FIRST, "/project/model.R", MODEL),
      reads(SECOND, "/project/model.R", MODEL),
      writes(SECOND, `/home/${SECOND_NAME}/.Rprofile`, "options(digits = 3)\n"),
      cannotRead(FIRST, "/data/prepared/cohort.csv"),
      cannotRead(FIRST, `/home/${SECOND_NAME}/.Rprofile`),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: FIRST_NAME,
  },
  {
    title: "WORKSPACE_SETUP_REVIEW_PENDING",
    story: "The way out is cut, research stops; the setup reviewer reads homes and project.",
    event: status("WORKSPACE_SETUP_REVIEW_PENDING"),
    truth: TRUTHS.setupReview,
    probes: [
      reads(SETUP_REVIEW, "/project/model.R", MODEL),
      reads(SETUP_REVIEW, `/review/${SECOND_NAME}/.Rprofile`, "options(digits = 3)\n"),
      cannotWrite(SETUP_REVIEW, "/project/model.R"),
      cannotWrite(SETUP_REVIEW, `/review/${FIRST_NAME}/note.txt`),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: setupReviewer.username,
  },
  {
    title: "WORKSPACE_SETUP_REWORK",
    story: "The review asked for changes: research runs again, through the proxy.",
    event: status("WORKSPACE_SETUP_REWORK"),
    truth: TRUTHS.setupRework,
    probes: [writes(FIRST, "/project/model.R", MODEL_REWORKED)],
    batches: BATCHES,
    status: "RUNNING",
    connects: SECOND_NAME,
  },
  {
    title: "WORKSPACE_SETUP_REVIEW_PENDING, again",
    story: "The setup reviewer sees the rework.",
    event: status("WORKSPACE_SETUP_REVIEW_PENDING"),
    truth: TRUTHS.setupReview,
    probes: [
      reads(SETUP_REVIEW, "/project/model.R", MODEL_REWORKED),
      cannotWrite(SETUP_REVIEW, "/project/model.R"),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: setupReviewer.username,
  },
];

const analysisProbes: Probe[] = [
  reads(FIRST, "/data/prepared/cohort.csv", COHORT_REWORKED),
  cannotWrite(FIRST, "/data/prepared/cohort.csv"),
  cannotRead(SECOND, "/data/raw/hospital-a/batch-1/patients.csv"),
];

const analysis: Act[] = [
  {
    title: "ANALYSIS_ACTIVE",
    story: "Isolated first and proven, then the data: home and project are sensitive from here on.",
    event: status("ANALYSIS_ACTIVE", { expiresAt: "2030-06-30T00:00:00Z" }),
    truth: TRUTHS.analysis,
    probes: [
      ...analysisProbes,
      writes(FIRST, "/data/outputs/result.csv", RESULT),
      reads(SECOND, "/data/outputs/result.csv", RESULT),
    ],
    batches: BATCHES,
    status: "RUNNING",
    connects: FIRST_NAME,
    repeats: true,
  },
  {
    title: "permit.workspace.stop_requested",
    story: "Research stops; storage, accounts and addresses stay.",
    event: { type: "permit.workspace.stop_requested", data: {} },
    truth: TRUTHS.analysisStopped,
    probes: [],
    batches: BATCHES,
    kept: KEPT,
    status: "STOPPED",
    connects: null,
  },
  {
    title: "permit.workspace.start_requested",
    story: "Research runs again, with new passwords and the same data.",
    event: { type: "permit.workspace.start_requested", data: {} },
    truth: TRUTHS.analysis,
    probes: [...analysisProbes, reads(SECOND, "/data/outputs/result.csv", RESULT)],
    batches: BATCHES,
    status: "RUNNING",
    connects: SECOND_NAME,
  },
];

const end: Act[] = [
  {
    title: "ARCHIVED",
    story: "No workspace exists; every volume is kept.",
    event: status("ARCHIVED"),
    truth: TRUTHS.archived,
    probes: [],
    batches: BATCHES,
    kept: KEPT,
    status: "ARCHIVED",
    connects: null,
  },
  {
    title: "permit.deleted",
    story: "Everything is destroyed, volumes included, and proven gone.",
    event: { type: "permit.deleted", data: {} },
    truth: TRUTHS.deleted,
    probes: [],
    batches: [],
    status: "DESTROYED",
    connects: null,
  },
];

/** The whole life, in order. */
export const ACTS: readonly Act[] = [...ingress, ...preparation, ...setup, ...analysis, ...end];

/** What people write into their volumes, and where it must lie afterwards. */
import type { ExpectedBatch, ExpectedFile } from "./act.ts";
import { HOLDERS } from "./people.ts";

/** The prepared cohort. */
export const COHORT = "id,age,outcome\n1,54,0\n2,61,1\n3,47,0\n4,70,1\n";
/** The cohort after the rework. */
export const COHORT_REWORKED = "id,age_group,outcome\n1,50-59,0\n2,60-69,1\n3,40-49,0\n4,70-79,1\n";
/** The researchers' model. */
export const MODEL = "fit <- glm(outcome ~ age_group, family = binomial, data = cohort)\n";
/** The model after the rework. */
export const MODEL_REWORKED = `set.seed(1)\n${MODEL}`;
/** What the analysis finds. */
export const RESULT = "term,estimate\nage_group,0.42\n";

/** What each hospital uploads. */
export const UPLOADS: Readonly<Record<string, Record<string, string>>> = {
  "hospital-a": {
    "patients.csv": "id,age,outcome\n1,54,0\n2,61,1\n",
    "readme.txt": "Cohort of hospital A\n",
  },
  "hospital-b": { "patients.csv": "id,age,outcome\n3,47,0\n4,70,1\n" },
};

/** The uploads as the consolidation leaves them. */
export const BATCHES: ExpectedBatch[] = HOLDERS.map(({ id }) => ({
  volume: "raw",
  folder: `${id}/batch-1`,
  files: UPLOADS[id] ?? {},
}));

/** What the permit has worked for: no stop, start or archive may touch it. */
export const KEPT: ExpectedFile[] = [
  { volume: "prepared", path: "cohort.csv", text: COHORT_REWORKED },
  { volume: "outputs", path: "result.csv", text: RESULT },
  { volume: "project", path: "model.R", text: MODEL_REWORKED },
];

/** Which platform the workspaces run on. */
import { z } from "zod";
import { type KubernetesSettings, kubernetesSettings } from "../../drivers/kubernetes/settings.ts";
import { labSection, type LabSettings, labSettings } from "../../drivers/lab/settings.ts";
import { section } from "../fields.ts";

/** `drivers:`: exactly one. */
export type DriversSettings =
  | { kubernetes: KubernetesSettings; lab: null }
  | { kubernetes: null; lab: LabSettings };

/** `drivers:`. */
export const driversSection: z.ZodType<DriversSettings> = section({
  kubernetes: kubernetesSettings.optional(),
  lab: labSection.transform(labSettings).optional(),
}).prefault({}).transform(({ kubernetes, lab }, context): DriversSettings => {
  if (kubernetes !== undefined && lab === undefined) return { kubernetes, lab: null };
  if (lab !== undefined && kubernetes === undefined) return { kubernetes: null, lab };
  context.addIssue({
    code: "custom",
    message: lab === undefined
      ? "expected a driver: kubernetes: { kubeconfig: … }, or lab: {} for a simulated cluster"
      : "expected exactly one driver; remove lab or kubernetes",
  });
  return z.NEVER;
});

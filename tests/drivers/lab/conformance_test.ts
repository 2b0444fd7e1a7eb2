/** The lab passes the suite that the real cluster passes. */
import { driverSuite } from "../../conformance/driver_suite.ts";
import { labBackend } from "./backend.ts";

driverSuite("lab", () => Promise.resolve(labBackend()));

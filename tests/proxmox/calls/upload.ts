/** Uploading ISO images. */
import { createHash } from "node:crypto";
import { failure, parameterError } from "../wire/errors.ts";
import type { TaskRun } from "../state/tasks.ts";
import { type Call, type CallTable, startTask } from "./call.ts";

/** ISO 9660: the volume descriptors begin at sector 16 of 2048 bytes, with this after their first byte. */
const DESCRIPTOR_AT = 16 * 2048 + 1;
const DESCRIPTOR_MARK = "CD001";

function isIso(bytes: Uint8Array): boolean {
  const mark = bytes.subarray(DESCRIPTOR_AT, DESCRIPTOR_AT + DESCRIPTOR_MARK.length);
  return new TextDecoder().decode(mark) === DESCRIPTOR_MARK;
}

/** As the server names a file: nothing before a slash, and nothing that a shell would mind. */
function normalizeFilename(filename: string): string {
  return (filename.split("/").at(-1) ?? "").replace(/[^-a-zA-Z0-9_.+]/g, "_");
}

function upload(call: Call): string {
  const { world, values, upload } = call;
  const storage = world.volumes.storage(values.need("storage"));
  if (upload === undefined) throw failure("missing temporary file name");
  const content = values.need("content");
  const filename = normalizeFilename(values.need("filename"));
  if (content !== "iso") throw parameterError({ content: `upload content type '${content}' not allowed` });
  if (!/^[^/]+\.(?:iso|img)$/i.test(filename)) throw parameterError({ filename: "wrong file extension" });
  if (!storage.content.includes("iso")) {
    throw failure(`storage '${storage.id}' does not support 'iso' content`);
  }
  const { bytes } = upload;
  return startTask(call, "imgcopy", "", async (run) => {
    run.print("starting file import from: /var/tmp/pveupload-0");
    checkContent(call, run, filename, bytes);
    const target = `${storage.path}/template/iso/${filename}`;
    run.print(`target node: ${values.node}`);
    run.print(`target file: ${target}`);
    run.print(`file size is: ${bytes.length}`);
    run.print(`command: cp -- /var/tmp/pveupload-0 ${target}`);
    await run.pause(world.timings.stepMs);
    world.volumes.add({
      storage: storage.id,
      name: `iso/${filename}`,
      content: "iso",
      format: "iso",
      sizeBytes: bytes.length,
      owner: undefined,
      base: undefined,
      createdMs: world.clock.now(),
      files: new Map(),
      bytes,
    });
    run.print("finished file import successfully");
  });
}

function checkContent({ values }: Call, run: TaskRun, filename: string, bytes: Uint8Array): void {
  const algorithm = values.text("checksum-algorithm");
  if (algorithm !== undefined) {
    const expected = values.need("checksum");
    const got = createHash(algorithm).update(bytes).digest("hex");
    if (got !== expected.toLowerCase()) {
      throw failure(`checksum mismatch: got '${got}' != expect '${expected}'`);
    }
    run.print("calculating checksum...OK, checksum verified");
  }
  if (!isIso(bytes)) throw failure(`${filename}: wrong ISO content`);
}

/** The call that uploads. */
export const UPLOAD: CallTable = { "POST /nodes/{node}/storage/{storage}/upload": upload };

/**
 * How often a condition is asked again: after a tenth of the time that was waited for it so far, so that what is soon
 * true is soon seen, and whoever waits long takes no core from what it waits for.
 */
const ASK_AGAIN_MIN_MS = 20, ASK_AGAIN_MAX_MS = 250;

/**
 * Waits until a condition holds, by asking it.
 *
 * In: what is waited for (for the error), a question answering with a value, or undefined or false while
 * it does not hold, and the longest wait in milliseconds. Out: the value.
 * Throws an Error that names what never came true, with the last error of the question.
 */
export async function until<T>(
  what: string,
  question: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const begun = Date.now();
  let last: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    const waitedMs = Date.now() - begun;
    if (waitedMs > timeoutMs) {
      throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`, { cause: last });
    }
    const pauseMs = Math.min(Math.max(waitedMs / 10, ASK_AGAIN_MIN_MS), ASK_AGAIN_MAX_MS);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

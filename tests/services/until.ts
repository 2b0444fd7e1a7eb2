/** How often a condition is asked again: short against anything a test waits for. */
const ASK_AGAIN_MS = 20;

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
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

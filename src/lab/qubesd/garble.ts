/** How an answer is spoilt, and of which call; null: of all. */
export interface Garbling {
  readonly kind: keyof typeof KINDS
  readonly method: string | null
}

/** More than anybody should read of an answer. */
const ENDLESS = 8 * 1024 * 1024

/** Each takes the answer as it would be. */
const KINDS = {
  /** As if qubesd had died while it wrote. */
  half: (answer: string) => answer.slice(0, Math.ceil(answer.length / 2)),
  endless: (answer: string) => answer.padEnd(ENDLESS, 'x'),
  noise: () => '\u001b[2J\u0000\u0007\u202e'.repeat(200),
  nothing: () => '',
  /** An exception that would clear a screen and turn its text around. */
  escape: () => '2\0QubesException\0\0\u001b[2J\u202eall is well\u0007\0',
} as const satisfies Record<string, (answer: string) => string>

/** Reads `KIND` or `KIND:METHOD`; undefined for anything else. */
export function readGarbling(text: string): Garbling | undefined {
  const [kind = '', method] = text.split(':')
  return Object.hasOwn(KINDS, kind) ? { kind: kind as Garbling['kind'], method: method ?? null } : undefined
}

/** An answer, spoilt where this call's is to be. */
export function garbled(answer: string, method: string, garbling: Garbling | null): string {
  if (garbling === null || (garbling.method !== null && garbling.method !== method)) return answer
  return KINDS[garbling.kind](answer)
}

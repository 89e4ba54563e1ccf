import { readPolicy } from './directory.ts'
import type { PolicyLine } from './parse.ts'

/** What policy says of one call, and which line said it. */
export interface Decision {
  readonly action: 'allow' | 'ask' | 'deny'
  /** The user on the target's side, when the line names one. */
  readonly user: string | null
  /** The target after `target=`. */
  readonly target: string
  readonly autostart: boolean
  /** `FILE:LINE` of the line that decided; null when no line did. */
  readonly decidedBy: string | null
  readonly reason: string
}

/** A call between qubes that wants a decision. */
export interface PolicyQuestion {
  readonly source: string
  readonly target: string
  /** `SERVICE` or `SERVICE+ARGUMENT`. */
  readonly service: string
}

const deny = (target: string, reason: string): Decision => ({
  action: 'deny',
  user: null,
  target,
  autostart: true,
  decidedBy: null,
  reason,
})

/** Evaluates the directories as they are now; whatever is wrong in them denies. */
export function evaluatePolicy(dirs: readonly string[], question: PolicyQuestion): Decision {
  let lines: readonly PolicyLine[]
  try {
    lines = readPolicy(dirs)
  } catch (error) {
    return deny(question.target, `policy cannot be read: ${(error as Error).message}`)
  }
  return decide(lines, question)
}

/** The first line that fits decides; none is deny. A name fits itself only: `work` is not `work-dm`. */
export function decide(lines: readonly PolicyLine[], question: PolicyQuestion): Decision {
  const plus = question.service.indexOf('+')
  const name = plus < 0 ? question.service : question.service.slice(0, plus)
  const argument = plus < 0 ? '+' : question.service.slice(plus)
  const line = lines.find(
    (candidate) =>
      (candidate.service === '*' || candidate.service === name) &&
      (candidate.argument === '*' || candidate.argument === argument) &&
      fits(candidate.source, question.source) &&
      fits(candidate.target, question.target),
  )
  if (line === undefined) return deny(question.target, 'no policy line fits')
  return {
    action: line.action,
    user: line.options.user ?? null,
    target: line.options.target ?? question.target,
    autostart: line.options.autostart !== 'no',
    decidedBy: `${line.file}:${line.line}`,
    reason: `${line.action} by ${line.file}:${line.line}`,
  }
}

function fits(pattern: string, name: string): boolean {
  const isDom0 = name === 'dom0' || name === '@adminvm'
  if (pattern === '@adminvm' || pattern === 'dom0') return isDom0
  if (pattern === '*') return true
  if (pattern === '@anyvm') return !isDom0
  return pattern === name
}

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

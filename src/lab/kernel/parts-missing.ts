/** The kernel engine cannot run here; `hint` says what is missing and how to get it. */
export class PartsMissing extends Error {
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'PartsMissing'
    this.hint = hint
  }
}

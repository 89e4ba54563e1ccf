/** What the options of a rule say. */
export interface RuleOptions {
  /** Start the frontend where it is halted. */
  start: boolean
  /** The rule counts only while its frontend runs. */
  whenRunning: boolean
  /** Seconds between the plug and the attach. */
  delay: number
  /** How often an attach that failed is tried again. */
  retry: number
  /** Tell the desktop what was done. */
  notify: boolean
}

/** An option as a rule writes it: what the parser takes and what the manual says. */
export interface OptionDoc {
  /** As it is written before the `=`. */
  name: string
  field: keyof RuleOptions
  /** The values it takes: yes or no, or a whole number up to a limit. */
  values: { kind: 'switch' } | { kind: 'number'; most: number; unit: 's' | 'times' }
  default: boolean | number
  /** In a sentence, for the manual. */
  meaning: string
}

export const OPTIONS: readonly OptionDoc[] = [
  {
    name: 'start',
    field: 'start',
    values: { kind: 'switch' },
    default: false,
    meaning:
      'Start the frontend where it is halted. Without it the device waits until somebody starts the frontend.',
  },
  {
    name: 'when-running',
    field: 'whenRunning',
    values: { kind: 'switch' },
    default: false,
    meaning: 'The rule counts only while its frontend runs; else the next rule is looked at.',
  },
  {
    name: 'delay',
    field: 'delay',
    values: { kind: 'number', most: 3600, unit: 's' },
    default: 0,
    meaning: 'Wait so many seconds after the device was plugged in before it is attached.',
  },
  {
    name: 'retry',
    field: 'retry',
    values: { kind: 'number', most: 100, unit: 'times' },
    default: 0,
    meaning: 'Try an attach that failed so many times again, after pauses that grow.',
  },
  {
    name: 'notify',
    field: 'notify',
    values: { kind: 'switch' },
    default: false,
    meaning: 'Say on the desktop what was done with the device.',
  },
]

/** What a rule without options says. */
export const DEFAULT_OPTIONS: RuleOptions = {
  start: false,
  whenRunning: false,
  delay: 0,
  retry: 0,
  notify: false,
}

/** The values that an option takes, for a message: `yes or no`. */
export function valuesOf({ values }: OptionDoc): string {
  if (values.kind === 'switch') return 'yes or no'
  return `a whole number from 0 to ${values.most}${values.unit === 's' ? ', in seconds' : ''}`
}

/** @returns undefined for what is no value of this option */
export function parseValue({ values }: OptionDoc, text: string): boolean | number | undefined {
  if (values.kind === 'switch') return text === 'yes' ? true : text === 'no' ? false : undefined
  const digits = (values.unit === 's' ? /^([0-9]{1,9})s?$/ : /^([0-9]{1,9})$/).exec(text)?.[1]
  const number = Number(digits ?? Number.NaN)
  return number <= values.most ? number : undefined
}

/** The options that say something else than their default, as a rule writes them. */
export function formatOptions(options: RuleOptions): string[] {
  return OPTIONS.filter(({ field, default: usual }) => options[field] !== usual).map(({ name, field }) => {
    const value = options[field]
    return `${name}=${typeof value === 'boolean' ? (value ? 'yes' : 'no') : value}`
  })
}

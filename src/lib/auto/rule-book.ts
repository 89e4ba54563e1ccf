import { type FSWatcher, watch } from 'node:fs'
import type { Warning } from '../passthrough/results.ts'
import { brokenRules, loadRules, rulesDirectoryOf } from '../rules/load.ts'
import type { Rule } from '../rules/rule.ts'
import type { Site } from '../site/site.ts'

/** The rules as their files have them now. While they are broken none counts, and that is said once. */
export class RuleBook {
  readonly #site: Site
  readonly #warn: (warning: Warning) => void
  #text = ''
  #trouble: string | undefined
  #watcher: FSWatcher | undefined
  rules: readonly Rule[] = []

  constructor(site: Site, warn: (warning: Warning) => void) {
    this.#site = site
    this.#warn = warn
  }

  /**
   * Reads the files: they are few and small, and a rule that was just written counts.
   * @returns whether they say something else than before
   */
  read(): boolean {
    const loaded = loadRules(this.#site)
    this.rules = 'rules' in loaded ? loaded.rules : []
    const trouble = 'problems' in loaded ? brokenRules(loaded.problems) : undefined
    if (trouble !== undefined && trouble.message !== this.#trouble) {
      const message = `${trouble.message}; nothing is attached by rule`
      this.#warn({ qube: null, code: 'RULES', message, hint: trouble.hint ?? null })
    }
    this.#trouble = trouble?.message
    const text = this.rules.map(({ source }) => source).join('\n')
    const changed = text !== this.#text
    this.#text = text
    return changed
  }

  /** Tells when a file may have changed. Without it a change counts from the next look on. */
  watch(onChange: () => void): void {
    try {
      this.#watcher = watch(rulesDirectoryOf(this.#site), { persistent: false }, onChange)
      this.#watcher.on('error', () => this.close())
    } catch {
      // No such directory yet.
    }
  }

  close(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

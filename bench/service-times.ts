import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchLab } from './lab.ts'

/** What stands in for qrexec-client: it calls it, and of one service notes how long the call took. */
export interface TimedService {
  client: string
  /** A site file that names it. */
  siteFile: string
  /** How long the last call took, ms. */
  last: () => number
}

/** @param service the service whose calls are timed; others go through, a shell dearer */
export function timeService({ lab, site, directory }: BenchLab, service: string): TimedService {
  const client = join(directory, 'timed-client')
  const noted = join(directory, 'service-times')
  const script = `#!/bin/bash
case $* in
  *" ${service} "*) ;;
  *) exec ${site.qrexecClient} "$@" ;;
esac
begin=$EPOCHREALTIME
${site.qrexecClient} "$@"
code=$?
echo "$begin $EPOCHREALTIME" >${noted}
exit $code
`
  writeFileSync(client, script, { mode: 0o700 })
  const siteFile = join(directory, 'site.json')
  const said = JSON.parse(readFileSync(lab.site, 'utf8'))
  writeFileSync(siteFile, JSON.stringify({ ...said, qrexecClient: client }), { mode: 0o600 })
  const last = (): number => {
    const [begin = Number.NaN, end = Number.NaN] = readFileSync(noted, 'utf8').split(' ').map(Number)
    return (end - begin) * 1000
  }
  return { client, siteFile, last }
}

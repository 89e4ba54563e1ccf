import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Origin } from './origin.ts'
import { HOME } from './payload.ts'

export interface RpmRequest {
  origin: Origin
  /** The staged payload. */
  stage: string
  /** The list of its files. */
  files: string
  /** SPDX. */
  licence: string
  /** Names of the systemd units that are in it. */
  units: readonly string[]
}

/**
 * Makes the RPM: the same bytes from the same payload, whoever makes it, with the same rpm.
 * @param spec the spec file
 * @param work an empty directory for rpmbuild
 * @returns the file
 * @throws Error when there is no rpmbuild, or it fails
 */
export function makeRpm(spec: string, work: string, request: RpmRequest): string {
  const { origin, units } = request
  // No letter of a version sorts before its end but "~".
  const version = origin.version.replaceAll('-', '~')
  const out = join(work, 'RPMS')
  mkdirSync(out, { recursive: true })
  const defines: Record<string, string> = {
    the_version: version,
    the_release: origin.modified ? '0.modified' : '1',
    the_licence: request.licence,
    the_commit: origin.commit ?? 'none',
    the_stage: request.stage,
    the_files: request.files,
    the_units: units.join(' '),
    // Of a template, those that run; in quotes, since sh knows the star as well.
    the_instances: units.map((unit) => `'${unit.replace('@.', '@*.')}'`).join(' '),
    the_bundle: `${HOME}/dist/qusb.cjs`,
    the_cache_maker: `${HOME}/scripts/code-cache.cjs`,
    _topdir: work,
    _rpmdir: out,
    _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    // Nothing of the machine, the time or the distribution.
    _buildhost: 'reproducible',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    build_mtime_policy: 'clamp_to_source_date_epoch',
    source_date_epoch_from_changelog: '0',
    _binary_payload: 'w9.gzdio',
    __os_install_post: '%{nil}',
    dist: '%{nil}',
    vendor: '%{nil}',
    packager: '%{nil}',
    distribution: '%{nil}',
    optflags: '%{nil}',
    // dom0 has the group qubes, but no package that says so.
    _use_weak_usergroup_deps: '1',
  }
  const args = Object.entries(defines).flatMap(([name, value]) => [
    '--define',
    `${name} ${value === '' ? '%{nil}' : value}`,
  ])
  const run = spawnSync('rpmbuild', ['-bb', '--nodeps', '--target', 'noarch-linux', ...args, spec], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: work,
      LC_ALL: 'C',
      TZ: 'UTC',
      SOURCE_DATE_EPOCH: String(origin.epoch),
    },
    maxBuffer: 64 * 1024 * 1024,
  })
  if (run.error !== undefined) {
    throw new Error(
      'there is no rpmbuild: on Debian `sudo apt-get install rpm`, on Fedora `sudo dnf install rpm-build`',
    )
  }
  if (run.status !== 0) throw new Error(`rpmbuild ended with ${run.status}:\n${run.stdout}${run.stderr}`)
  const [file, ...others] = readdirSync(out)
  if (file === undefined || others.length > 0) throw new Error(`rpmbuild made ${readdirSync(out).join(', ')}`)
  return join(out, file)
}

import type { Bundled } from './bundled.ts'
import type { Origin } from './origin.ts'

/** What is in the package besides our own code: its bill of materials and its licences. */
export interface Papers {
  /** CycloneDX 1.6, JSON. */
  bill: string
  /** The licences of others' code, whole. */
  licences: string
  /** SPDX, for all of the package. */
  expression: string
}

/**
 * Writes the papers.
 * @param bundled by directory
 * @param direct the directories that our own code imports
 * @param own name, description and licence of our package.json
 */
export function writePapers(
  own: { name: string; description: string; license: string },
  origin: Origin,
  bundled: ReadonlyMap<string, Bundled>,
  direct: readonly string[],
): Papers {
  const packages = [...bundled.values()]
  const expression = [own.license, ...new Set(packages.map(({ licence }) => licence).sort())].join(' AND ')
  return { bill: writeBill(own, origin, bundled, direct), licences: writeLicences(packages), expression }
}

function writeBill(
  own: { name: string; description: string; license: string },
  origin: Origin,
  bundled: ReadonlyMap<string, Bundled>,
  direct: readonly string[],
): string {
  const self = `pkg:npm/${own.name}@${origin.version}`
  const refs = (directories: readonly string[]): string[] =>
    directories.flatMap((directory) => {
      const found = bundled.get(directory)
      return found === undefined ? [] : [purlOf(found)]
    })
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(origin.epoch * 1000).toISOString(),
      lifecycles: [{ phase: 'build' }],
      component: {
        type: 'application',
        'bom-ref': self,
        name: own.name,
        version: origin.version,
        description: own.description,
        licenses: [{ license: { id: own.license } }],
        purl: self,
        ...(origin.commit === null
          ? {}
          : {
              properties: [{ name: 'qusb:commit', value: `${origin.commit}${origin.modified ? '+' : ''}` }],
            }),
      },
    },
    components: [...bundled.values()].map((found) => {
      const [, group, name] = /^(?:(@[^/]+)\/)?(.+)$/.exec(found.name) ?? []
      return {
        type: 'library',
        'bom-ref': purlOf(found),
        ...(group === undefined ? {} : { group }),
        name,
        version: found.version,
        hashes: [{ alg: 'SHA-512', content: digestOf(found) }],
        licenses: [{ license: { id: found.licence } }],
        purl: purlOf(found),
      }
    }),
    dependencies: [
      { ref: self, dependsOn: refs(direct) },
      ...[...bundled.values()].map((found) => ({ ref: purlOf(found), dependsOn: refs(found.uses) })),
    ],
  }
  return `${JSON.stringify(bill, null, 2)}\n`
}

function purlOf({ name, version }: Bundled): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** Of its archive, in hex. */
function digestOf({ name, integrity }: Bundled): string {
  const [, digest] = /^sha512-([A-Za-z0-9+/=]+)$/.exec(integrity) ?? []
  if (digest === undefined) throw new Error(`${name}: ${integrity} is no SHA-512 digest`)
  return Buffer.from(digest, 'base64').toString('hex')
}

function writeLicences(packages: readonly Bundled[]): string {
  const rule = '-'.repeat(80)
  return [
    "qusb's bundles have code of the packages below, each under its own licence. Those under Apache-2.0 make the whole",
    'one under version 3 or later of the GNU General Public License.\n',
    ...packages.map(
      ({ name, version, licence, texts }) =>
        `${rule}\n${name} ${version} (${licence})\n${rule}\n\n${texts.join('\n\n')}\n`,
    ),
  ].join('\n')
}

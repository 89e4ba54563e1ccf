import type { Check } from './check.ts'
import { hintsCheck, watcherCheck } from './checks/auto.ts'
import { clientCheck, clientVmCheck, clockCheck, groupCheck, qubesdCheck } from './checks/dom0.ts'
import { configCheck, directoriesCheck, historyCheck, storeCheck } from './checks/files.ts'
import { grantsCheck, operationsCheck, stateFilesCheck, stuckCheck } from './checks/leftovers.ts'
import { denyRulesCheck, policyDirectoryCheck, policyFilesCheck } from './checks/policy.ts'
import { codeCacheCheck, nodeCheck } from './checks/program.ts'
import { answersCheck, backendsCheck, portsCheck, proxyCheck } from './checks/qubes.ts'
import { aliasesCheck, rulesCheck } from './checks/rules.ts'

/** All checks, in the order in which a person would look: what stands on what comes first. */
export const CHECKS: readonly Check[] = [
  nodeCheck,
  codeCacheCheck,
  clientCheck,
  clientVmCheck,
  groupCheck,
  qubesdCheck,
  clockCheck,
  directoriesCheck,
  configCheck,
  storeCheck,
  historyCheck,
  rulesCheck,
  aliasesCheck,
  policyDirectoryCheck,
  policyFilesCheck,
  denyRulesCheck,
  backendsCheck,
  answersCheck,
  proxyCheck,
  portsCheck,
  watcherCheck,
  hintsCheck,
  grantsCheck,
  operationsCheck,
  stateFilesCheck,
  stuckCheck,
]

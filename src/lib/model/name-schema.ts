import * as z from 'zod/mini'
import { isQubeName } from './names.ts'

/**
 * A name that a qube can have; dom0 included. Apart from the schemas of other fields, since the configuration, which every
 * run reads, needs this one alone.
 */
export const qubeNameSchema = z.string().check(z.refine(isQubeName, 'not a qube name')).brand<'QubeName'>()

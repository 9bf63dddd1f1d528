import type { Avatar } from '../../record/types.ts'

/** The options of `migrate`. */
export interface MigrateOptions {
  readonly from?: string
  readonly allowPrivate?: true
  readonly fromV1?: string
  readonly to?: string
  readonly unsigned?: string
  readonly replace?: true
  readonly skipInvalid?: true
  readonly yes?: true
  readonly watch?: true
  readonly links?: boolean
  readonly network?: string
  readonly workDir?: string
  readonly key?: string
  readonly updateHomes?: true
  readonly home?: string
  readonly leaveOld?: true
  readonly json?: true
}

type With<Name extends keyof MigrateOptions> = MigrateOptions & Required<Pick<MigrateOptions, Name>>
export type MoveOptions = With<'from' | 'to'>
export type MigrateV1Options = With<'fromV1' | 'to'> & { readonly avatar: Avatar }

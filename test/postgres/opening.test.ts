import { expect, it } from 'vitest'
import { openPostgresStore } from '../../src/store/postgres/store.ts'
import { silentComponents } from '../store/harness.ts'
import { emptyUrl, run } from './harness.ts'

const open = (url: string) => openPostgresStore(silentComponents, { network: 'main', url })

it('says what to do if the server cannot be reached, without the password', async () => {
  const error = await open('postgres://kv:secret@127.0.0.1:1/kv').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/^Cannot use the database: .*ECONNREFUSED.* Then start the node again\.$/),
  })
  expect(String(error)).not.toContain('secret')
})

it('leaves the migrations of another application alone, in a schema that is searched later', async () => {
  const url = await emptyUrl()
  await run(
    url,
    "CREATE TABLE public.migrations (name text); INSERT INTO public.migrations VALUES ('of another program')",
  )
  const store = await open(url.replace(/(search_path%3Ds\d+)/, '$1%2Cpublic'))
  await store.close()
  expect(await run(url, 'SELECT name FROM public.migrations')).toEqual([{ name: 'of another program' }])
})

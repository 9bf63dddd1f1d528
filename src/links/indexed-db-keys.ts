import { ClientError } from '../client/errors.ts'
import { messageOf } from '../platform/errors.ts'
import type { AppKeyStore } from './types.ts'

const KEYS = 'keys'

/**
 * Stores keys in IndexedDB, where every page of this origin can read them, and no page of another one. The browser may delete them with the
 * site's data; then the owner is asked again.
 *
 * @param name of the database. Default `avatar-kv-keys`
 */
export function indexedDbKeyStore(name = 'avatar-kv-keys'): AppKeyStore {
  return {
    async getOrCreate(keyName, make) {
      try {
        const db = await open(name)
        try {
          return await getOrPut(db, keyName, make())
        } finally {
          db.close()
        }
      } catch (error) {
        throw new ClientError(
          'unsupported',
          `This browser cannot store the app's key: ${messageOf(error)}. Allow the site to store data, or leave a private window.`,
          { cause: error },
        )
      }
    },
  }
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1)
    opening.addEventListener('upgradeneeded', () => void opening.result.createObjectStore(KEYS))
    opening.addEventListener('success', () => resolve(opening.result))
    opening.addEventListener('error', () => reject(opening.error ?? new Error('it has no IndexedDB here')))
    opening.addEventListener('blocked', () => reject(new Error('another tab has its keys open in an older version')))
  })
}

/** In one transaction: two tabs at the same time get the same key. Resolves once the key is on disk. */
function getOrPut(db: IDBDatabase, name: string, fresh: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(KEYS, 'readwrite', { durability: 'strict' })
    const keys = transaction.objectStore(KEYS)
    let key = fresh
    const get = keys.get(name)
    get.addEventListener('success', () => {
      if (get.result instanceof Uint8Array) key = get.result
      else keys.put(fresh, name)
    })
    transaction.addEventListener('complete', () => resolve(key))
    transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('the transaction was aborted')))
  })
}

/**
 * A profile that nobody but its owner can change: read and verified in the page, edited with the wallet that is there.
 * Open it as `?avatar=0x02…&node=https://kv.example.org&node=https://kv.example.net`; without an avatar it becomes yours.
 */
import { ClientError, createClient, walletSigner } from '@avatar-kv/client'

/** Each app has a key of its own in an avatar's data, so that none is in another's way. */
const APP = 'com.example.profile'

const query = new URLSearchParams(location.search)
const nodes = query.has('node') ? query.getAll('node') : ['http://127.0.0.1:4381']
const client = createClient({ nodes })
const form = document.querySelector('#edit')
const say = (place, text) => (document.querySelector(place).textContent = text)

const TRUST = {
  verified: ({ records }) => `${records} signatures checked in your browser.`,
  missing: () => 'Whole, but old: no node hands out the newest records.',
  behind: () => 'The nodes do not agree. This is the newest that they have together.',
}

function show(verified) {
  const own = verified.namespaces.find(({ platform }) => platform === 'nextid')
  // Data of strangers: anything may stand there. As text it does no harm.
  const { name, bio } = own?.content[APP] ?? {}
  say('#name', typeof name === 'string' ? name : 'Nobody yet')
  say('#bio', typeof bio === 'string' ? bio : '')
  say('#trust', TRUST[verified.state](verified))
  if (!form.contains(document.activeElement)) {
    form.elements.name.value = typeof name === 'string' ? name : ''
    form.elements.bio.value = typeof bio === 'string' ? bio : ''
  }
}

async function follow(avatar) {
  for await (const event of client.watch(avatar)) {
    if (event.type === 'state' || event.type === 'change') show(event.state)
  }
}

let signer
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { name, bio } = Object.fromEntries(new FormData(form))
  try {
    if (window.ethereum === undefined) return say('#message', 'No wallet was found in this browser.')
    say('#message', 'Look at your wallet.')
    signer ??= await walletSigner(window.ethereum)
    // Only what differs is signed; what other apps keep there stays as it is.
    await client.change({ signer, change: (before) => ({ ...before, [APP]: { ...before[APP], name, bio } }) })
    say('#message', 'Saved.')
    if (!query.has('avatar')) {
      query.set('avatar', signer.avatar)
      history.replaceState(null, '', `?${query}`)
      void follow(signer.avatar)
    }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    say('#message', error.message)
  }
})

if (query.has('avatar')) {
  follow(query.get('avatar')).catch((error) => say('#trust', error.message))
} else {
  say('#name', 'Your profile')
  say('#trust', 'Sign once, and it is there.')
}

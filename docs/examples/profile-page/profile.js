/**
 * A profile that only its owner can change: read and verified in the page, edited with the wallet of the browser.
 * Open it as `?avatar=0x02…&node=https://kv.example.org&node=https://kv.example.net`; without an avatar it becomes yours.
 */
import { ClientError, createClient, PROFILE_KEY, profileOf, walletSigner } from '@avatar-kv/client'

const query = new URLSearchParams(location.search)
const nodes = query.has('node') ? query.getAll('node') : ['http://127.0.0.1:4381']
const client = createClient({ nodes })
const form = document.querySelector('#edit')
const say = (place, text) => (document.querySelector(place).textContent = text)

const TRUST = {
  verified: ({ records }) => `${records} signatures checked in your browser.`,
  missing: () => 'Complete but older: no node has the newest records.',
  behind: () => 'The nodes do not agree. This is the newest that they have together.',
}

function show(verified) {
  const own = verified.namespaces.find(({ platform }) => platform === 'nextid')
  // The owner may write anything. Only values of the documented form are returned.
  const { name, bio, picture } = profileOf(own?.content)
  say('#name', name ?? 'No name yet')
  // Anyone can take any name, but no other key.
  say('#key', `${verified.avatar.slice(0, 10)}…${verified.avatar.slice(-6)}`)
  say('#bio', bio ?? '')
  say('#trust', TRUST[verified.state](verified))
  // The server of an https: picture would learn who looks, so this page shows embedded ones alone.
  const image = document.querySelector('#picture')
  image.hidden = picture?.startsWith('data:') !== true
  image.src = image.hidden ? '' : picture
  if (!form.contains(document.activeElement)) {
    form.elements.name.value = name ?? ''
    form.elements.bio.value = bio ?? ''
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
    // Only the difference is signed. Other values of the profile, and those of other apps, stay as they are.
    await client.change({
      signer,
      change: (before) => ({ ...before, [PROFILE_KEY]: { ...before[PROFILE_KEY], name, bio } }),
    })
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
  say('#trust', 'Fill in the form and sign it.')
}

import { PROFILE_KEY, profileOf } from '../../client/profile.ts'

/** A side of the picture, in pixels: sharp at the size in which pages show it. */
const SIDES = [256, 192, 128, 64] as const
/** A larger file is no picture of a person, and decoding it takes long. */
const MAX_FILE_BYTES = 32 * 1024 * 1024

/**
 * A picture for a profile: the middle of an image as a square, small enough for the form of a profile. Drawing it again leaves out
 * what a camera writes into a file, such as the place.
 *
 * @throws Error with a message for people
 */
export async function pictureOf(file: Blob): Promise<string> {
  if (file.size > MAX_FILE_BYTES) throw new Error('This file has more than 32 MiB. Choose a smaller picture.')
  let image: ImageBitmap
  try {
    image = await createImageBitmap(file)
  } catch (error) {
    throw new Error('This browser cannot read the file as a picture. Choose a PNG, JPEG or WebP.', { cause: error })
  }
  try {
    for (const side of SIDES) {
      const url = squareOf(image, side)
      if (profileOf({ [PROFILE_KEY]: { picture: url } }).picture !== null) return url
    }
  } finally {
    image.close()
  }
  throw new Error('This picture does not fit into a profile, which holds 64 KiB. Choose a simpler one.')
}

function squareOf(image: ImageBitmap, side: number): string {
  const canvas = document.createElement('canvas')
  canvas.width = side
  canvas.height = side
  const edge = Math.min(image.width, image.height)
  canvas
    .getContext('2d')
    ?.drawImage(image, (image.width - edge) / 2, (image.height - edge) / 2, edge, edge, 0, 0, side, side)
  // A browser that does not write WebP writes PNG instead.
  return canvas.toDataURL('image/webp', 0.85)
}

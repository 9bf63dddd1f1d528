/** The address of a file that Vite builds as a worker. */
declare module '*?worker&url' {
  const url: string
  export default url
}

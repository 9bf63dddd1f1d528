/** A router of the local network that forwards a port to this machine, when it is asked to. */
export interface Router {
  /** The protocol that it speaks. */
  readonly speaks: 'UPnP' | 'NAT-PMP'
  /** Its address towards the internet, as it says. */
  externalIp(): Promise<string>
  /**
   * Asks it to forward a TCP port for `FORWARD_SECONDS`, or again for that time.
   *
   * @returns the port on its side
   * @throws NetworkError `router_refused`
   */
  forward(port: number): Promise<number>
  /** Ends that. */
  release(port: number): Promise<void>
}

/** A router that restarts, or a node that crashes, leaves nothing behind for longer. */
export const FORWARD_SECONDS = 3600
/** Longest wait for one answer: the router is on the local link. */
export const ANSWER_MS = 3000

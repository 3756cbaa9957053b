import type { Socket } from 'node:net';

export interface TcpRaceListener {
  /** Opens a socket to `address`; its error, if any, comes later as an event. */
  openSocket(address: string): Socket;
  /** `socket` is connected and has no listeners. */
  onRaceWon(socket: Socket, address: string): void;
  /** One address is out. The race goes on while there are others. */
  onAddressFailed(address: string): void;
  /** All are out; `error` is the first one's. */
  onRaceLost(error: Error, addressCount: number): void;
}

/** RFC 8305 §5, "Connection Attempt Delay". */
const ATTEMPT_DELAY_MS = 250;

interface Runner {
  readonly socket: Socket;
  readonly address: string;
  readonly onConnect: () => void;
  readonly onError: (error: Error) => void;
}

/**
 * Connects to the first of several addresses that answers: the next one starts when the last one fails, or 250 ms after
 * it. Unlike net's `autoSelectFamily`, which gives each address up when the next one starts, all of them stay in the
 * race: over links slower than 250 ms nothing would ever connect otherwise. One timer, and only with several addresses.
 */
export class TcpRace {
  readonly #listener: TcpRaceListener;
  readonly #addresses: readonly string[];
  readonly #running: Set<Runner>;
  #next: number;
  #timer: NodeJS.Timeout | null;
  #firstError: Error | null;
  #isOver: boolean;

  constructor(listener: TcpRaceListener, addresses: readonly string[]) {
    this.#listener = listener;
    this.#addresses = addresses;
    this.#running = new Set();
    this.#next = 0;
    this.#timer = null;
    this.#firstError = null;
    this.#isOver = false;
    this.#startNext();
  }

  /** The listener is not called any more. */
  cancel(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const runner of this.#running) {
      detach(runner);
      runner.socket.on('error', ignore).destroy();
    }
    this.#running.clear();
  }

  #startNext(): void {
    const address = this.#addresses[this.#next];
    if (address === undefined) return;
    this.#next++;
    const socket = this.#listener.openSocket(address);
    const runner: Runner = {
      socket,
      address,
      onConnect: () => this.#onConnect(runner),
      onError: (error) => this.#onError(runner, error),
    };
    this.#running.add(runner);
    socket.once('connect', runner.onConnect);
    socket.once('error', runner.onError);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#next < this.#addresses.length ? setTimeout(() => this.#startNext(), ATTEMPT_DELAY_MS) : null;
  }

  #onConnect(runner: Runner): void {
    if (isSelfConnected(runner.socket)) {
      runner.socket.destroy(Object.assign(new Error('self-connection'), { code: 'ECONNREFUSED' }));
      return;
    }
    this.#running.delete(runner);
    detach(runner);
    this.cancel();
    this.#listener.onRaceWon(runner.socket, runner.address);
  }

  #onError(runner: Runner, error: Error): void {
    detach(runner);
    runner.socket.on('error', ignore);
    this.#running.delete(runner);
    this.#firstError ??= error;
    this.#listener.onAddressFailed(runner.address);
    if (this.#isOver) return;
    this.#startNext();
    if (this.#running.size > 0) return;
    this.cancel();
    this.#listener.onRaceLost(this.#firstError, this.#addresses.length);
  }
}

/**
 * Dialling a port of this machine on which nobody listens, the kernel may choose that very port as the local one and
 * connect the socket to itself (RFC 9293 §3.5, simultaneous open): requests would come back as replies, and the port
 * be taken when the provider wants to listen.
 */
function isSelfConnected(socket: Socket): boolean {
  return (
    socket.localPort !== undefined &&
    socket.localPort === socket.remotePort &&
    socket.localAddress === socket.remoteAddress
  );
}

function detach(runner: Runner): void {
  runner.socket.off('connect', runner.onConnect);
  runner.socket.off('error', runner.onError);
}

function ignore(): void {}

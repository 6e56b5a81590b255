declare module 'proxy-addr' {
  import type { IncomingMessage } from 'node:http';

  /** Returns the address of the client: the first in the chain of proxies that is not trusted, or the last. */
  function proxyAddr(req: IncomingMessage, trust: (address: string, hop: number) => boolean): string | undefined;

  namespace proxyAddr {
    /** Returns a function that trusts these addresses. Throws a TypeError for one that is none. */
    function compile(addresses: string[]): (address: string, hop: number) => boolean;
  }

  export = proxyAddr;
}
